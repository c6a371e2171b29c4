"""The first picture of a comparison: the accuracy of every seed of every row, as plain data for its template."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from zarts.reports.comparison_verdict import Conclusion, Entry
from zarts.reports.fit_labels import Axis
from zarts.reports.fit_picture import ORIGINS, accuracy_axis
from zarts.reports.fit_still import linear_ticks

__all__ = ["Dot", "DotRow", "Dots", "dots_of"]

_KINDS = {
    "found": (ORIGINS["found"][0], "found by a search"),
    "random": ORIGINS["random"],
    "hand-made": ORIGINS["hand-made"],
    "reference": ("other", "known from the table"),
}
"""Colour role and words of each kind of row, as in the picture of a fit."""


class Dot(NamedTuple):
    """An accuracy: its place in percent of the width, and what it is; `below` is at the left end, and really lower."""

    left: float
    title: str
    below: bool


class DotRow(NamedTuple):
    """A row: its dots, the place of its mean (None: left of the picture), and numbers as text."""

    name: str
    role: str
    dots: list[Dot]
    middle: float | None
    mean: str
    gap: str
    best: bool


class Dots(NamedTuple):
    """The picture: rows from the best mean down, numbers of the axis with their places, colours with their words."""

    rows: list[DotRow]
    ticks: list[tuple[float, str]]
    legend: list[tuple[str, str]]
    below: int


def dots_of(entries: Sequence[Entry], said: Conclusion) -> Dots | None:
    """The picture of rows; None where none has an accuracy.

    Args:
        entries: the rows.
        said: what they say together.
    """
    ordered = sorted(entries, key=lambda one: -one.mean)
    values = [value for one in entries for value in (one.seeds.values() or [one.mean])]
    if not values:
        return None
    axis, floor = accuracy_axis(values)
    rows = [_row(one, said, axis, floor) for one in ordered]
    ticks = [(100 * axis.part(tick), f"{tick:.4g}") for tick in linear_ticks(axis, 6)]
    legend = [_KINDS[kind] for kind in _KINDS if any(one.kind == kind for one in entries)]
    return Dots(rows, ticks, legend, sum(dot.below for row in rows for dot in row.dots))


def _row(one: Entry, said: Conclusion, axis: Axis, floor: float) -> DotRow:
    dots = [
        Dot(100 * axis.part(value) if value >= floor else 0.0, f"{one.name}, seed {seed}: {value:.2f} %", value < floor)
        for seed, value in one.seeds.items()
    ]
    return DotRow(
        name=one.name,
        role=_KINDS[one.kind][0],
        dots=dots,
        middle=100 * axis.part(one.mean) if one.mean >= floor else None,
        mean=f"{one.mean:.2f} %",
        gap=_short(said.gaps.get(one.name, "")),
        best=one.name == said.best,
    )


def _short(gap: str) -> str:
    """`−0.25 (−0.62 to +0.11)`: the unit and the level are in the note of the picture."""
    return re.sub(r"[\d.]+ % interval ", "", gap.replace(" points", ""))
