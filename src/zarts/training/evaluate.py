"""Evaluation of a network: its answers to images, and its accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from zarts.data import Batches, Images
from zarts.networks.operations import Noise
from zarts.runtime.distributed import Ranks
from zarts.runtime.seed import keyed_generator
from zarts.training.model_file import ModelCard

__all__ = ["Answers", "accuracy", "answers", "test_batches"]

_BATCH = 256


def test_batches(images: Images, card: ModelCard, device: torch.device) -> Batches:
    """All images in order, without augmentation, normalised as in the training of the network."""
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


@dataclass(frozen=True)
class Answers:
    """The answers of a network to n images.

    Args:
        labels: (n,), the true classes.
        predicted: (n,), the class of the largest logit.
        losses: (n,), the cross-entropy of each image.
    """

    labels: Int64[Tensor, " n"]
    predicted: Int64[Tensor, " n"]
    losses: Float[Tensor, " n"]

    @property
    def accuracy(self) -> float:
        """Percentage of images whose largest logit is that of their class."""
        return 100 * int((self.predicted == self.labels).sum()) / len(self.labels)


@torch.no_grad()
def answers(
    network: nn.Module,
    batches: Batches,
    passes: Callable[..., Tensor] = _plain,
    ranks: Ranks | None = None,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> Answers:
    """The answers of the network in evaluation mode; the network keeps its mode.

    The operation `noise` draws in evaluation too. Here its draws for a batch are the same every time, so that a saved
    network has the accuracy with which its training ended.

    Args:
        network: returns logits.
        batches: batches of images in order, with their classes.
        passes: runs the network on a batch.
        ranks: the processes that share the batches, each with the same network.
        report: called with the number of batches that are done, and of all.
    """
    ranks = ranks or Ranks()
    training = network.training
    network.eval()
    found = torch.zeros(3, round(batches.mean_size * len(batches)), dtype=torch.float64)
    with _noise_of(network) as draw:
        for index in ranks.share(len(batches)):
            report(index, len(batches))
            draw(index)
            images, labels = batches[index]
            logits = passes(network, images).float()
            losses = F.cross_entropy(logits, labels, reduction="none")
            start = index * batches.batch_size
            found[:, start : start + len(labels)] = torch.stack([labels, logits.argmax(1), losses]).cpu()
    network.train(training)
    labels, predicted, losses = ranks.all_reduce(found)
    return Answers(labels.long(), predicted.long(), losses)


def accuracy(network: nn.Module, batches: Batches) -> float:
    """Percentage of images whose largest logit is that of their class, see `answers`."""
    return answers(network, batches).accuracy


@contextmanager
def _noise_of(network: nn.Module) -> Iterator[Callable[[int], None]]:
    """Inside, all `noise` operations draw from one generator on the CPU; afterwards from their own again.

    Yields:
        A function that seeds the draws for the batch of the given number.
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
