"""A layer of a chain as one differentiable function: convolution, batch norm, sum with a shortcut, activation."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from zarts.errors import KernelError
from zarts.kernels.allocator import ALLOCATOR
from zarts.kernels.bindings import addresses, call, dense, differentiable, threads_for
from zarts.kernels.build import compiled, is_compiled

__all__ = ["ChainLayer", "chain_convolution", "chain_layer", "prepare_chain"]

Features = Float[Tensor, "batch channels height width"]
Output = Float[Tensor, "batch out_channels out_height out_width"]
Weights = Float[Tensor, " out_channels"]

_VECTOR = 32  # channels compiled in: whole vectors of any machine; the numbers of a layer are read at run time
_ACTIVATIONS = (None, "relu", "relu6")  # in the order of pointwise.hpp, as the kinds in that of chain.cpp
_FUNCTIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: torch.clone,
    "relu": functional.relu,
    "relu6": functional.relu6,
}
_ARRAYS = 13  # in `Fields`, from the shortcut on
_GIVEN, _TILED, _DIRECT, _DEPTHWISE = range(4)
_FEW = 4  # channels up to which tiles, filled up to whole vectors, are slower than direct products


def prepare_chain(dtype: torch.dtype, compiling: Callable[[], None] = lambda: None) -> None:
    """Compile the kernel for layers of any size.

    Args:
        dtype: of the features, `float32`, `float64` or `bfloat16`.
        compiling: called first if it has not been compiled on this machine before.

    Raises:
        KernelError: it cannot be compiled here; the message says why.
    """
    if not is_compiled(dtype, _VECTOR, "chain"):
        compiling()
    compiled(dtype, _VECTOR, "chain")


@dataclass(frozen=True)
class ChainLayer:
    """The description of a layer; its convolution pads by half its kernel.

    Args:
        stride: of the convolution.
        depthwise: whether each channel has a kernel of its own.
        activation: `relu`, `relu6` or None.
        epsilon: added to the variance.
        momentum: of the running statistics, in [0, 1].
        running_mean: moves towards the batch's; None: there is no batch norm, and nothing follows the convolution.
        running_var: the same.
    """

    stride: int
    depthwise: bool = False
    activation: str | None = None
    epsilon: float = 0.0
    momentum: float = 0.0
    running_mean: Tensor | None = None
    running_var: Tensor | None = None

    def kind(self, weight: Tensor) -> int:
        """How the convolution runs; `_GIVEN`: by torch, where that is faster."""
        kernel = weight.shape[-1]
        if self.depthwise:
            return _DEPTHWISE if kernel == 3 else _GIVEN
        return _TILED if kernel == 3 and self.stride == 1 and weight.shape[1] > _FEW else _DIRECT

    def convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        """The convolution by torch."""
        groups = x.shape[1] if self.depthwise else 1
        stride = self.stride
        if weight.shape[-1] == 1 and stride > 1:
            x, stride = _Picked.apply(x, stride), 1
        return functional.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, groups)

    def plain(
        self, x: Tensor, weight: Tensor | None, scale: Tensor | None, shift: Tensor | None, shortcut: Tensor | None
    ) -> Tensor:
        """The layer in torch's operations, with the statistics of the batch; no weight: x is the convolved one."""
        z = x if weight is None else self.convolve(x, weight)
        if scale is None:
            return z
        y = functional.batch_norm(z, None, None, scale, shift, training=True, eps=self.epsilon)
        if shortcut is not None:
            y = y + shortcut
        return _FUNCTIONS[self.activation](y)


def chain_layer(
    layer: ChainLayer,
    x: Features,
    weight: Tensor,
    scale: Weights,
    shift: Weights,
    shortcut: Output | None = None,
) -> Output:
    """The output of a layer in training mode; its running statistics move.

    Args:
        layer: its description.
        x: on the CPU, float32 or float64, as all other tensors. Under autocast to bfloat16 torch convolves, and the
            shortcut and the output have that type.
        weight: of the convolution.
        scale: weight of the batch norm.
        shift: bias of the batch norm.
        shortcut: added in front of the activation.
    """
    output: Tensor
    if layer.kind(weight) == _GIVEN or torch.is_autocast_enabled("cpu"):
        output = _ChainLayer.apply(layer, layer.convolve(x, weight), None, scale, shift, shortcut)
    else:
        output = _ChainLayer.apply(layer, x, weight, scale, shift, shortcut)
    return output


def chain_convolution(x: Features, weight: Tensor, stride: int) -> Output:
    """A convolution alone, as that of a shortcut; it pads by half its kernel.

    Args:
        x: on the CPU, float32 or float64, as the weight. Under autocast to bfloat16 torch convolves.
        weight: of the convolution, which is not depthwise.
        stride: of the convolution.
    """
    layer = ChainLayer(stride)
    if torch.is_autocast_enabled("cpu"):
        return layer.convolve(x, weight)
    output: Tensor = _ChainLayer.apply(layer, x, weight, None, None, None)
    return output


class _Picked(torch.autograd.Function):
    """Every so many rows and columns. Features and gradient are in channels last, which slices of torch's lose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int) -> Tensor:
        ctx.shape, ctx.stride = x.shape, stride
        return dense(x[:, :, ::stride, ::stride])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        batch, channels, height, width = ctx.shape
        of_x = gradient.new_zeros(batch, height, width, channels).permute(0, 3, 1, 2)
        of_x[:, :, :: ctx.stride, :: ctx.stride] = gradient
        return of_x, None


class _ChainLayer(torch.autograd.Function):
    """`chain.cpp`, with what it keeps between its two directions."""

    @staticmethod
    def forward(
        ctx: Any,
        layer: ChainLayer,
        x: Tensor,
        weight: Tensor | None,
        scale: Tensor | None,
        shift: Tensor | None,
        shortcut: Tensor | None,
    ) -> Tensor:
        ctx.layer = layer
        features, beside = dense(x), None if shortcut is None else dense(shortcut)
        kernel = _Call(layer, features, weight, scale, shift)
        y = kernel.result()
        if scale is None:
            kernel.run(1, [None, None, None, y])
            ctx.save_for_backward(x, weight, *[None] * 7)
            return y
        z = features if weight is None else kernel.result()
        mean, rstd = torch.empty_like(scale), torch.empty_like(scale)
        kernel.run(1, [beside, layer.running_mean, layer.running_var, z, mean, rstd, y])
        ctx.save_for_backward(x, weight, scale, shift, shortcut, z, mean, rstd, None if shortcut is None else y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale, shift, shortcut, z, mean, rstd, y = ctx.saved_tensors
        if torch.is_grad_enabled():
            inputs = [x, weight, scale, shift, shortcut]
            return None, *differentiable(ctx.layer.plain, inputs, [], gradient)
        kernel = _Call(ctx.layer, dense(x), weight, scale, shift)
        of_x = _room(x.shape, x.dtype) if ctx.needs_input_grad[1] else None
        of_weight = None
        if weight is not None and ctx.needs_input_grad[2]:
            of_weight = torch.empty_like(weight, memory_format=torch.contiguous_format)
        of_scale, of_shift = (None if part is None else torch.empty_like(part) for part in (scale, shift))
        of_shortcut = None if shortcut is None else kernel.result()
        gradients = [of_shortcut, of_x, of_weight, of_scale, of_shift]
        kernel.run(-1, [None, None, None, z, mean, rstd, y, dense(gradient), *gradients])
        return None, of_x, of_weight, of_scale, of_shift, of_shortcut


class _Call:
    """The description that `chain.cpp` reads; it keeps alive what the description points to."""

    def __init__(
        self, layer: ChainLayer, x: Tensor, weight: Tensor | None, scale: Tensor | None, shift: Tensor | None
    ) -> None:
        batch, inputs, height, width = x.shape
        kernel, stride, kind, outputs = 1, 1, _GIVEN, inputs
        if weight is not None:
            kernel, stride, kind, outputs = weight.shape[-1], layer.stride, layer.kind(weight), weight.shape[0]
        sides = [-(-height // stride), -(-width // stride)]
        self._shape, self._dtype = torch.Size([batch, outputs, *sides]), x.dtype
        self._tensors = [x, *(part if part is None else part.contiguous() for part in (weight, scale, shift))]
        threads = threads_for(max(x.numel(), self._shape.numel()))
        shape = [batch, height, width, inputs, outputs, kernel, stride]
        numbers = struct.unpack("qq", struct.pack("dd", layer.epsilon, layer.momentum))
        self._header = [kind, *shape, _ACTIVATIONS.index(layer.activation), threads, *numbers]

    def result(self) -> Tensor:
        """Room for a tensor of the output's shape."""
        return _room(self._shape, self._dtype)

    def run(self, direction: int, arrays: list[Tensor | None]) -> None:
        """Forward (1) or backward (-1); the arrays are those of `Fields` from the shortcut on, None behind the last."""
        places = addresses([*self._tensors, *arrays, *[None] * (_ARRAYS - len(arrays))])
        if call(compiled(self._dtype, _VECTOR, "chain"), [*self._header, *places], direction):
            raise KernelError("the native kernel does not convolve bfloat16: use autocast")


def _room(shape: torch.Size, dtype: torch.dtype) -> Features:
    """Room for dense features of that shape; no view of others, so that autograd adds a second gradient in place."""
    batch, channels, height, width = shape
    return ALLOCATOR.empty([batch, height, width, channels], dtype).permute(0, 3, 1, 2).data
