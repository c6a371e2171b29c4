"""Interface of scorers, which give every trial its score."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zarts.bench import Column, Table
from zarts.comparison.grid import Group, Row
from zarts.comparison.results import Summary, TrialResult
from zarts.comparison.trials import Trial
from zarts.reports.collapse import COLLAPSE
from zarts.spaces import get_space

__all__ = ["Picture", "Scorer", "collapse"]


@dataclass(frozen=True)
class Picture:
    """Title and reference lines of the chart of `TrialResult.history`.

    Args:
        title: what the numbers are.
        levels: horizontal lines by name, the highest possible value among them.
    """

    title: str
    levels: Mapping[str, float]


def collapse(rows: Sequence[Row]) -> Picture:
    """The chart of parameterless operations by epoch, with the level above which a cell has collapsed."""
    spaces = [get_space(row.settings.space) for row in rows]
    most = max(space.nodes * (space.keep or 1) for space in spaces)
    levels = {"more: a collapse": float(COLLAPSE), "all operations": float(most)}
    return Picture("Parameterless operations in the derived normal cell", levels)


class Scorer(ABC):
    """Scores the cell that a trial ends with. A scorer is plain data, because it is sent to other processes."""

    @abstractmethod
    def columns(self, group: Group) -> list[Column]:
        """The accuracies that score the trials of a group; the test of significance uses the first one."""

    @property
    def table(self) -> Table | None:
        """The table whose accuracies are logged during a search, if there is one."""
        return None

    @abstractmethod
    def check(self, trials: Sequence[Trial]) -> None:
        """Refuse trials that could not get a score, before any search begins.

        Raises:
            ZartsError: see the scorers.
        """

    @abstractmethod
    def prepare(self, trial: Trial) -> None:
        """Do what a finished search needs before it can get a score, if anything. Runs in a process of its own."""

    def ready(self, trial: Trial) -> bool:
        """Whether `prepare` is done."""
        return True

    def done(self, trial: Trial) -> bool:
        """Whether the search is finished and can get a score."""
        return trial.searched and self.ready(trial)

    @abstractmethod
    def score(self, trial: Trial) -> TrialResult:
        """What the search found, with its accuracies.

        Raises:
            ZartsError: a file of a run cannot be read, or lacks a number.
        """

    def baselines(self, longest: float) -> list[Summary]:
        """The rows that need no search, if any; `longest` is the mean seconds of a search of the slowest row."""
        return []

    @abstractmethod
    def notes(self, trials: Sequence[Trial], longest: float) -> list[str]:
        """The notes below the table, which say what its numbers are."""

    @abstractmethod
    def picture(self, baselines: Sequence[Summary]) -> Picture:
        """Title and reference lines of the chart of `TrialResult.history`."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the scorer writes into `table.json`."""
