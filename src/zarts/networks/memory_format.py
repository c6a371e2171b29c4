"""The memory layout of features and gradients: by default the one in which the CPU's kernels are fast."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["channels_last", "dense_gradient", "laid_out", "set_layout"]

_PLAIN = "plain_layout"
"""Attribute of the modules of a network in torch's plain layout, see `set_layout`."""


def set_layout(network: nn.Module, layout: str) -> None:
    """Set the layout in which a network trains and is tested; a new network has channels-last features.

    Results stay the same, up to rounding.

    Args:
        network: the network; its weights get the layout too.
        layout: `channels-last`, or `nchw`, torch's own.
    """
    plain = layout == "nchw"
    network.to(memory_format=torch.contiguous_format if plain else torch.channels_last)
    for part in network.modules():
        setattr(part, _PLAIN, plain)


def _is_plain(module: nn.Module | None) -> bool:
    return module is not None and bool(getattr(module, _PLAIN, False))


def laid_out(images: Tensor, module: nn.Module) -> Tensor:
    """Images as `module` takes them: as they are, or in the plain layout if that is the module's.

    A copy, because torch takes images of a single channel for channels-last if their strides are those.
    """
    return images.clone(memory_format=torch.contiguous_format) if _is_plain(module) else images


def channels_last(x: Tensor, module: nn.Module | None = None) -> Tensor:
    """Features in `channels_last` on the CPU, where depthwise convolutions run two to four times faster in it.

    All later layers keep the layout. Images keep theirs: the layout of a single channel is ambiguous. Weights keep
    theirs: nothing would be gained, and safetensors refuses others. A `module` in the plain layout changes nothing.
    """
    if x.device.type != "cpu" or _is_plain(module):
        return x
    return x.contiguous(memory_format=torch.channels_last)


def _dense(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


def dense_gradient(x: Tensor, module: nn.Module | None = None) -> Tensor:
    """`x` itself; the gradient that reaches it will be dense and channels_last on the CPU.

    A concatenation hands back slices and an average an expanded number; batch norm and ReLU are 5 to 20 times
    slower on such gradients than a copy costs (torch 2.14.1, 64×16×32×32: 14 against 3 milliseconds). A `module` in
    the plain layout leaves them to torch.
    """
    if x.requires_grad and x.device.type == "cpu" and not torch.compiler.is_compiling() and not _is_plain(module):
        x.register_hook(_dense)  # type: ignore[no-untyped-call]
    return x
