"""A network together with the normalization of its images, as it is exported."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.networks import AnyNetwork
from zarts.training import ModelCard

__all__ = ["Served"]


class Served(nn.Module):
    """Images scaled to [0, 1] in, logits out: the normalization is inside, so that nobody can forget it.

    Args:
        network: in evaluation mode.
        card: has the mean and the standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: AnyNetwork, card: ModelCard) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(card.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(card.std)[:, None, None])

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """The logits."""
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits
