"""ReLU, 1×1 convolution and batch norm without affine as one differentiable function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.kernels.allocator import ALLOCATOR
from zarts.kernels.bindings import addresses, call, dense, differentiable, threads_for
from zarts.kernels.build import compiled

__all__ = ["Projection", "project"]


@dataclass(frozen=True)
class Projection:
    """The description of a projection: parameters and statistics.

    Args:
        weights: `(channels, inputs, 1, 1)`; or, to halve the size, those of the first half of the channels, which see
            the even pixels, and of the second, which see the odd ones.
        mean: running mean, `(channels)`.
        var: running variance, `(channels)`.
        training: batch statistics, or running ones.
        plain: the same function in torch's operations, which leaves the statistics alone; it stands in where a
            derivative of the gradient is asked for.
    """

    weights: tuple[Tensor, ...]
    mean: Tensor
    var: Tensor
    training: bool
    plain: Callable[[Tensor], Tensor]


def project(
    projection: Projection, x: Float[Tensor, "batch inputs height width"]
) -> Float[Tensor, "batch channels out_height out_width"]:
    """The projected features; an odd side of n pixels is halved to (n + 1) / 2.

    Args:
        projection: its parameters.
        x: features on the CPU.
    """
    output: Tensor = _Projection.apply(projection, x, *projection.weights)
    return output


class _Projection(torch.autograd.Function):
    """`projection.cpp`."""

    @staticmethod
    def forward(ctx: Any, projection: Projection, x: Tensor, *weights: Tensor) -> Tensor:
        rows, stride = dense(x), len(weights)
        batch, _, height, width = x.shape
        size = [-(-side // stride) for side in (height, width)]
        y = ALLOCATOR.empty([batch, *size, len(projection.mean)], x.dtype)
        rstd = torch.empty_like(projection.mean)
        _run(projection, 1, rows, y, rstd)
        output = y.permute(0, 3, 1, 2)
        ctx.projection = projection
        ctx.save_for_backward(x, output, rstd, *weights)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, output, rstd, *weights = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]
        if torch.is_grad_enabled():
            return None, *differentiable(ctx.projection.plain, [x], weights, gradient)
        batch, inputs, height, width = x.shape
        of_x = ALLOCATOR.empty([batch, height, width, inputs], x.dtype) if wanted[0] else None
        if of_x is not None and len(weights) == 2:
            of_x.zero_()  # some pixels are read by no weight
        of_weights = [torch.empty_like(w, memory_format=torch.contiguous_format) for w in weights] if wanted[1] else []
        _run(ctx.projection, -1, dense(x), output, rstd, dense(gradient), of_x, of_weights)
        return None, None if of_x is None else of_x.permute(0, 3, 1, 2), *(of_weights or (None for _ in weights))


def _run(
    projection: Projection,
    direction: int,
    x: Tensor,
    y: Tensor,
    rstd: Tensor,
    of_y: Tensor | None = None,
    of_x: Tensor | None = None,
    of_weights: list[Tensor] | tuple[()] = (),
) -> None:
    """Forward (1) into y and rstd, or backward (-1) into those of the gradients that are there."""
    batch, inputs, height, width = x.shape
    weights = [weight.contiguous() for weight in projection.weights]
    header = [batch, height, width, inputs, len(weights), int(projection.training), threads_for(y.numel())]
    numbers = [x, *_two(weights), projection.mean, projection.var, y, rstd, of_y, of_x, *_two(of_weights)]
    call(compiled(x.dtype, len(rstd), "projection"), [*header, *addresses(numbers)], direction)


def _two(weights: list[Tensor] | tuple[()]) -> list[Tensor | None]:
    return [*weights, None, None][:2]
