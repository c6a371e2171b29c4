"""From what a search has learnt to one genotype.

The settings of a selection are its keyword parameters, by name.
"""

from __future__ import annotations

from collections.abc import Callable

from zarts.select.best_of import best_of
from zarts.select.evolution import evolution
from zarts.select.perturbation import perturbation
from zarts.select.trained import Selected, Trained

__all__ = ["SELECTIONS", "Selected", "Trained", "argmax", "best_of", "evolution", "perturbation", "random"]


def argmax(trained: Trained) -> Selected:
    """The strongest operations on the strongest edges: `Space.derive`."""
    return Selected(trained.space.derive(trained.strengths))


def random(trained: Trained) -> Selected:
    """A genotype drawn uniformly, whatever has been learnt: `Space.random`."""
    return Selected(trained.space.random(trained.generator))


SELECTIONS: dict[str, Callable[..., Selected]] = {
    "argmax": argmax,
    "random": random,
    "best-of": best_of,
    "evolution": evolution,
    "perturbation": perturbation,
}
