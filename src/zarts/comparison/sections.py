"""Rows that can be compared with each other: a table for each group, and what all groups have in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zarts.bench import Column
from zarts.comparison.judge import Judge
from zarts.comparison.plan import Cell
from zarts.comparison.results import Found, Summary, summarise, tested
from zarts.comparison.rows import Group, slug

__all__ = ["Section", "longest_of", "sections_of"]


@dataclass(frozen=True)
class Section:
    """The table of a group.

    Args:
        group: which.
        columns: what its rows are judged by.
        rows: those of the searches, then the baselines.
        seeds: the number of them that each row was to have.
    """

    group: Group
    columns: list[Column]
    rows: list[Summary]
    seeds: int

    def picture(self, name: str) -> str:
        """The name of one of its pictures: `curves`, or of several groups `curves-s1,digits`."""
        return f"{name}-{slug(self.group.title.replace(', ', ','))}" if self.group.title else name


def sections_of(
    cells: Sequence[Cell], found: Mapping[Cell, Found], below: Sequence[Summary], judge: Judge, against: str | None
) -> list[Section]:
    """A table for each group, in the order of the searches; a row of which nothing was found is not there.

    Args:
        cells: all searches of the comparison.
        found: what they found.
        below: the baselines, which stand below each table.
        judge: what they are judged by.
        against: a row; the others of its group are tested against it.
    """
    sections = []
    for group in dict.fromkeys(cell.group for cell in cells):
        columns = judge.columns(group)
        inside = {cell: one for cell, one in found.items() if cell.group == group}
        rows = [*_summaries(inside), *below]
        seeds = len({cell.seed for cell in cells})
        sections.append(
            Section(group, columns, [tested(row, inside, next(iter(columns), None), against) for row in rows], seeds)
        )
    return sections


def longest_of(found: Mapping[Cell, Found]) -> float:
    """Mean wall time of the searches of the slowest row, in seconds; 0 if nothing was found."""
    groups = {cell.group for cell in found}
    every = (row for group in groups for row in _summaries({c: one for c, one in found.items() if c.group == group}))
    return max((row.seconds or 0.0 for row in every), default=0.0)


def _summaries(found: Mapping[Cell, Found]) -> list[Summary]:
    names = dict.fromkeys(cell.row for cell in found)
    return [summarise(name, [one for cell, one in found.items() if cell.row == name]) for name in names]
