"""Parameters and MACs of a network, counted as in the papers' tables."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["count_macs", "count_parameters"]


def count_parameters(model: nn.Module, *, auxiliary: bool = False) -> int:
    """Number of parameters.

    Args:
        model: any module.
        auxiliary: whether those of `auxiliary_head` count too; the papers' tables leave them out, because the head is
            dropped after training.
    """
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if auxiliary or not name.startswith("auxiliary_head.")
    )


def count_macs(model: nn.Module, input_shape: Sequence[int]) -> int:
    """MACs of the convolutions and linear layers for one image; the papers count no other layers.

    Nothing is computed and the model does not change: a copy of it runs on torch's meta device.

    Args:
        model: a module that takes a batch of images.
        input_shape: `(channels, height, width)` of an image.

    Differs: papers publish larger numbers for the same networks, from counters that were not released. At 48 channels,
        14 cells and 224×224 there are here, and by torch's own counter, 529.9 million for DARTS_V2 (574 in its paper),
        581.6 for PC_DARTS_image (597), 542.8 for PDARTS (557); with four operations for each number out of a batch norm
        (subtract, divide, scale, shift) 546.5, 599.5 and 559.2.
    """
    counts: list[int] = []
    shadow = copy.deepcopy(model).to("meta").eval()
    for layer in shadow.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda layer, _, output: counts.append(_products(layer, output)))
    with torch.no_grad():
        shadow(torch.zeros(1, *input_shape, device="meta"))
    return sum(counts)


def _products(layer: nn.Module, output: Tensor) -> int:
    """One number out takes one row of the weight."""
    return output.numel() * layer.get_parameter("weight")[0].numel()
