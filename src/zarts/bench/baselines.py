"""Rows of a result table that come from look-ups alone: the best there is, and cells drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from zarts.bench.table import Column, Table
from zarts.errors import DataError, SettingsError

__all__ = ["SELECT", "Row", "Spread", "optimum", "random_cells"]

SELECT = Column("cifar10", "valid", 12)
"""What the best of several cells is chosen by: searches see CIFAR-10 and no test images."""


class Spread(NamedTuple):
    """Mean and standard deviation (of the sample, n - 1), in percent."""

    mean: float
    std: float


@dataclass(frozen=True)
class Row:
    """A row of a result table.

    Args:
        name: what the row shows.
        spreads: the accuracies of each column of the table.
    """

    name: str
    spreads: Mapping[Column, Spread]


def optimum(table: Table) -> Row:
    """The best accuracy of each column, each of an architecture of its own."""
    return Row("optimum", {column: Spread(float(np.nanmax(a)), 0.0) for column, a in table.accuracies.items()})


def random_cells(
    table: Table, generator: torch.Generator, *, draws: int = 1000, best_of: int = 1, select: Column = SELECT
) -> Row:
    """Mean and standard deviation over cells drawn uniformly, with replacement.

    Args:
        table: the table.
        generator: the source of randomness, on the CPU.
        draws: how many cells the mean is over, at least 2.
        best_of: each of them is the best of so many; 1 is plain random search's expectation.
        select: what that best one is chosen by.

    Raises:
        SettingsError: numbers that cannot be.
        DataError: the table lacks the column `select`.
    """
    if draws < 2 or best_of < 1:
        raise SettingsError(f"draws = {draws}, best_of = {best_of}; expected at least 2 and 1")
    picks = torch.randint(len(table.indices), (draws, best_of), generator=generator).numpy()
    if best_of > 1:
        if select not in table.accuracies:
            raise DataError(f"{table.where}: has no column {select.name}, which the best of {best_of} is chosen by")
        best = np.nan_to_num(table.accuracies[select], nan=-1.0)[picks].argmax(axis=1)
        picks = np.take_along_axis(picks, best[:, None], axis=1)
    chosen = picks[:, 0]
    spreads = {column: _spread(values[chosen]) for column, values in table.accuracies.items()}
    return Row("random" if best_of == 1 else f"best of {best_of} random", spreads)


def _spread(values: np.ndarray) -> Spread:
    return Spread(float(np.nanmean(values)), float(np.nanstd(values, ddof=1)))
