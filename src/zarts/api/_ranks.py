"""The ranks of a command: their number, their start, and joining those that torchrun has started."""

from __future__ import annotations

import logging
import math
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from zarts.arch_optim import zero_order_optimizer
from zarts.config import RetrainSettings, SearchSettings
from zarts.data import PYTHON
from zarts.errors import RankError, SettingsError
from zarts.methods import member
from zarts.relax import Parameterization
from zarts.runs.claim import is_started
from zarts.runtime.device import choose_device
from zarts.runtime.distributed import FOLDER_FILE, Ranks, started
from zarts.runtime.leftovers import temporary_folder
from zarts.runtime.processes import PARENT
from zarts.spaces import get_space
from zarts.zo import OPTIMIZERS

__all__ = ["candidates", "check_ranks", "joined", "launch", "launch_ranks", "ranks_here"]

_NOT_BEGUN = "the run has ended before its first step: start it again by the same command"


def candidates(settings: SearchSettings) -> int:
    """Number of candidates that one update of alpha evaluates; 0 for a method that evaluates none."""
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
        count: number of ranks.
        pieces: number of pieces of work that the ranks share; None: the candidates of an update or, for a retraining,
            half the images of a micro-batch.

    Raises:
        SettingsError: there are more ranks than pieces of work.
    """
    most, why = _most(settings, pieces)
    if count > most:
        raise SettingsError(f"{count} ranks are too many: {why}; start at most {most}")


def _most(settings: SearchSettings | RetrainSettings, pieces: int | None) -> tuple[int, str]:
    """The largest number of ranks that all have work, and the reason."""
    if isinstance(settings, RetrainSettings):
        most = settings.batch_size // (2 * settings.micro_batches)
        batches = f"batch_size = {settings.batch_size} in micro_batches = {settings.micro_batches}"
        return most, f"{batches} has two images each for {most} ranks"
    if pieces is not None:
        return pieces, f"there are {pieces} pieces of work"
    most = max(1, candidates(settings))
    evaluated = f"{most} candidates" if most > 1 else "no candidates that they could share"
    return most, f"an update of method {settings.method!r} evaluates {evaluated}"


@contextmanager
def joined(settings: SearchSettings | RetrainSettings, pieces: int | None = None) -> Iterator[Ranks]:
    """The ranks of this search or retraining: all those that torchrun has started, or a single one without torchrun.

    Args:
        settings: of the search or retraining.
        pieces: see `check_ranks`.

    Raises:
        SettingsError: the settings do not fit this number of ranks.
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
    from lightning_fabric import Fabric  # takes two seconds, which a single rank does not need

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with _ends_at_once():
        fabric = Fabric(accelerator=accelerator, devices=here, num_nodes=machines, strategy="ddp")
        fabric.launch()
    try:
        yield Ranks(fabric)
    finally:
        torch.distributed.destroy_process_group()


@contextmanager
def _ends_at_once() -> Iterator[None]:
    """Inside, SIGTERM ends this process: ranks wait for each other where Python sees no signals, and begin nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _accelerator(device: str, here: int) -> str:
    """The accelerator of the ranks: `cpu` (gloo), or `cuda` with one GPU for each rank (NCCL).

    Raises:
        SettingsError: the setting names a single device, or there are too few GPUs.
    """
    if device in ("auto", "cuda") and torch.cuda.is_available():
        if torch.cuda.device_count() < here:
            raise SettingsError(
                f"{here} ranks need {here} GPUs, there are {torch.cuda.device_count()}: "
                "start fewer ranks, or use --device cpu"
            )
        return "cuda"
    if choose_device(device) != torch.device("cpu"):
        raise SettingsError(
            f"device = {device!r} is a single device for {here} ranks: use --device cpu or --device cuda"
        )
    return "cpu"


_SMALL = 2**18
"""Largest number of activations of one layer, batch included, of a network that counts as small."""

_PATIENCE_SECONDS = 60
"""Time that ranks have to save their checkpoint when they are asked to stop."""


def ranks_here(settings: SearchSettings | RetrainSettings, pieces: int | None = None) -> int:
    """Number of ranks that the setting `devices` means on this machine.

    `auto` turns the threads that torch would use into ranks of one thread each, or of `threads` threads where that is
    set. It starts only as many as shorten the evaluation of the candidates. It does so only on a CPU and only for a
    small network, for which a second thread has next to nothing to do: each rank has its own copy of everything.
    For a retraining, `auto` is a single rank.

    Args:
        settings: of the search or retraining.
        pieces: see `check_ranks`.

    Raises:
        SettingsError: the method cannot use that many ranks.
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


def launch(count: int, argv: Sequence[str], command: str, resume_hint: str | None = None) -> int:
    """Start `count` ranks of `zarts ARGV` on this machine, as `torchrun --standalone` would; the exit code.

    The launchers of Fabric do not fit: one restarts the script of this process, whatever that is, and does not report
    which rank died; the other one imports it.

    Args:
        count: number of ranks.
        argv: the arguments of the command.
        command: its name.
        resume_hint: the way out in the message when a rank was killed; None: resume the run.

    Raises:
        RankError: a rank was killed.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for part in ("multiprocessing.api", "agent.server.api"):  # RankError says in one line what they log
        logging.getLogger(f"torch.distributed.elastic.{part}").setLevel(logging.CRITICAL)
    os.environ["OMP_NUM_THREADS"] = str(max(1, torch.get_num_threads() // count))  # of each rank
    os.environ[PARENT] = str(os.getpid())
    with temporary_folder() as folder:
        file = folder / "folder"
        os.environ[FOLDER_FILE] = str(file)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id="zarts",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            shutdown_timeout=_PATIENCE_SECONDS,
            logs_specs=DefaultLogsSpecs(log_dir=str(folder / "logs")),
        )
        try:
            elastic_launch(config, sys.executable)("-P", "-m", "zarts", *argv)
        except ChildFailedError as error:
            for rank, failure in error.failures.items():
                if failure.exitcode < 0:
                    hint = resume_hint or _resume_hint(file, command)
                    raise RankError(f"rank {rank} was killed by {failure.signal_name()}: {hint}") from None
            return max(failure.exitcode for failure in error.failures.values())
        except SignalException as error:
            return 128 + error.sigval.value
    return 0


def _resume_hint(file: Path, command: str) -> str:
    """How to go on after the death of a rank, whose first one has written the run folder into the file."""
    if not file.exists():
        return _NOT_BEGUN
    run = Path(file.read_text(encoding="utf-8", errors="surrogateescape"))
    if not is_started(run):
        return _NOT_BEGUN
    return f"its last checkpoint is whole, go on with `zarts {command} --resume {shlex.quote(str(run))}`"


def launch_ranks(
    settings: SearchSettings | RetrainSettings,
    argv: Sequence[str],
    pieces: int | None = None,
    resume_hint: str | None = None,
) -> int | None:
    """Start as many ranks as the settings ask for, each of which runs `zarts ARGV`.

    Args:
        settings: of the search or retraining.
        argv: the arguments of the command.
        pieces: number of pieces of work that the ranks share; None: the candidates of an update.
        resume_hint: the way out in the message when a rank was killed; None: resume the run.

    Returns:
        The exit code of the command; None where nothing was started, because this process is a rank already or the
        settings ask for a single one.

    Raises:
        SettingsError: the method cannot use that many ranks, or torchrun has started another number here.
        RankError: a rank was killed.
    """
    if settings.data == PYTHON:
        return None  # a command has no such objects, and refuses before it starts
    if started() > 1:
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        if settings.devices not in ("auto", here):
            raise SettingsError(f"devices = {settings.devices}, but torchrun has started {here} here: leave it out")
        return None
    count = ranks_here(settings, pieces)
    command = "retrain" if isinstance(settings, RetrainSettings) else "search"
    return launch(count, argv, command, resume_hint) if count > 1 else None
