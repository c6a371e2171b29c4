"""Accuracy of a network on images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from zarts.data import Batches, ImageSet
from zarts.nets.operations import Noise
from zarts.ranks import Ranks
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
def accuracy(
    network: nn.Module, batches: Batches, passes: Callable[..., Tensor] = _plain, ranks: Ranks | None = None
) -> float:
    """Percentage of images whose largest logit is that of their class; the mode is put back afterwards.

    The operation `noise` draws when testing too: here it draws the same for a batch every time, so that the file of a
    network has the accuracy that its training ended with.

    Args:
        network: gives logits.
        batches: of images in order, and their classes.
        passes: runs the network on a batch.
        ranks: the processes that share the batches, with the same network each.
    """
    ranks = ranks or Ranks()
    training = network.training
    network.eval()
    found = torch.zeros(2, dtype=torch.int64)  # right answers, images
    with _noise_of(network) as draw:
        for index in ranks.share(len(batches)):
            draw(index)
            images, labels = batches[index]
            right = (passes(network, images).argmax(1) == labels).sum()
            found += torch.stack([right.cpu(), torch.tensor(len(labels))])
    network.train(training)
    correct, total = ranks.sum(found).tolist()
    return float(100 * correct / total)


@contextmanager
def _noise_of(network: nn.Module) -> Iterator[Callable[[int], None]]:
    """Inside, all `noise` operations draw from one generator on the CPU; afterwards as before.

    Yields:
        Called with the number of a batch, it sets what they draw for that batch.
    """
    operations = [(module, module.generator) for module in network.modules() if isinstance(module, Noise)]
    fixed = torch.Generator()
    for operation, _ in operations:
        operation.generator = fixed
    try:
        yield lambda batch: _seed(fixed, batch)
    finally:
        for operation, generator in operations:
            operation.generator = generator


def _seed(generator: torch.Generator, batch: int) -> None:
    generator.manual_seed(keyed_generator("test", "noise", batch).initial_seed())
