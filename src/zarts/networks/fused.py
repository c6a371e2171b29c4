"""Which layers of a chain train in the native kernel: convolution, batch norm, shortcut and activation at once."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.kernels import ChainLayer, chain_layer, prepare_chain

__all__ = ["FusedLayer", "fused", "use_kernels"]

Features = Float[Tensor, "batch channels height width"]

_NAMES: dict[type[nn.Module], str | None] = {nn.Identity: None, nn.ReLU: "relu", nn.ReLU6: "relu6"}
_DTYPES = (torch.float32, torch.float64)


class FusedLayer(nn.Module):
    """A layer with a convolution `conv`, a batch norm `norm` and an `activation`."""

    conv: nn.Conv2d
    norm: nn.Module
    activation: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.native = False
        """Whether it trains in the native kernel; see `use_kernels`."""


def use_kernels(network: nn.Module, on: bool) -> None:
    """Set whether the layers of a hand-made network train in the native kernel. Those of a new network do not.

    Parameters, buffers and results stay the same, up to rounding. The kernel stands in for torch while training on the
    CPU in float32 or float64 with gradients; everywhere else, so in evaluation, under autocast, in a compiled network,
    with hooks on parts of a layer or with batch norms over several ranks, the layers run as they always do.

    Args:
        network: the network; one without such layers stays as it is.
        on: whether they do.

    Raises:
        KernelError: the kernel cannot be compiled here; the network is as it was.
    """
    layers = [part for part in network.modules() if isinstance(part, FusedLayer)]
    if on:
        for dtype in {layer.conv.weight.dtype for layer in layers if layer.conv.weight.device.type == "cpu"}:
            if dtype in _DTYPES:
                prepare_chain(dtype)
    for layer in layers:
        layer.native = on


def fused(
    layer: FusedLayer, x: Features, shortcut: Features | None = None, activation: nn.Module | None = None
) -> Tensor | None:
    """The output of a layer from the native kernel; None: it has to run as it always does.

    Args:
        layer: the layer.
        x: its input.
        shortcut: added behind the batch norm.
        activation: behind that sum; the layer itself has none then.
    """
    if not (layer.native and layer.training and torch.is_grad_enabled() and x.device.type == "cpu"):
        return None
    conv, norm, last = layer.conv, layer.norm, activation or layer.activation
    parts = [conv, norm, last, *([] if activation is None else [layer, layer.activation])]
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or type(norm) is not nn.BatchNorm2d:
        return None
    if type(last) not in _NAMES or not norm.training or norm.momentum is None or any(map(_hooked, parts)):
        return None
    mean, var, count = norm.running_mean, norm.running_var, norm.num_batches_tracked
    if mean is None or var is None or count is None or not norm.affine:
        return None
    stride = conv.stride[0] * int(getattr(conv, "picks", 1))
    pixels = x.shape[0] * -(-x.shape[2] // stride) * -(-x.shape[3] // stride)
    tensors = [x, conv.weight, norm.weight, norm.bias, mean, var, *([] if shortcut is None else [shortcut])]
    if pixels < 2 or x.dtype not in _DTYPES or len({(tensor.dtype, tensor.device) for tensor in tensors}) > 1:
        return None
    count.add_(1)
    description = ChainLayer(stride, conv.groups > 1, _NAMES[type(last)], norm.eps, norm.momentum, mean, var)
    return chain_layer(description, x, conv.weight, norm.weight, norm.bias, shortcut)


def _hooked(part: nn.Module) -> bool:
    """Whether a call of the part does more than its `forward`."""
    hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks)
    return any(hooks) or hasattr(part, "parametrizations")
