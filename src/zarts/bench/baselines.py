"""Baselines that need no search: the optimum, random cells, cells of convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from zarts.bench.table import Column, Table
from zarts.errors import DataError, SettingsError
from zarts.spaces.genotype import Choice, Genotype
from zarts.spaces.nasbench201 import NASBENCH201, to_string

__all__ = ["SELECT", "MeanStd", "Row", "convolutions", "expected_cells", "largest", "optimum", "random_cells"]

SELECT = Column("cifar10", "valid", 12)
"""The column that the best of several cells is chosen by: like a search, it uses CIFAR-10 and no test images."""


class MeanStd(NamedTuple):
    """Mean and standard deviation, in percent: of a sample (n - 1), or of a distribution that is known exactly."""

    mean: float
    std: float


@dataclass(frozen=True)
class Row:
    """A row of a result table.

    Args:
        name: what the row shows.
        mean_stds: the accuracies of each column of the table.
    """

    name: str
    mean_stds: Mapping[Column, MeanStd]


def optimum(table: Table) -> Row:
    """The best accuracy of each column; the columns may have different best architectures."""
    return Row("optimum", {column: MeanStd(float(np.nanmax(a)), 0.0) for column, a in table.accuracies.items()})


def random_cells(
    table: Table, generator: torch.Generator, *, draws: int = 1000, best_of: int = 1, select: Column = SELECT
) -> Row:
    """Mean and standard deviation over cells drawn uniformly, with replacement.

    Args:
        table: the table.
        generator: the source of randomness, on the CPU.
        draws: number of cells that the mean is over, at least 2.
        best_of: each of them is the best of so many random cells; 1: a random cell.
        select: the column that the best one is chosen by.

    Raises:
        SettingsError: `draws` or `best_of` is out of range.
        DataError: the table lacks the column `select`.
    """
    if draws < 2 or best_of < 1:
        raise SettingsError(f"draws = {draws}, best_of = {best_of}; expected at least 2 and 1")
    picks = torch.randint(len(table.indices), (draws, best_of), generator=generator).numpy()
    if best_of > 1:
        best = _chosen_by(table, select, best_of)[picks].argmax(axis=1)
        picks = np.take_along_axis(picks, best[:, None], axis=1)
    chosen = picks[:, 0]
    mean_stds = {column: _sample_moments(values[chosen]) for column, values in table.accuracies.items()}
    return Row(_named(best_of), mean_stds)


def expected_cells(table: Table, *, best_of: int = 1, select: Column = SELECT) -> Row:
    """The exact moments of the distribution that `random_cells` draws from.

    Of k cells drawn with replacement from n, the best one ranks r-th from below with
    probability (r / n)^k - ((r - 1) / n)^k; cells of equal value share theirs.

    Args:
        table: the table.
        best_of: k; 1: a random cell.
        select: the column that the best one is chosen by.

    Raises:
        SettingsError: k is below 1.
        DataError: the table lacks the column `select`.
    """
    if best_of < 1:
        raise SettingsError(f"best_of = {best_of}; expected at least 1")
    chance = np.full(len(table.indices), 1 / len(table.indices))
    if best_of > 1:
        _, ranks, counts = np.unique(_chosen_by(table, select, best_of), return_inverse=True, return_counts=True)
        up_to = np.concatenate([[0.0], counts.cumsum() / counts.sum()]) ** best_of
        chance = (np.diff(up_to) / counts)[ranks]
    return Row(_named(best_of), {column: _moments(values, chance) for column, values in table.accuracies.items()})


def convolutions(table: Table) -> Row:
    """Moments over all cells of 1×1 and 3×3 convolutions: random cells without parameterless operations."""
    cells = product(("nor_conv_1x1", "nor_conv_3x3"), repeat=len(NASBENCH201.edges))
    return _over(table, "random cell of convolutions", [_cell(ops) for ops in cells])


def largest(table: Table) -> Row:
    """The cell of 3×3 convolutions alone, which has the most parameters of all cells."""
    return _over(table, "all 3×3, the most parameters", [_cell(("nor_conv_3x3",) * len(NASBENCH201.edges))])


def _cell(ops: tuple[str, ...]) -> str:
    nodes: dict[int, list[Choice]] = {}
    for (node, source), op in zip(NASBENCH201.edges, ops, strict=True):
        nodes.setdefault(node, []).append(Choice(op, source))
    return to_string(Genotype(NASBENCH201.name, {"normal": tuple(map(tuple, nodes.values()))}))


def _over(table: Table, name: str, architectures: list[str]) -> Row:
    rows = np.array([table.row_of(architecture) for architecture in architectures])
    even = np.full(len(rows), 1 / len(rows))
    return Row(name, {column: _moments(values[rows], even) for column, values in table.accuracies.items()})


def _chosen_by(table: Table, select: Column, best_of: int) -> Float64[np.ndarray, " rows"]:
    if select not in table.accuracies:
        raise DataError(f"{table.where}: has no column {select.name}, which the best of {best_of} is chosen by")
    values = table.accuracies[select]
    return np.where(np.isnan(values), -1.0, values)


def _named(best_of: int) -> str:
    return "random cell" if best_of == 1 else f"best of {best_of} random cells"


def _moments(values: Float64[np.ndarray, " rows"], chance: Float64[np.ndarray, " rows"]) -> MeanStd:
    """Mean and standard deviation of a distribution; missing accuracies are left out."""
    known = ~np.isnan(values)
    values, weights = values[known], chance[known] / chance[known].sum()
    mean = float(weights @ values)
    return MeanStd(mean, float(np.sqrt(weights @ (values - mean) ** 2)))


def _sample_moments(values: np.ndarray) -> MeanStd:
    return MeanStd(float(np.nanmean(values)), float(np.nanstd(values, ddof=1)))
