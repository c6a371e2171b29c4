"""What the searches of a comparison are judged by: the interface."""

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
    """What the numbers of `TrialResult.history` are.

    Args:
        title: in words.
        levels: what lies at the same height everywhere; the highest there can be among it.
    """

    title: str
    levels: Mapping[str, float]


def collapse(rows: Sequence[Row]) -> Picture:
    """How near the cells of the epochs are to a collapse."""
    spaces = [get_space(row.settings.space) for row in rows]
    most = max(space.nodes * (space.keep or 1) for space in spaces)
    levels = {"more: a collapse": float(COLLAPSE), "all operations": float(most)}
    return Picture("Operations without parameters in the derived normal cell", levels)


class Scorer(ABC):
    """Says how good the cells are that searches end with; plain data, for it goes to other processes."""

    @abstractmethod
    def columns(self, group: Group) -> list[Column]:
        """What the cells of a group are judged by; rows are tested by the first."""

    @property
    def table(self) -> Table | None:
        """What is looked up beside a search, if anything is."""
        return None

    @abstractmethod
    def check(self, cells: Sequence[Trial]) -> None:
        """Refuse what could not be judged, before anything is searched.

        Raises:
            ZartsError: see the judges.
        """

    @abstractmethod
    def prepare(self, cell: Trial) -> None:
        """Do what a finished search needs before it can be judged, if anything; in a process of its own."""

    def ready(self, cell: Trial) -> bool:
        """Whether that is done."""
        return True

    def done(self, cell: Trial) -> bool:
        """Whether the search is finished and can be judged."""
        return cell.searched and self.ready(cell)

    @abstractmethod
    def score(self, cell: Trial) -> TrialResult:
        """What the search found, and how good it is.

        Raises:
            ZartsError: a file of a run cannot be read, or does not say.
        """

    def baselines(self, longest: float) -> list[Summary]:
        """The rows that need no search, if any; `longest` is the mean seconds of the slowest row's searches."""
        return []

    @abstractmethod
    def notes(self, cells: Sequence[Trial], longest: float) -> list[str]:
        """What stands below the table: what its numbers are."""

    @abstractmethod
    def picture(self, baselines: Sequence[Summary]) -> Picture:
        """What `TrialResult.history` is."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What of the scorer belongs into `table.json`."""
