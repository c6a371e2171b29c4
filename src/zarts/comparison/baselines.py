"""Baselines of NAS-Bench-201: rows of a comparison that need no search."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from zarts.bench import Row, Table, convolutions, expected_cells, largest, optimum, random_cells
from zarts.bench.table import SECONDS
from zarts.comparison.results import Summary
from zarts.errors import DataError, SettingsError
from zarts.runtime.seed import keyed_generator

__all__ = ["affordable", "baselines", "cost_note"]


def baselines(table: Table, *, best_of: int | None, draws: int | None) -> list[Summary]:
    """A random cell, the best of several, a random one of convolutions, the one of 3×3 convolutions, the optimum.

    The two rows of convolutions are left out if the table lacks such a cell.

    Args:
        table: the accuracies.
        best_of: K of the row "best of K random cells", chosen by `zarts.bench.SELECT`; None leaves that row out.
        draws: moments of so many draws; None: exact moments.

    Raises:
        SettingsError: `best_of` or `draws` is out of range.
        DataError: the table has no column to choose by.
    """
    if best_of is not None and best_of < 2:
        raise SettingsError(f"best_of = {best_of}; expected at least 2: every table has the row of one random cell")
    cost = _training_seconds(table)

    def drawn(number: int) -> Row:
        if draws is None:
            return expected_cells(table, best_of=number)
        return random_cells(table, keyed_generator(0, "random cells", number), draws=draws, best_of=number)

    rows = [_summary(drawn(1))]
    if best_of is not None:
        rows.append(_summary(drawn(best_of), seconds=None if cost is None else best_of * cost))
    rows += _if_in_table(table, convolutions, largest)
    return [*rows, _summary(optimum(table))]


def affordable(table: Table, seconds: float) -> int | None:
    """How many cells can be trained for 12 epochs in the time of a search; None if fewer than two, or unknown."""
    cost = _training_seconds(table)
    return int(seconds / cost) if cost is not None and seconds >= 2 * cost else None


def cost_note(table: Table, seconds: float) -> str:
    """The note on the row "best of K random cells" where K was not given: what K is, or why there is no row."""
    cost = _training_seconds(table)
    if cost is None:
        return f"No best of several random cells at equal cost: the table has no {SECONDS}; --best-of K adds one of K."
    if affordable(table, seconds) is None:
        return (
            f"No best of several random cells: the time of a search pays for less than two trainings of {cost:.0f} s."
        )
    return f"The best of several random cells: of as many as can be trained, {cost:.0f} s each, in the longest time."


def _training_seconds(table: Table) -> float | None:
    return None if table.seconds is None else float(np.nanmean(table.seconds))


def _if_in_table(table: Table, *kinds: Callable[[Table], Row]) -> Iterator[Summary]:
    for kind in kinds:
        try:
            row = kind(table)
        except DataError:
            continue
        yield _summary(row)


def _summary(row: Row, seconds: float | None = None) -> Summary:
    return Summary(row.name, row.mean_stds, seconds=seconds)
