"""Batches of uint8 pixels that threads make ahead of their use.

Threads, not processes: Pillow decodes, resizes and adjusts outside the interpreter's lock. Threads need no start-up and
no copies of images between processes, and batches may be requested in any order.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

__all__ = ["Job", "Prefetcher", "default_workers"]

Job = Callable[[], np.ndarray[Any, np.dtype[np.uint8]]]
"""Makes one image, (h, w, c)."""

_AHEAD = 2
_CHUNK = 4
_MAX_THREADS = 8
_MOST_KEPT, _KEPT_BYTES = 32, 1 << 29


def default_workers(processes: int = 1) -> int:
    """Threads of each of `processes` processes of this machine: one for each processor, 8 at most."""
    return max(1, min(_MAX_THREADS, (os.cpu_count() or 1) // processes))


class _Made(NamedTuple):
    """A batch in the making: its pixels, and the work that fills them."""

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    work: list[Future[None]]


class Prefetcher:
    """The pixels of any batch by its index; the next two batches are made while one is used.

    Used batches are kept, up to half a gigabyte: an update of alpha uses batches on which the weights are trained right
    afterwards.

    Args:
        jobs: the functions that make the images of a batch; called in the requesting thread, so it may draw.
        shape: (h, w, c) of an image.
        batch_size: images of a full batch.
        workers: threads; None: one for each processor, 8 at most. All prefetchers with the same number share them.
        length: number of batches; no batch beyond it is made ahead. None: the batches are endless.
    """

    def __init__(
        self,
        jobs: Callable[[int], Sequence[Job | None]],
        shape: tuple[int, int, int],
        batch_size: int,
        workers: int | None = None,
        length: int | None = None,
    ) -> None:
        self._jobs, self._shape, self._length = jobs, shape, length
        self._workers = workers or default_workers()
        self._kept = max(_AHEAD + 1, min(_MOST_KEPT, _KEPT_BYTES // (batch_size * int(np.prod(shape)))))
        self._made: OrderedDict[int, _Made] = OrderedDict()
        self._last = -1

    def __getitem__(self, index: int) -> UInt8[Tensor, "b h w c"]:
        """Batch `index`, read-only.

        Raises:
            DataError: an image cannot be read.
        """
        stride = index - self._last if 0 < index - self._last <= _MOST_KEPT else 1
        self._last = index
        for number in (index, *(index + stride * (i + 1) for i in range(_AHEAD))):
            if number == index or self._length is None or number < self._length:
                self._begin(number)
        made = self._made[index]
        try:
            for done in made.work:
                done.result()
        except BaseException:
            del self._made[index]  # the next request tries again
            raise
        return torch.from_numpy(made.pixels)

    def _begin(self, index: int) -> None:
        if index not in self._made:
            jobs = self._jobs(index)
            pixels = np.zeros((len(jobs), *self._shape), dtype=np.uint8)
            pool = _pool(self._workers)
            starts = range(0, len(jobs), _CHUNK)
            self._made[index] = _Made(
                pixels, [pool.submit(_fill, pixels, jobs, range(i, min(i + _CHUNK, len(jobs)))) for i in starts]
            )
        self._made.move_to_end(index)
        while len(self._made) > self._kept:
            _, dropped = self._made.popitem(last=False)
            for work in dropped.work:
                work.cancel()


def _fill(pixels: np.ndarray[Any, np.dtype[np.uint8]], jobs: Sequence[Job | None], chunk: range) -> None:
    for i in chunk:
        job = jobs[i]
        if job is not None:
            pixels[i] = job()


@cache
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="zarts-images")
