"""An allocator that reuses the memory of freed tensors, because the system clears every new page first."""

from __future__ import annotations

import ctypes
import math
import mmap
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import RLock

import torch
from torch import Tensor

__all__ = ["ALLOCATOR", "Allocator"]

_SMALL = 1 << 16  # bytes up to which the C library has a block at hand
_PAGE = 1 << 21  # bytes of a large page
_LOOSE = 2  # most times that a block may be as large as the request
_SLACK = 1.5  # most blocks that are kept, in those in use at once: sizes have their peaks at different times


class Allocator:
    """Blocks of CPU memory, which come back when the last tensor that uses them is freed.

    Waiting blocks and blocks in use together never exceed 1.5 times the most that was in use at once. Without that
    slack a step of a hand-made network maps memory anew that the one before it has given back, up to a fifth of its
    time; with 1.25 a ResNet-8 still maps twelve blocks in each step.
    """

    def __init__(self) -> None:
        self._lock = RLock()  # reentrant: a counter of operations reads `asked` during those of `_take`
        # filled without the lock: Python may collect garbage at any time
        self._back: deque[tuple[Tensor, int]] = deque()
        self._waiting: list[Tensor] = []
        self._used = self._limit = self._asked = 0  # bytes

    def empty(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """A dense tensor with any values.

        Args:
            shape: its shape.
            dtype: type of its numbers.
        """
        length = math.prod(shape) * dtype.itemsize
        if length <= _SMALL:
            return torch.empty(tuple(shape), dtype=dtype)
        with self._lock:
            block = self._take(length)
        memory = (ctypes.c_char * length).from_address(block.data_ptr())
        weakref.finalize(memory, self._back.append, (block, length)).atexit = False
        return torch.frombuffer(memory, dtype=dtype).view(tuple(shape))  # its storage owns `memory`

    @property
    def asked(self) -> int:
        """Bytes of the tensors in use: a little less than those of their blocks."""
        with self._lock:
            self._collect()
            return self._asked

    def _collect(self) -> None:
        while self._back:
            block, length = self._back.popleft()
            self._waiting.append(block)
            self._used -= block.nbytes
            self._asked -= length

    def _take(self, length: int) -> Tensor:
        self._collect()
        sizes = {block.nbytes: index for index, block in enumerate(self._waiting)}
        fitting = [size for size in sizes if length <= size <= _LOOSE * length]
        block = self._waiting.pop(sizes[min(fitting)]) if fitting else _block(length)
        self._used += block.nbytes
        self._asked += length
        self._limit = max(self._limit, self._used)
        while self._used + sum(waiting.nbytes for waiting in self._waiting) > _SLACK * self._limit:
            del self._waiting[0]
        return block


def _block(length: int) -> Tensor:
    """That many bytes or a few more. Linux takes large pages: with small ones a step is a tenth slower."""
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return torch.empty(length, dtype=torch.uint8)
    large = length >= _PAGE
    memory = mmap.mmap(
        -1, -(-length // _PAGE) * _PAGE if large else length, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    )
    with suppress(OSError):  # a kernel without them
        if large:
            memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=torch.uint8)


ALLOCATOR = Allocator()
