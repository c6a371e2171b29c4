"""What a retraining starts from, if not from random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zarts.errors import SettingsError

__all__ = ["START", "Start", "begin"]

START = "start.json"
"""File of a run that started from a trained network: how the images of that network were normalised."""

_CLASSIFIER = "classifier."


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Args:
        weights: parameters and buffers by name; the network keeps its own where there are none.
        classes: that the logits of these weights stand for; None: those of the images at hand.
    """

    weights: Mapping[str, Tensor]
    classes: tuple[str, ...] | None = None


@torch.no_grad()
def begin(network: nn.Module, start: Start, classes: tuple[str, ...]) -> None:
    """Give the network its first weights; the classifier stays new where `classes` are others than theirs.

    Raises:
        SettingsError: they are of another network.
    """
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    renewed = start.classes is not None and start.classes != classes
    for name, tensor in start.weights.items():
        if renewed and name.startswith(_CLASSIFIER):
            continue
        if name not in own or own[name].shape != tensor.shape:
            there = f"shape {tuple(own[name].shape)}" if name in own else "none of that name"
            raise SettingsError(
                f"weights_from: {name} has shape {tuple(tensor.shape)}, the network has {there}: take the genotype, "
                "channels, cells and stem that the weights are of, and images with as many channels"
            )
        own[name].copy_(tensor)
