"""How many ranks a command takes, starting them, and joining those that torchrun has started."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from zarts.arch_optim import zero_order_optimizer
from zarts.config import RetrainSettings, SearchSettings
from zarts.errors import RankError, SettingsError
from zarts.methods import member
from zarts.relax import Parameterization
from zarts.runtime.device import choose_device
from zarts.runtime.distributed import Ranks, started
from zarts.spaces import get_space
from zarts.zo import OPTIMIZERS

__all__ = ["candidates", "check_ranks", "joined", "launch", "ranks_here"]


def candidates(settings: SearchSettings) -> int:
    """How many architectures one update of alpha judges; 0 for a method that judges none."""
    if settings.arch_optimizer == "reinforce":
        return settings.samples
    if member(settings.arch_optimizer) not in OPTIMIZERS or settings.ablation != "none":
        return 0
    alpha = torch.zeros(Parameterization(get_space(settings.space), settings.edge_normalization).dimension)
    return len(zero_order_optimizer(settings, alpha, torch.Generator()).ask(alpha))


def check_ranks(settings: SearchSettings | RetrainSettings, count: int, pieces: int | None = None) -> None:
    """Refuse ranks that would have nothing to do.

    Args:
        settings: of a search or of a retraining.
        count: ranks.
        pieces: of work that they share; None: the candidates of an update or, of a retraining, its images two by two.

    Raises:
        SettingsError: there are more ranks than candidates, or pieces.
    """
    most, why = _most(settings, pieces)
    if count > most:
        raise SettingsError(f"{count} ranks are too many: {why}; start at most {most}")


def _most(settings: SearchSettings | RetrainSettings, pieces: int | None) -> tuple[int, str]:
    """The most ranks that have something to do, and why."""
    if isinstance(settings, RetrainSettings):
        most = settings.batch_size // (2 * settings.micro_batches)
        batches = f"batch_size = {settings.batch_size} in micro_batches = {settings.micro_batches}"
        return most, f"{batches} has two images each for {most}"
    if pieces is not None:
        return pieces, f"there are {pieces} pieces of work"
    most = max(1, candidates(settings))
    judged = f"{most} candidates" if most > 1 else "no candidates that they could share"
    return most, f"an update of method {settings.method!r} judges {judged}"


@contextmanager
def joined(settings: SearchSettings | RetrainSettings, pieces: int | None = None) -> Iterator[Ranks]:
    """The ranks of this search or retraining, which are all that torchrun has started: one, alone, without it.

    Args:
        settings: of the search or retraining.
        pieces: see `check_ranks`.

    Raises:
        SettingsError: the settings do not go together with so many ranks.
    """
    count = started()
    if count == 1:
        yield Ranks()
        return
    check_ranks(settings, count, pieces)
    here, machines = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["GROUP_WORLD_SIZE"])
    if here * machines != count:
        raise SettingsError(f"{count} ranks on {machines} machines: start the same number on each")
    accelerator = _accelerator(settings.device, here)
    from lightning_fabric import Fabric  # takes two seconds, which one rank alone need not wait

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(accelerator=accelerator, devices=here, num_nodes=machines, strategy="ddp")
    fabric.launch()
    try:
        yield Ranks(fabric)
    finally:
        torch.distributed.destroy_process_group()


def _accelerator(device: str, here: int) -> str:
    """CPU, whose ranks talk through gloo, or CUDA: one GPU a rank, through NCCL.

    Raises:
        SettingsError: the device is a single one, or there are too few.
    """
    if device in ("auto", "cuda") and torch.cuda.is_available():
        if torch.cuda.device_count() < here:
            raise SettingsError(
                f"{here} ranks need {here} GPUs, there are {torch.cuda.device_count()}: "
                "start fewer, or take --device cpu"
            )
        return "cuda"
    if choose_device(device) != torch.device("cpu"):
        raise SettingsError(f"device {device!r} is one for {here} ranks: take --device cpu or cuda")
    return "cpu"


_SMALL = 2**18
"""Pixels times channels of one layer and batch up to which a network counts as small."""

_PATIENCE_SECONDS = 60
"""How long ranks may take to save when they are asked to stop."""


def ranks_here(settings: SearchSettings | RetrainSettings, pieces: int | None = None) -> int:
    """How many ranks the setting `devices` means on this machine.

    `auto` spends the threads that torch would take on ranks of one thread each (of `threads` each, where that is
    set), as few as judge the candidates in the same number of rounds; but only on a CPU, where a small network
    leaves a second thread next to nothing to do, and only for small networks: each rank has its own copy of
    everything. A retraining is one rank then.

    Args:
        settings: of the search or retraining.
        pieces: see `check_ranks`.

    Raises:
        SettingsError: a number of ranks that the method cannot use.
    """
    if settings.devices != "auto":
        check_ranks(settings, settings.devices, pieces)
        return settings.devices
    if isinstance(settings, RetrainSettings):
        return 1
    layer = settings.batch_size * settings.channels * (settings.image_size or 32) ** 2
    most = candidates(settings) if pieces is None else pieces
    if most == 0 or layer > _SMALL or choose_device(settings.device).type != "cpu":
        return 1
    processors = max(1, torch.get_num_threads() // (settings.threads or 1))
    return math.ceil(most / math.ceil(most / processors))


def launch(count: int, argv: Sequence[str], resume_hint: str) -> int:
    """`zarts ARGV` as `count` ranks on this machine, started as `torchrun --standalone` would; its exit code.

    Fabric has launchers too. One starts the script of this process again, whatever that is, and does not say
    which rank died; the other one imports it.

    Args:
        count: ranks.
        argv: of the command.
        resume_hint: what to do when a rank was killed, for the message.

    Raises:
        RankError: a rank was killed.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for part in ("multiprocessing.api", "agent.server.api"):  # what they log is said here in a line
        logging.getLogger(f"torch.distributed.elastic.{part}").setLevel(logging.CRITICAL)
    os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // count))  # of each rank
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="zarts",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        shutdown_timeout=_PATIENCE_SECONDS,
    )
    try:
        elastic_launch(config, sys.executable)("-P", "-m", "zarts", *argv)
    except ChildFailedError as error:
        for rank, failure in error.failures.items():
            if failure.exitcode < 0:
                raise RankError(f"rank {rank} was killed by {failure.signal_name()}: {resume_hint}") from None
        return max(failure.exitcode for failure in error.failures.values())
    except SignalException:
        return 130
    return 0
