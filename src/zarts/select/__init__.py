"""From what a search has learnt to one genotype.

The settings of a selection are its keyword parameters, by name.
"""

from __future__ import annotations

from collections.abc import Callable

from zarts.select.best_of import best_of
from zarts.select.context import Selected, Trained
from zarts.select.evolution import evolution
from zarts.select.local_search import local_search
from zarts.select.perturbation import perturbation
from zarts.select.skip_limit import few_skips

__all__ = [
    "SELECTIONS",
    "Selected",
    "Trained",
    "argmax",
    "best_of",
    "evolution",
    "few_skips",
    "local_search",
    "perturbation",
    "random",
]


def argmax(trained: Trained, *, max_skips: int | None = None) -> Selected:
    """The strongest operations on the strongest edges, within the limits: `Within.derive`.

    Args:
        trained: the search.
        max_skips: the most that the normal cell may have, see `few_skips`; None: any number.
    """
    if max_skips is not None:
        return Selected(few_skips(trained.within, trained.strengths, max_skips))
    return Selected(trained.within.derive(trained.strengths))


def random(trained: Trained) -> Selected:
    """A genotype drawn uniformly, whatever has been learnt: `Space.random`."""
    return Selected(trained.draw_uniformly())


SELECTIONS: dict[str, Callable[..., Selected]] = {
    "argmax": argmax,
    "random": random,
    "best-of": best_of,
    "evolution": evolution,
    "perturbation": perturbation,
    "local-search": local_search,
}
