"""What exported files have in common: the normalization of the images, their form, and the card's place."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from zarts.networks import AnyNetwork
from zarts.training import ModelCard

__all__ = ["EXTRA", "Pixels", "Served"]

EXTRA = "zarts"
"""Key of the `ModelCard` as JSON inside ONNX and TorchScript files."""

Pixels = Literal["float", "uint8"]
"""What an exported file takes: images scaled to [0, 1], or levels from 0 to 255."""


class Served(nn.Module):
    """Images in, logits out: the normalization is inside, so that nobody can forget it.

    Args:
        network: in evaluation mode.
        card: has the mean and the standard deviation.
        pixels: whether images are scaled to [0, 1], or have levels from 0 to 255.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: AnyNetwork, card: ModelCard, pixels: Pixels = "float") -> None:
        super().__init__()
        self.network, self.pixels = network, pixels
        self.register_buffer("mean", torch.tensor(card.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(card.std)[:, None, None])

    def forward(
        self, images: Float[Tensor, "batch channels height width"] | UInt8[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """The logits."""
        if self.pixels == "uint8":
            images = images.float() / 255
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits
