"""Calls of the native kernels: descriptions, addresses, gradients and threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_int64

import torch
from torch import Tensor

from zarts.kernels.build import Kernel

__all__ = ["addresses", "call", "dense", "differentiable", "threads_for"]

_WORTH = 1 << 17  # numbers in a result from which a second thread gains more than it costs


def call(kernel: Kernel, description: Sequence[int], direction: int) -> int:
    """The kernel's result for a description; the tensors whose addresses it holds must outlive the call."""
    return kernel((c_int64 * len(description))(*description), direction)


def addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    """The addresses of the tensors' numbers; 0 for None."""
    return [0 if tensor is None else tensor.data_ptr() for tensor in tensors]


def differentiable(
    plain: Callable[..., Tensor], inputs: Sequence[Tensor | None], parameters: Sequence[Tensor], gradient: Tensor
) -> list[Tensor | None]:
    """The gradients of inputs and parameters by torch, which can be differentiated; None where none is wanted.

    Args:
        plain: the kernel's function in torch's operations: takes the inputs and holds the parameters.
        inputs: the arguments of `plain`.
        parameters: those that `plain` holds.
        gradient: of its result.
    """
    # aliases, because one input may depend on another outside of this function
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
