"""What the calls of all kernels have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_int64

import torch
from torch import Tensor

from zarts.kernels.build import Kernel

__all__ = ["addresses", "call", "dense", "differentiable", "threads_for"]

_WORTH = 1 << 17  # numbers in a result from which a second thread gains more than it costs


def call(kernel: Kernel, description: Sequence[int], direction: int) -> int:
    """What the kernel returns for that description; the tensors whose addresses it holds must outlive the call."""
    return kernel((c_int64 * len(description))(*description), direction)


def addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    """Where the tensors' numbers are; 0 for None."""
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]


def differentiable(
    plain: Callable[..., Tensor], inputs: Sequence[Tensor | None], parameters: Sequence[Tensor], gradient: Tensor
) -> list[Tensor | None]:
    """The gradients of inputs and parameters as torch's own, which have a derivative; None where none is wanted.

    Args:
        plain: what the kernel does, in torch's operations: of the inputs, with its parameters inside.
        inputs: what `plain` takes.
        parameters: what it has inside.
        gradient: that of its result.
    """
    # Aliases, for one of them may depend on another outside of this function.
    inputs = [None if tensor is None else tensor.view_as(tensor) for tensor in inputs]
    tensors = [*inputs, *parameters]
    wanted = [tensor for tensor in tensors if tensor is not None and tensor.requires_grad]
    found = iter(torch.autograd.grad(plain(*inputs), wanted, gradient, create_graph=True))
    return [next(found) if tensor is not None and tensor.requires_grad else None for tensor in tensors]


def dense(x: Tensor) -> Tensor:
    """Features as the kernels read them: the channels of a pixel side by side."""
    return x.contiguous(memory_format=torch.channels_last)


def threads_for(numbers: int) -> int:
    """How many threads are worth their start for a result of so many numbers."""
    return torch.get_num_threads() if numbers >= _WORTH else 1
