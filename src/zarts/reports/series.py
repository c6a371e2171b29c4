"""Series of numbers from the events of a run: ordered, finite, and short enough to draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

__all__ = ["Band", "Series", "alpha_steps", "bands", "by_epoch", "per_epoch"]

_BINS = 240

Event = Mapping[str, Any]


class Series(NamedTuple):
    """One line: `y` over `x`."""

    x: list[float]
    y: list[float]


class Band(NamedTuple):
    """Lowest, mean and highest over `x`."""

    x: list[float]
    low: list[float]
    mean: list[float]
    high: list[float]


def by_epoch(events: Iterable[Event], name: str) -> list[Event]:
    """The events of one name, one for each epoch. A resumed run may write an epoch twice: the last event counts."""
    found = {event["epoch"]: event for event in events if event.get("event") == name and _number(event.get("epoch"))}
    return [found[epoch] for epoch in sorted(found)]


def per_epoch(events: Sequence[Event], *keys: str) -> Series:
    """The value at the path `keys` of each epoch; epochs without a finite value are left out."""
    points = [(float(event["epoch"]), _at(event, keys)) for event in events]
    return Series([x for x, y in points if y is not None], [y for _, y in points if y is not None])


def alpha_steps(events: Iterable[Event]) -> list[Event]:
    """The updates of alpha in the order of the search; of an update written twice the last event counts."""
    found: dict[tuple[float, ...], Event] = {}
    for event in events:
        if event.get("event") == "alpha_step":
            key = tuple(float(event[k]) if _number(event.get(k)) else 0.0 for k in ("epoch", "step", "update"))
            found[key] = event
    return [found[key] for key in sorted(found)]


def bands(values: Sequence[Sequence[Any]]) -> Band:
    """Minimum, mean and maximum of the values of each step, counted from 1.

    With more than 240 steps, neighbouring steps share a bin, which has the minimum of the minima, the mean of the means
    and the maximum of the maxima. Steps without a finite value are left out.
    """
    finite = [(step, [float(v) for v in row if _number(v)]) for step, row in enumerate(values, start=1)]
    rows = [(step, row) for step, row in finite if row]
    size = max(1, math.ceil(len(rows) / _BINS))
    bins = [rows[i : i + size] for i in range(0, len(rows), size)]
    return Band(
        [fmean(step for step, _ in part) for part in bins],
        [min(min(row) for _, row in part) for part in bins],
        [fmean(fmean(row) for _, row in part) for part in bins],
        [max(max(row) for _, row in part) for part in bins],
    )


def _at(event: Event, keys: Sequence[str]) -> float | None:
    value: Any = event
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if _number(value) else None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
