"""Selections: from a trained supernet to a genotype.

Outside, use `SELECTIONS` with a `SelectionContext`; the settings of a selection are its keyword parameters.
"""

from __future__ import annotations

from collections.abc import Callable

from zarts.select.best_of import best_of
from zarts.select.context import Selected, SelectionContext
from zarts.select.evolution import evolution
from zarts.select.local_search import local_search
from zarts.select.perturbation import perturbation
from zarts.select.skip_limit import few_skips

__all__ = [
    "SELECTIONS",
    "Selected",
    "SelectionContext",
    "argmax",
    "best_of",
    "evolution",
    "few_skips",
    "local_search",
    "perturbation",
    "random",
]


def argmax(context: SelectionContext, *, max_skips: int | None = None) -> Selected:
    """The strongest operations on the strongest edges, within the limits: `Constraints.derive`.

    Args:
        context: the search.
        max_skips: largest number of skips in the normal cell, see `few_skips`; None: any number.
    """
    if max_skips is not None:
        return Selected(few_skips(context.constraints, context.strengths, max_skips))
    return Selected(context.constraints.derive(context.strengths))


def random(context: SelectionContext) -> Selected:
    """A genotype drawn uniformly within the limits, whatever the search has learnt."""
    return Selected(context.draw_uniformly())


SELECTIONS: dict[str, Callable[..., Selected]] = {
    "argmax": argmax,
    "random": random,
    "best-of": best_of,
    "evolution": evolution,
    "perturbation": perturbation,
    "local-search": local_search,
}
