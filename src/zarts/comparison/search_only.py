"""Searches alone: what they find is counted, not trained; for a look at how searches go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from zarts.bench import Column
from zarts.comparison.footnotes import many_seeds
from zarts.comparison.grid import Group, Row
from zarts.comparison.results import Found, Summary, found_by
from zarts.comparison.scorer import Judge, Picture, collapse
from zarts.comparison.trials import Cell

__all__ = ["Unjudged"]


class Unjudged(Judge):
    """Judges nothing.

    Args:
        rows: the rows of the comparison.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._picture = collapse(rows)

    @override
    def columns(self, group: Group) -> list[Column]:
        return []

    @override
    def check(self, cells: Sequence[Cell]) -> None:
        """Nothing is refused."""

    @override
    def prepare(self, cell: Cell) -> None:
        """Nothing is needed."""

    @override
    def judge(self, cell: Cell) -> Found:
        """What the search found, see `found_by`."""
        return found_by(cell)

    @override
    def notes(self, cells: Sequence[Cell], longest: float) -> list[str]:
        return [
            f"Searches alone, n of {many_seeds(cells)}: nothing was retrained. time: of a search. parameter-free: "
            "pools and skips in the normal cell."
        ]

    @override
    def picture(self, baselines: Sequence[Summary]) -> Picture:
        return self._picture

    @override
    def facts(self) -> dict[str, Any]:
        return {}
