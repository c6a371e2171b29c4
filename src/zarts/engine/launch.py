"""Starting the ranks on this machine."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Sequence

import torch

from zarts.config import RetrainSettings, SearchSettings
from zarts.engine.join import candidates, check_ranks
from zarts.errors import RankError
from zarts.runtime.device import choose_device

__all__ = ["launch", "ranks_here"]

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


def launch(count: int, words: Sequence[str], way_on: str) -> int:
    """`zarts WORDS` as `count` ranks on this machine, started as `torchrun --standalone` would; its exit code.

    Fabric has launchers too. One starts the script of this process again, whatever that is, and does not say
    which rank died; the other one imports it.

    Args:
        count: ranks.
        words: of the command.
        way_on: what to do when a rank was killed, for the message.

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
        elastic_launch(config, sys.executable)("-P", "-m", "zarts", *words)
    except ChildFailedError as error:
        for rank, failure in error.failures.items():
            if failure.exitcode < 0:
                raise RankError(f"rank {rank} was killed by {failure.signal_name()}: {way_on}") from None
        return max(failure.exitcode for failure in error.failures.values())
    except SignalException:
        return 130
    return 0
