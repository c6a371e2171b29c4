"""Look-up of an architecture: its accuracies, and their ranks among all architectures of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zarts.bench.table import Column, Table

__all__ = ["Entry", "Lookup", "look_up"]


@dataclass(frozen=True)
class Entry:
    """One accuracy among those of all architectures of the table.

    Args:
        accuracy: in percent.
        rank: 1 is the best; architectures of the same accuracy share the best of their ranks.
        percentile: percentage of the other architectures that do not rank better.
        regret: accuracy of the best one less this one, in points.
    """

    accuracy: float
    rank: int
    percentile: float
    regret: float


@dataclass(frozen=True)
class Lookup:
    """The accuracies of one architecture.

    Args:
        architecture: its string.
        index: its index in the benchmark.
        cells: number of architectures in the table.
        table: the file.
        entries: its accuracies.
    """

    architecture: str
    index: int
    cells: int
    table: str
    entries: Mapping[Column, Entry]

    def to_dict(self) -> dict[str, Any]:
        """Plain data; the entries by the names of their columns."""
        entries = {column.name: asdict(entry) for column, entry in self.entries.items()}
        return {**vars(self), "entries": entries}


def look_up(table: Table, architecture: str | int) -> Lookup:
    """The accuracies of an architecture, in the order of `Column.every`.

    Args:
        table: the table.
        architecture: its string, or its index in the benchmark.

    Raises:
        DataError: the architecture is not in the table.
    """
    row = table.row_of(architecture)
    entries = {}
    for column in Column.every():
        accuracies = table.accuracies.get(column)
        if accuracies is not None and not np.isnan(accuracies[row]):
            entries[column] = _entry(accuracies[~np.isnan(accuracies)], float(accuracies[row]))
    return Lookup(table.architectures[row], table.indices[row], len(table.indices), table.where, entries)


def _entry(accuracies: np.ndarray, own: float) -> Entry:
    better = int((accuracies > own).sum())
    others = max(len(accuracies) - 1, 1)
    return Entry(own, better + 1, 100 * (1 - better / others), float(accuracies.max()) - own)
