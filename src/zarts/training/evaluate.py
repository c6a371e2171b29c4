"""Accuracy of a network on images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zarts.data import Batches, ImageSet
from zarts.training.model import ModelCard

__all__ = ["accuracy", "test_batches"]

_BATCH = 256


def test_batches(images: ImageSet, card: ModelCard, device: torch.device) -> Batches:
    """All images in order, without augmentation, normalised as the network was trained."""
    return Batches(
        images,
        None,
        batch_size=_BATCH,
        seed=0,
        stream="test",
        mean=card.mean,
        std=card.std,
        augment=None,
        device=device,
        shuffle=False,
    )


@torch.no_grad()
def accuracy(network: nn.Module, batches: Batches) -> float:
    """Percentage of images whose largest logit is that of their class; the mode is put back afterwards."""
    training = network.training
    network.eval()
    correct: list[Tensor] = [(network(images).argmax(1) == labels).sum() for images, labels in batches]
    total = sum(len(labels) for _, labels in batches)
    network.train(training)
    return 100 * int(torch.stack(correct).sum()) / total
