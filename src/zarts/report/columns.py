"""The columns of a comparison's table, in whatever form it is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from zarts.report.facts import duration

__all__ = ["MORE", "data_title", "spread_text", "title"]

MORE: dict[str, tuple[str, Callable[[Any], str]]] = {
    "worst": ("worst", "{:.2f}".format),
    "best": ("best of n", "{:.2f}".format),
    "parameters": ("parameters", lambda number: f"{number / 1e3:,.0f} k"),
    "seconds": ("time", duration),
    "retrain_seconds": ("retraining", duration),
    "parameterless": ("parameter-free", "{:.1f}".format),
    "p": ("p", "{:.2g}".format),
}
"""Numbers of a row, beside its accuracies: their titles, and how they are written; for a table in which some row has
such a number."""

_DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}


def title(key: str, counts: Iterable[int]) -> str:
    """The title of a column of `MORE`, where rows have so many seeds: `best of 3` if all have as many."""
    numbers = set(counts)
    return f"best of {numbers.pop()}" if key == "best" and len(numbers) == 1 else MORE[key][0]


def data_title(name: str) -> str:
    """A data set, as people write it."""
    return _DATA.get(name, name)


def spread_text(mean: float, std: float | None, n: int | None) -> str:
    """`93.10 ± 1.12`; the mean alone of a single search (its deviation is nan or None), or a cell (n is None)."""
    single = std is None or math.isnan(std) or (std == 0 and n is None)
    return f"{mean:.2f}" if single else f"{mean:.2f} ± {std:.2f}"
