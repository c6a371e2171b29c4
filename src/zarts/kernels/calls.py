"""What the calls of all kernels have in common."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_int64

import torch
from torch import Tensor

from zarts.kernels.build import Kernel

__all__ = ["addresses", "call", "dense", "threads_for"]

_WORTH = 1 << 17  # numbers in a result from which a second thread gains more than it costs


def call(kernel: Kernel, description: Sequence[int], direction: int) -> int:
    """What the kernel returns for that description; the tensors whose addresses it holds must outlive the call."""
    return kernel((c_int64 * len(description))(*description), direction)


def addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    """Where the tensors' numbers are; 0 for None."""
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]


def dense(x: Tensor) -> Tensor:
    """Features as the kernels read them: the channels of a pixel side by side."""
    return x.contiguous(memory_format=torch.channels_last)


def threads_for(numbers: int) -> int:
    """How many threads are worth their start for a result of so many numbers."""
    return torch.get_num_threads() if numbers >= _WORTH else 1
