"""Depthwise convolutions with a gradient that is fast on the CPU: the layers where a search spends most of its time."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

__all__ = ["depthwise", "dilated_depthwise"]

Features = Float[Tensor, "batch channels height width"]
Output = Float[Tensor, "batch channels out_height out_width"]
Kernels = Float[Tensor, "channels 1 k k"]

_FAST_WIDTH = 3  # widest kernel for which oneDNN's gradient of the weight is fast
_SMALL = 4  # sides up to which its own padding makes it slow


def depthwise(x: Features, weight: Kernels, stride: int) -> Output:
    """A depthwise convolution that keeps the size (or, at stride 2, halves it, rounding up).

    On the CPU the gradient of a 5×5 kernel is composed of those of a 5×3 and of a 5×2 one, and so on: torch 2.14.1
    takes 2 to 20 times longer for kernels wider than 3.

    Args:
        x: the features.
        weight: one k×k kernel a channel, k odd.
        stride: 1 or 2.
    """
    plain = torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()
    if x.device.type == "cpu" and torch.is_grad_enabled() and not plain:
        output: Tensor = _Depthwise.apply(x, weight, stride)
        return output
    return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=weight.shape[0])


class _Depthwise(torch.autograd.Function):
    """The plain convolution; its backward pass is made of differentiable functions, for second derivatives."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        stride, padding = ctx.stride, weight.shape[-1] // 2
        of_x = _gradient(gradient, x, weight, stride, padding) if ctx.needs_input_grad[0] else None
        of_weight = _weight_gradient(gradient, x, weight, stride) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None


def _gradient(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, of_weight: bool = False
) -> Tensor:
    """Torch's own gradients: of the input, or of the weight."""
    mask = (not of_weight, of_weight, False)
    groups = weight.shape[0]
    of_x, of_w, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, mask
    )
    gradient_asked: Tensor = of_w if of_weight else of_x
    return gradient_asked


def _weight_gradient(gradient: Output, x: Features, weight: Kernels, stride: int) -> Kernels:
    """The gradient of the weight, computed strip by strip of its columns."""
    size = weight.shape[-1]
    padding = size // 2
    if size <= _FAST_WIDTH and min(gradient.shape[2:]) > _SMALL:
        return _gradient(gradient, x, weight, stride, padding, of_weight=True)
    reach = [stride * (side - 1) + 1 for side in gradient.shape[2:]]  # pixels from the first output's to the last's
    bottom = reach[0] + size - 1 - padding - x.shape[2]
    strips = []
    for first in range(0, size, _FAST_WIDTH):
        strip = weight[..., first : first + _FAST_WIDTH]
        left = padding - first
        right = reach[1] + strip.shape[-1] - 1 - left - x.shape[3]
        if min(left, right) <= -x.shape[3]:  # of a small image the strip sees the padding only
            strips.append(torch.zeros_like(strip))
            continue
        seen = functional.pad(x, (left, right, padding, bottom))  # negative padding cuts
        strips.append(_gradient(gradient, seen, strip, stride, 0, of_weight=True))
    return torch.cat(strips, dim=-1)


def dilated_depthwise(
    x: Float[Tensor, "batch channels height width"], weight: Float[Tensor, "channels 1 k k"], stride: int
) -> Float[Tensor, "batch channels out_height out_width"]:
    """A depthwise convolution of dilation 2 that keeps the size (or, at stride 2, halves it, rounding up).

    Pixels of even and of odd rows and columns never meet. So the image splits into four smaller ones, its phases, each
    with an ordinary convolution; at stride 2 only the phase of even rows and columns counts. In `channels_last` on
    the CPU the backward pass is 5 to 50 times faster than that of the dilated kernel, which oneDNN lacks.

    Args:
        x: the features; sides of any length (an odd one is padded with zeros, as the convolution pads it anyway).
        weight: one k×k kernel a channel, k odd.
        stride: 1 or 2.
    """
    batch, channels, height, width = x.shape
    if x.device.type != "cpu":
        padding = weight.shape[-1] // 2 * 2
        return functional.conv2d(x, weight, None, stride, padding, dilation=2, groups=channels)
    if stride == 2:
        return depthwise(x[:, :, ::2, ::2], weight, 1)
    if height % 2 or width % 2:
        x = functional.pad(x, (0, width % 2, 0, height % 2))
    rows, columns = (height + 1) // 2, (width + 1) // 2
    split = x.permute(0, 2, 3, 1).reshape(batch, rows, 2, columns, 2, channels)
    phases = split.permute(2, 4, 0, 1, 3, 5).reshape(4 * batch, rows, columns, channels).permute(0, 3, 1, 2)
    y = depthwise(phases, weight, 1)
    merged = y.permute(0, 2, 3, 1).reshape(2, 2, batch, rows, columns, channels).permute(2, 3, 0, 4, 1, 5)
    output = merged.reshape(batch, 2 * rows, 2 * columns, channels).permute(0, 3, 1, 2)
    return output[:, :, :height, :width] if height % 2 or width % 2 else output
