"""From what a search has learnt to one genotype."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from zarts.spaces import Genotype, Space

__all__ = ["SELECTIONS", "argmax", "random"]


def argmax(space: Space, weights: Mapping[str, Tensor], generator: torch.Generator) -> Genotype:
    """The strongest operations on the strongest edges: `Space.derive`."""
    return space.derive(weights)


def random(space: Space, weights: Mapping[str, Tensor], generator: torch.Generator) -> Genotype:
    """A genotype drawn uniformly, whatever the weights: `Space.random`."""
    return space.random(generator)


SELECTIONS: dict[str, Callable[[Space, Mapping[str, Tensor], torch.Generator], Genotype]] = {
    "argmax": argmax,
    "random": random,
}
