"""Scorer without accuracies, for comparisons of searches alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from zarts.bench import Column
from zarts.comparison.footnotes import many_seeds
from zarts.comparison.grid import Group, Row
from zarts.comparison.results import Summary, TrialResult, trial_result
from zarts.comparison.scorer import Picture, Scorer, collapse
from zarts.comparison.trials import Trial

__all__ = ["SearchOnlyScorer"]


class SearchOnlyScorer(Scorer):
    """Reports what a search found and gives it no accuracy: nothing is looked up or retrained.

    Args:
        rows: the rows of the comparison.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._picture = collapse(rows)

    @override
    def columns(self, group: Group) -> list[Column]:
        return []

    @override
    def check(self, trials: Sequence[Trial]) -> None:
        """Nothing is refused."""

    @override
    def prepare(self, trial: Trial) -> None:
        """Nothing to do."""

    @override
    def score(self, trial: Trial) -> TrialResult:
        """What the search found, see `trial_result`."""
        return trial_result(trial)

    @override
    def notes(self, trials: Sequence[Trial], longest: float) -> list[str]:
        return [
            f"Searches alone, n of {many_seeds(trials)}: nothing was retrained. time: of a search. parameterless: "
            "pools and skips in the normal cell."
        ]

    @override
    def picture(self, baselines: Sequence[Summary]) -> Picture:
        return self._picture

    @override
    def facts(self) -> dict[str, Any]:
        return {}
