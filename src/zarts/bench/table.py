"""Table of accuracies in memory, independent of the format of its file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from zarts.errors import DataError, SettingsError
from zarts.spaces.nasbench201 import from_string, to_string

__all__ = ["DATA_SETS", "SECONDS", "Column", "Table"]

DATA_SETS = ("cifar10", "cifar100", "imagenet16-120")
"""The data sets of NAS-Bench-201."""

SECONDS = "cifar10_seconds_12"
"""The column of a CSV or parquet file with the time of training for 12 epochs on CIFAR-10."""


class Column(NamedTuple):
    """What an accuracy was measured on: data set, split (`valid` or `test`), and after how many epochs of training.

    After a training of a time, `epochs` is that time: `600s`.
    """

    data: str
    split: str
    epochs: int | str

    @property
    def name(self) -> str:
        """The column's name in a CSV or parquet file: `cifar10_test_200`."""
        return "_".join(map(str, self))

    @staticmethod
    def every() -> Iterator[Column]:
        """All possible columns, by data set, then from 12 to 200 epochs."""
        return (
            Column(data, split, epochs) for data in DATA_SETS for epochs in (12, 200) for split in ("valid", "test")
        )

    @staticmethod
    def tests() -> tuple[Column, ...]:
        """The columns that score a search: test accuracies after 200 epochs, CIFAR-10's first."""
        return tuple(Column(data, "test", 200) for data in DATA_SETS)


@dataclass(frozen=True, eq=False)
class Table:
    """Accuracies of architectures; made by `Table.build`, which checks.

    Args:
        where: name of the file, for messages.
        indices: the benchmark's index of each row.
        architectures: the string of each row.
        accuracies: for each column of the file the accuracies in percent; nan where one is missing.
        seconds: training time of each for 12 epochs on CIFAR-10, nan where unknown; None if the file has no times.
    """

    where: str
    indices: tuple[int, ...]
    architectures: tuple[str, ...]
    accuracies: Mapping[Column, Float64[np.ndarray, " rows"]]
    seconds: Float64[np.ndarray, " rows"] | None = None

    @staticmethod
    def build(
        where: str,
        indices: Sequence[int],
        architectures: Sequence[str],
        accuracies: Mapping[Column, Sequence[float]],
        seconds: Sequence[float] | None = None,
    ) -> Table:
        """A checked table, its strings in canonical order.

        Raises:
            DataError: no rows or columns, a row that appears twice, an invalid string or number.
        """
        if not architectures or not accuracies:
            expected = "architecture and some of " + ", ".join(column.name for column in Column.every())
            raise DataError(f"{where}: no accuracies of NAS-Bench-201; expected rows with the columns {expected}")
        try:
            names = tuple(to_string(from_string(text)) for text in architectures)
        except SettingsError as error:
            raise DataError(f"{where}: {error}") from None
        for what, keys in (("architecture", Counter(names)), ("index", Counter(map(str, indices)))):
            twice, count = keys.most_common(1)[0]
            if count > 1:
                raise DataError(f"{where}: {what} {twice} appears {count} times")
        arrays = {column: np.asarray(values, dtype=np.float64) for column, values in accuracies.items()}
        for column, values in arrays.items():
            wrong = values[(values < 0) | (values > 100)]
            if wrong.size:
                raise DataError(f"{where}: {column.name} is {wrong[0]:g}; accuracies are percentages, 0 to 100")
        times = None if seconds is None else np.asarray(seconds, dtype=np.float64)
        if times is not None and not (times[~np.isnan(times)] > 0).all():
            raise DataError(f"{where}: {SECONDS} is {np.nanmin(times):g}; expected seconds, above 0")
        return Table(where, tuple(indices), names, arrays, times)

    def row_of(self, architecture: str | int) -> int:
        """The row of a string in canonical order, or of a benchmark's index.

        Raises:
            DataError: the architecture is not in the table.
        """
        row = self._rows.get(architecture)
        if row is None:
            what = f"index {architecture}" if isinstance(architecture, int) else f"architecture {architecture}"
            raise DataError(f"{self.where}: has no {what} (its {len(self.indices)} indices end at {max(self.indices)})")
        return row

    @cached_property
    def _rows(self) -> dict[str | int, int]:
        rows: dict[str | int, int] = {name: row for row, name in enumerate(self.architectures)}
        return rows | {index: row for row, index in enumerate(self.indices)}
