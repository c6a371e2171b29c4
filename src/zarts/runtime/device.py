"""The device of a run, and the number of threads on the CPU."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from zarts.errors import SettingsError

__all__ = ["choose_device", "idle_processors", "torch_threads"]


def choose_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA if available, else Apple's MPS, else the CPU.

    Raises:
        SettingsError: this machine has no such device.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        if reason.startswith("Expected one of"):  # a list of twenty, of which a machine has one or two
            reason = "there is no such kind: cpu, cuda, cuda:1, mps"
        raise SettingsError(f"device {name!r} cannot be used ({reason}): take --device auto or --device cpu") from None
    return device


@contextmanager
def torch_threads(threads: int | str | None) -> Iterator[None]:
    """Inside, torch computes with `threads` threads; None and `auto` change nothing. Afterwards it is as before."""
    before = torch.get_num_threads()
    if isinstance(threads, int):
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def idle_processors(seconds: float = 0.25, stat: Path = Path("/proc/stat")) -> int:
    """Processors of this machine that no program uses now, 0 or more; all of them where the system does not tell.

    Args:
        seconds: to look at them; 0: since the system's start.
        stat: Linux's file with the ticks of all processors together.
    """
    count = os.cpu_count() or 1
    with suppress(OSError, ValueError, IndexError, ZeroDivisionError):
        before = _ticks(stat) if seconds > 0 else (0, 0)
        time.sleep(seconds)
        idle, whole = (now - then for now, then in zip(_ticks(stat), before, strict=True))
        return round(count * idle / whole)
    return count


def _ticks(stat: Path) -> tuple[int, int]:
    """Idle ticks, and all (proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal)."""
    fields = [int(word) for word in stat.read_text().split("\n")[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)
