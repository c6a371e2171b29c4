"""What came of the searches: judged one by one, then put together by rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from scipy.stats import wilcoxon

from zarts.bench import Column, Lookup, Spread, Table, look_up
from zarts.comparison.plan import Cell
from zarts.errors import DataError, RunError
from zarts.files import read_mapping
from zarts.spaces import Genotype
from zarts.spaces.nasbench201 import to_string

__all__ = ["Found", "Summary", "judge", "judged_by", "signed_rank", "summarise", "tested"]


@dataclass(frozen=True)
class Found:
    """What a search found.

    Args:
        architecture: the benchmark's string.
        index: its index there.
        accuracies: its true test accuracies, in percent.
        history: that of the first column for the cell of each epoch; empty for a method without epochs.
        parameterless: number of operations without parameters.
        seconds: wall time of the search.
    """

    architecture: str
    index: int
    accuracies: Mapping[Column, float]
    history: Sequence[float]
    parameterless: int
    seconds: float


def judged_by(table: Table) -> list[Column]:
    """The columns that searches are judged by: of `Column.tests` those that the table has.

    Raises:
        DataError: it has none of them.
    """
    columns = [column for column in Column.tests() if column in table.accuracies]
    if not columns:
        names = ", ".join(column.name for column in Column.tests())
        raise DataError(f"{table.where}: has none of the columns {names}, which searches are judged by")
    return columns


def judge(cell: Cell, table: Table) -> Found:
    """Look up what a finished search found, at its end and after each epoch.

    Raises:
        DataError: the table lacks it.
        RunError: a file of the run cannot be read.
    """
    files = sorted((cell.folder / "genotypes").glob("epoch_*.json"))
    first, *_ = columns = judged_by(table)
    at_end = _looked_up(cell.folder / "genotype.json", table, columns)
    result = read_mapping(cell.folder / "result.json")
    try:
        return Found(
            architecture=at_end.architecture,
            index=at_end.index,
            accuracies={column: at_end.entries[column].accuracy for column in columns},
            history=[_looked_up(file, table, columns).entries[first].accuracy for file in files],
            parameterless=sum(result["parameterless"].values()),
            seconds=float(result["seconds"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        where = cell.folder / "result.json"
        raise RunError(f"{where}: not the result of a search ({type(error).__name__}: {error})") from error


def _looked_up(file: Path, table: Table, columns: Sequence[Column]) -> Lookup:
    found = look_up(table, to_string(Genotype.load(file)))
    missing = [column.name for column in columns if column not in found.entries]
    if missing:
        raise DataError(f"{table.where}: has no {missing[0]} of architecture {found.architecture}")
    return found


@dataclass(frozen=True)
class Summary:
    """A row of the table; None is shown as a dash.

    Args:
        name: what is in it.
        spreads: mean and standard deviation of each column's accuracies.
        n: number of seeds.
        worst: lowest accuracy of the first column.
        seconds: mean wall time of a search.
        parameterless: mean number of operations without parameters.
        p: of the paired test against the reference.
    """

    name: str
    spreads: Mapping[Column, Spread]
    n: int | None = None
    worst: float | None = None
    seconds: float | None = None
    parameterless: float | None = None
    p: float | None = None


def summarise(name: str, found: Sequence[Found]) -> Summary:
    """The row of one or more searches."""
    columns = list(found[0].accuracies)
    values = {column: [one.accuracies[column] for one in found] for column in columns}
    return Summary(
        name,
        {column: Spread(fmean(row), stdev(row) if len(row) > 1 else math.nan) for column, row in values.items()},
        len(found),
        min(values[columns[0]]),
        fmean(one.seconds for one in found),
        fmean(one.parameterless for one in found),
    )


def tested(row: Summary, found: Mapping[Cell, Found], column: Column, against: str | None) -> Summary:
    """The row with its p: paired over the seeds that both have, or against a baseline that is a single cell."""
    if against is None or row.name == against:
        return row
    theirs = {cell.seed: one.accuracies[column] for cell, one in found.items() if cell.row == against}
    if row.n is None:
        mean, std = row.spreads[column]
        ours = dict.fromkeys(theirs, mean) if std == 0 else {}
    else:
        ours = {cell.seed: one.accuracies[column] for cell, one in found.items() if cell.row == row.name}
    both = sorted(ours.keys() & theirs.keys())
    return replace(row, p=signed_rank([ours[seed] for seed in both], [theirs[seed] for seed in both]))


def signed_rank(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """P of Wilcoxon's signed-rank test of pairs, two-sided; exact for up to 50 pairs without ties.

    The test asks for no normal distribution, which accuracies with a few collapsed cells among them are far from.
    Five pairs or fewer never reach p = 0.05.

    Returns:
        None where no pair differs.
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    if not any(differences):
        return None
    return float(wilcoxon(differences).pvalue)
