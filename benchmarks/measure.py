"""Measurement of steps in seconds and bytes, and of the peak rates of the machine."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import torch

from zarts.runtime.measure import peak_bytes

__all__ = ["Seconds", "bandwidth", "in_turn", "matrix_peak", "peak_memory", "search_command", "timed"]


class Seconds(NamedTuple):
    """Seconds of wall time and of processor time."""

    wall: float
    cpu: float


def timed(step: Callable[[], object]) -> Seconds:
    """The time of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    step()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def in_turn(plain: Callable[[], object], fast: Callable[[], object], pairs: int) -> list[tuple[Seconds, Seconds]]:
    """Times of plain and fast, called in turn, after one call of each that does not count."""
    plain(), fast()
    return [(timed(plain), timed(fast)) for _ in range(pairs)]


def matrix_peak(size: int = 2048, repeats: int = 10) -> float:
    """Floating-point operations a second: the best of some products of square matrices in single precision."""
    a, b, c = torch.rand(size, size), torch.rand(size, size), torch.empty(size, size)
    return 2 * size**3 / min(timed(lambda: torch.mm(a, b, out=c)).wall for _ in range(repeats))


def bandwidth(megabytes: int = 256, repeats: int = 10) -> float:
    """Bytes a second between memory and processor: the best of some sums of two arrays into a third."""
    a, b, c = torch.rand(3, megabytes * 2**18)
    return 3 * 4 * a.numel() / min(timed(lambda: torch.add(a, b, out=c)).wall for _ in range(repeats))


def peak_memory(build: Callable[[], Callable[[], object]], threads: int) -> int:
    """Peak bytes of a step, beyond those in use once it is built.

    Measured in a process of its own, because a process keeps its peak.

    Args:
        build: builds the step; can be pickled.
        threads: threads of torch.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(_peak, build, threads).result()


def search_command(settings: Mapping[str, object]) -> list[str]:
    """`zarts search` with these settings, as a user would start it."""
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "zarts", "search", *words]


def _peak(build: Callable[[], Callable[[], object]], threads: int) -> int:
    torch.set_num_threads(threads)
    step = build()
    before = peak_bytes(torch.device("cpu"))
    step()
    return peak_bytes(torch.device("cpu")) - before
