"""Scorer for the space `nasbench201`: true accuracies from a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from zarts.bench import SELECT, Column, Lookup, Table, look_up
from zarts.comparison.baselines import affordable, baselines, cost_note
from zarts.comparison.footnotes import many_seeds, title_of
from zarts.comparison.grid import Group
from zarts.comparison.history import sampling
from zarts.comparison.results import Summary, TrialResult
from zarts.comparison.scorer import Picture, Scorer
from zarts.comparison.trials import Trial
from zarts.errors import DataError, RunError
from zarts.runtime.io import epoch_files, read_mapping
from zarts.spaces import Genotype
from zarts.spaces.nasbench201 import to_string

__all__ = ["TabularScorer"]


class TabularScorer(Scorer):
    """Looks up the derived cell of a trial.

    Args:
        table: the accuracies.
        best_of: K of the row "best of K random cells"; None: as many as can be trained in the time of the slowest
            method.
        draws: the rows of random cells are means of so many draws; None: exact expectations.

    Raises:
        DataError: the table has none of the columns that score a trial.
        SettingsError: `best_of` or `draws` is out of range.
    """

    def __init__(self, table: Table, *, best_of: int | None, draws: int | None) -> None:
        self._table, self._best_of, self._draws = table, best_of, draws
        self._columns = [column for column in Column.tests() if column in table.accuracies]
        if not self._columns:
            names = ", ".join(column.name for column in Column.tests())
            raise DataError(f"{table.where}: has none of the columns {names}, one of which scores a trial")
        baselines(table, best_of=best_of, draws=draws)  # raises errors now, not after the searches

    @override
    def columns(self, group: Group) -> list[Column]:
        return self._columns

    @property
    @override
    def table(self) -> Table:
        return self._table

    @override
    def check(self, trials: Sequence[Trial]) -> None:
        """Nothing is refused: `__init__` has checked the table."""

    @override
    def prepare(self, trial: Trial) -> None:
        """Nothing to do."""

    @override
    def score(self, trial: Trial) -> TrialResult:
        """Look up the cells that a finished search derived, at its end and after each epoch.

        Raises:
            DataError: the table lacks a cell.
            RunError: a file of the run cannot be read.
        """
        files = epoch_files(trial.folder / "genotypes").values()
        at_end = self._look_up(trial.folder / "genotype.json")
        result = read_mapping(trial.folder / "result.json")
        try:
            return TrialResult(
                architecture=at_end.architecture,
                accuracies={column: at_end.entries[column].accuracy for column in self._columns},
                history=[self._look_up(file).entries[self._columns[0]].accuracy for file in files],
                parameterless=sum(result["parameterless"].values()),
                seconds=float(result["seconds"]),
                index=at_end.index,
                curves=sampling(trial.folder),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            where = trial.folder / "result.json"
            raise RunError(f"{where}: not the result of a search ({type(error).__name__}: {error})") from error

    def _look_up(self, file: Path) -> Lookup:
        found = look_up(self._table, to_string(Genotype.load(file)))
        missing = [column.name for column in self._columns if column not in found.entries]
        if missing:
            raise DataError(f"{self._table.where}: has no {missing[0]} of architecture {found.architecture}")
        return found

    @override
    def baselines(self, longest: float) -> list[Summary]:
        best_of = self._best_of or affordable(self._table, longest)
        return baselines(self._table, best_of=best_of, draws=self._draws)

    @override
    def notes(self, trials: Sequence[Trial], longest: float) -> list[str]:
        exact = "exact" if self._draws is None else f"{self._draws:,} draws"
        return [
            "Test accuracy of the cells found, in %, after 200 epochs of training: mean ± standard deviation, "
            f"n of {many_seeds(trials)}. worst, best of n: the lowest and the highest of the n on "
            f"{title_of(self._columns[0])}; the more seeds, the higher a best. time: of a search. "
            "parameterless: of a cell's six operations.",
            f"Rows without n come from the table alone; random cells: {exact}, "
            f"the best of several is chosen by {SELECT.name}.",
            *([cost_note(self._table, longest)] if self._best_of is None else []),
        ]

    @override
    def picture(self, baselines: Sequence[Summary]) -> Picture:
        column = self._columns[0]
        levels = {row.name: row.mean_stds[column].mean for row in (baselines[0], baselines[-1])}
        return Picture(f"True test accuracy of the derived cell on {title_of(column)}, %", levels)

    @override
    def facts(self) -> dict[str, Any]:
        return {"table": {"file": self._table.where, "cells": len(self._table.indices)}}
