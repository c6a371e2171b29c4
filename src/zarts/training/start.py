"""What a retraining starts from, if not from random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zarts.errors import SettingsError

__all__ = ["Start", "begin"]

_CLASSIFIER = "classifier."


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Args:
        weights: parameters and buffers by name; the network keeps its own where there are none.
        mean: per channel, that the images of these weights were normalised by; None: that of the images at hand.
        std: likewise.
        renewed: whether the classifier is new: the images have other classes.
    """

    weights: Mapping[str, Tensor]
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    renewed: bool = False


@torch.no_grad()
def begin(network: nn.Module, start: Start) -> None:
    """Give the network its first weights.

    Raises:
        SettingsError: they are of another network.
    """
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    for name, tensor in start.weights.items():
        if start.renewed and name.startswith(_CLASSIFIER):
            continue
        if name not in own or own[name].shape != tensor.shape:
            there = f"shape {tuple(own[name].shape)}" if name in own else "none of that name"
            raise SettingsError(
                f"weights_from: {name} has shape {tuple(tensor.shape)}, the network has {there}: take the genotype, "
                "channels, cells and stem that the weights are of, and images with as many channels"
            )
        own[name].copy_(tensor)
