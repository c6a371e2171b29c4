"""Selections with the settings of a search: which setting goes into which parameter."""

from __future__ import annotations

from collections.abc import Callable

from zarts.config import ArgmaxSettings, DrawSettings, EvolutionSettings, PerturbationSettings, SearchSettings
from zarts.select import (
    Selected,
    SelectionContext,
    argmax,
    best_of,
    evolution,
    local_search,
    perturbation,
    random,
)

__all__ = ["select"]


def _argmax(context: SelectionContext, settings: ArgmaxSettings) -> Selected:
    return argmax(context, max_skips=settings.max_skips)


def _random(context: SelectionContext, settings: SearchSettings) -> Selected:
    return random(context)


def _best_of(context: SelectionContext, settings: DrawSettings) -> Selected:
    return best_of(context, select_samples=settings.select_samples)


def _evolution(context: SelectionContext, settings: EvolutionSettings) -> Selected:
    return evolution(
        context,
        select_samples=settings.select_samples,
        select_generations=settings.select_generations,
        select_parents=settings.select_parents,
        select_mutation=settings.select_mutation,
    )


def _perturbation(context: SelectionContext, settings: PerturbationSettings) -> Selected:
    return perturbation(context, select_order=settings.select_order, select_tune_steps=settings.select_tune_steps)


def _local_search(context: SelectionContext, settings: SearchSettings) -> Selected:
    return local_search(
        context,
        ablation=settings.ablation,
        select_rounds=settings.select_rounds,
        select_samples=settings.select_samples,
        select_screen_steps=settings.select_screen_steps,
        select_finalists=settings.select_finalists,
        select_early_steps=settings.select_early_steps,
    )


_FACTORIES: dict[str, Callable[[SelectionContext, SearchSettings], Selected]] = {
    "argmax": _argmax,
    "random": _random,
    "best-of": _best_of,
    "evolution": _evolution,
    "perturbation": _perturbation,
    "local-search": _local_search,
}
"""One for each of `zarts.select.SELECTIONS`; each takes only the settings of its selection."""


def select(name: str, context: SelectionContext, settings: SearchSettings) -> Selected:
    """The genotype by selection `name`, a key of `zarts.select.SELECTIONS`."""
    return _FACTORIES[name](context, settings)
