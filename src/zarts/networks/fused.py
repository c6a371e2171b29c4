"""Which layers of a chain train in the native kernel: convolution, batch norm, shortcut and activation at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.kernels import ChainLayer, chain_convolution, chain_layer, prepare_chain

__all__ = ["FusedLayer", "fused", "fused_shortcut", "use_kernels"]

Features = Float[Tensor, "batch channels height width"]

_NAMES: dict[type[nn.Module], str | None] = {nn.Identity: None, nn.ReLU: "relu", nn.ReLU6: "relu6"}
_DTYPES = (torch.float32, torch.float64)
"""Of weights and features together; with float32 weights, features may be in bfloat16 under autocast."""


class FusedLayer(nn.Module):
    """A layer with a convolution `conv`, a batch norm `norm` and an `activation`."""

    conv: nn.Conv2d
    norm: nn.Module
    activation: nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.native: frozenset[torch.dtype] = frozenset()
        """The types of features that it trains with in the native kernel; see `use_kernels`."""


def use_kernels(
    network: nn.Module, on: bool, compiling: Callable[[], None] = lambda: None, *, bfloat16: bool = False
) -> None:
    """Set whether the layers of a hand-made network train in the native kernel. Those of a new network do not.

    Parameters, buffers and results stay the same, up to rounding. The kernel stands in for torch while training on the
    CPU in float32 or float64 with gradients. Under autocast to bfloat16 torch convolves, and the kernel does the rest.
    Everywhere else, so in evaluation, in a compiled network, with hooks on parts of a layer or with batch norms over
    several ranks, the layers run as they always do.

    Args:
        network: the network; one without such layers stays as it is.
        on: whether they do.
        compiling: called before the kernel is compiled, if it has not been on this machine.
        bfloat16: whether under autocast to bfloat16, in place of float32.

    Raises:
        KernelError: the kernel cannot be compiled here; the network is as it was.
    """
    layers = [part for part in network.modules() if isinstance(part, FusedLayer)]
    weights = {layer.conv.weight.dtype for layer in layers if on and layer.conv.weight.device.type == "cpu"}
    types = weights & {*_DTYPES}
    if bfloat16:
        types = {torch.bfloat16 if dtype is torch.float32 else dtype for dtype in types}
    for dtype in types:
        prepare_chain(dtype, compiling)
    for layer in layers:
        layer.native = frozenset(types)


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
    conv, norm, last = layer.conv, layer.norm, activation or layer.activation
    parts = [conv, norm, last, *([] if activation is None else [layer, layer.activation])]
    if not _suits(layer, x) or type(norm) is not nn.BatchNorm2d or type(last) not in _NAMES or any(map(_hooked, parts)):
        return None
    mean, var, count = norm.running_mean, norm.running_var, norm.num_batches_tracked
    if (
        mean is None
        or var is None
        or count is None
        or not (norm.affine and norm.training and norm.momentum is not None)
    ):
        return None
    stride = _stride(conv)
    pixels = x.shape[0] * -(-x.shape[2] // stride) * -(-x.shape[3] // stride)  # a single one is torch's error
    beside = x if shortcut is None else shortcut
    mixed = torch.is_autocast_enabled("cpu")
    alike = _alike(conv.weight, norm.weight, norm.bias, mean, var, *([] if mixed else [x, beside]))
    if pixels < 2 or not alike or (mixed and shortcut is not None and shortcut.dtype is not torch.bfloat16):
        return None
    count.add_(1)
    description = ChainLayer(stride, conv.groups > 1, _NAMES[type(last)], norm.eps, norm.momentum, mean, var)
    return chain_layer(description, x, conv.weight, norm.weight, norm.bias, shortcut)


def fused_shortcut(layer: FusedLayer, shortcut: nn.Module, x: Features) -> Tensor:
    """The output of a shortcut, by `chain_convolution` if it is one and the layer beside it runs in the native kernel.

    Args:
        layer: the layer.
        shortcut: the module beside it.
        x: its input.
    """
    if (
        not _suits(layer, x)
        or not isinstance(shortcut, nn.Conv2d)
        or _hooked(shortcut)
        or not (torch.is_autocast_enabled("cpu") or _alike(x, shortcut.weight))
    ):
        output: Tensor = shortcut(x)
        return output
    return chain_convolution(x, shortcut.weight, _stride(shortcut))


def _suits(layer: FusedLayer, x: Tensor) -> bool:
    """Whether the kernel is wanted, and torch is about to train plainly on the CPU."""
    if torch.compiler.is_compiling() or not (layer.native and layer.training and torch.is_grad_enabled()):
        return False
    mixed = torch.is_autocast_enabled("cpu")
    known = (torch.get_autocast_dtype("cpu") if mixed else x.dtype) in layer.native
    return known and x.device.type == "cpu" and x.numel() > 0


def _stride(conv: nn.Conv2d) -> int:
    """That of the pixels it picks, and of the convolution behind."""
    return conv.stride[0] * int(getattr(conv, "picks", 1))


def _alike(*tensors: Tensor) -> bool:
    """Whether they are of one type, which the kernel knows, and in one place."""
    return tensors[0].dtype in _DTYPES and len({(tensor.dtype, tensor.device) for tensor in tensors}) == 1


def _hooked(part: nn.Module) -> bool:
    """Whether a call of the part does more than its `forward`."""
    hooks = (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks)
    return any(hooks) or hasattr(part, "parametrizations")
