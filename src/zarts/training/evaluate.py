"""Accuracy of a network on images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from zarts.data import Batches, ImageSet
from zarts.nets.operations import Noise
from zarts.seeds import keyed_generator
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


def _plain(network: nn.Module, images: Tensor) -> Tensor:
    logits: Tensor = network(images)
    return logits


@torch.no_grad()
def accuracy(network: nn.Module, batches: Batches, passes: Callable[..., Tensor] = _plain) -> float:
    """Percentage of images whose largest logit is that of their class; the mode is put back afterwards.

    The operation `noise` draws when testing too: here it draws the same every time, so that the file of a network
    has the accuracy that its training ended with.

    Args:
        network: gives logits.
        batches: of images in order, and their classes.
        passes: runs the network on a batch.
    """
    training = network.training
    network.eval()
    with _same_noise(network):
        correct: list[Tensor] = [(passes(network, images).argmax(1) == labels).sum() for images, labels in batches]
    total = sum(len(labels) for _, labels in batches)
    network.train(training)
    return 100 * int(torch.stack(correct).sum()) / total


@contextmanager
def _same_noise(network: nn.Module) -> Iterator[None]:
    """Inside, all `noise` operations draw from one generator with a fixed seed, on the CPU; afterwards as before."""
    operations = [(module, module.generator) for module in network.modules() if isinstance(module, Noise)]
    fixed = keyed_generator("test", "noise")
    for operation, _ in operations:
        operation.generator = fixed
    try:
        yield
    finally:
        for operation, generator in operations:
            operation.generator = generator
