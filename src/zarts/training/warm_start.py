"""Weights from which a retraining starts, if they are not random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zarts.errors import SettingsError

__all__ = ["START", "Start", "begin"]

START = "start.json"
"""File of a run that starts from a trained network: the normalisation of that network's images."""

_CLASSIFIER = "classifier."


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Args:
        weights: parameters and buffers by name; for other names the network keeps its own.
        classes: the classes of these weights' logits; None: those of the images of the run.
    """

    weights: Mapping[str, Tensor]
    classes: tuple[str, ...] | None = None


@torch.no_grad()
def begin(network: nn.Module, start: Start, classes: tuple[str, ...]) -> None:
    """Copy the start's weights into the network; if its classes differ from `classes`, the classifier stays new.

    Raises:
        SettingsError: the weights are of another network.
    """
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    new_classifier = start.classes is not None and start.classes != classes
    for name, tensor in start.weights.items():
        if new_classifier and name.startswith(_CLASSIFIER):
            continue
        if name not in own or own[name].shape != tensor.shape:
            there = f"shape {tuple(own[name].shape)}" if name in own else "none of that name"
            raise SettingsError(
                f"weights_from: {name} has shape {tuple(tensor.shape)}, the network has {there}: take the "
                "architecture of the weights, and images with as many channels"
            )
        own[name].copy_(tensor)
