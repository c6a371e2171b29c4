"""The ranks that print: rank 0 shows progress and results, local rank 0 of every machine shows errors."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["begin_command", "command_began", "is_local_rank_zero", "is_rank_zero"]


def is_rank_zero() -> bool:
    """Whether this process shows progress and results: it is rank 0, or torchrun has not started it."""
    return _rank("RANK") == 0


def is_local_rank_zero() -> bool:
    """Whether this process shows errors: it is local rank 0 of its machine, or torchrun has not started it."""
    return _rank("LOCAL_RANK") == 0


def _rank(kind: str) -> int:
    return int(os.environ[kind]) if "TORCHELASTIC_RUN_ID" in os.environ else 0


_START_SECONDS = 30.0
"""A process that is older has done something else before."""

BEGUN = "ZARTS_BEGUN"
"""Environment variable: when the command began, in seconds since 1970; its ranks inherit it."""


def begin_command() -> None:
    """Keep when the command began; a rank keeps what the process that started it has kept."""
    if "RANK" not in os.environ or BEGUN not in os.environ:
        os.environ[BEGUN] = repr(time.time() - _age_seconds())


def _age_seconds() -> float:
    """The age of this process, which the user waits for too: what Python takes to start.

    It is 0 where the system does not tell, or where the process has done other work before, as it has if the command is
    called from Python.
    """
    with suppress(OSError, ValueError, IndexError, AttributeError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()  # proc_pid_stat(5), from the third on
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return age if 0 <= age < _START_SECONDS and "torch" not in sys.modules else 0.0
    return 0.0


def command_began() -> float:
    """When the command began, by `time.perf_counter`."""
    begun = os.environ.get(BEGUN)
    return time.perf_counter() if begun is None else _began(begun)


@cache
def _began(begun: str) -> float:
    """The same, computed once: the clock of the system may be set while the command works."""
    return time.perf_counter() - (time.time() - float(begun))
