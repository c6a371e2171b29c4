"""What came of the searches, and what comes of them together: rows of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, stdev

from scipy.stats import wilcoxon

from zarts.bench import Column, MeanStd
from zarts.comparison.history import cells_of, identities, parameterless, sampling
from zarts.comparison.trials import Trial
from zarts.errors import RunError
from zarts.runtime.io import read_mapping
from zarts.spaces import PARAMETERLESS, Genotype, genotype_string

__all__ = ["Summary", "TrialResult", "signed_rank", "summarise", "tested", "trial_result"]


@dataclass(frozen=True)
class TrialResult:
    """What a search found.

    Args:
        architecture: the cell: the benchmark's string, or what `zarts genotype` prints.
        accuracies: its test accuracies, in percent.
        history: one number for the cell of each epoch, see `Scorer.picture`; empty for a method without epochs.
        parameterless: number of operations without parameters, in the normal cell.
        seconds: wall time of the search.
        index: of a cell that is looked up: its index in the table.
        parameters: of a network that was trained.
        retrain_seconds: wall time of its training.
        curves: other numbers of each epoch, see `zarts.comparison.history`.
    """

    architecture: str
    accuracies: Mapping[Column, float]
    history: Sequence[float]
    parameterless: int
    seconds: float
    index: int | None = None
    parameters: int | None = None
    retrain_seconds: float | None = None
    curves: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """A row of the table; None is shown as a dash.

    Args:
        name: what is in it.
        mean_stds: mean and standard deviation of each column's accuracies.
        n: number of seeds.
        worst: lowest accuracy of the first column, where anything is judged.
        seconds: mean wall time of a search.
        parameterless: mean number of operations without parameters.
        p: of the paired test against the reference.
        parameters: mean number of parameters of the trained networks.
        retrain_seconds: mean wall time of their training.
        best: highest accuracy of the first column, of n seeds; there is none of one.
    """

    name: str
    mean_stds: Mapping[Column, MeanStd]
    n: int | None = None
    worst: float | None = None
    seconds: float | None = None
    parameterless: float | None = None
    p: float | None = None
    parameters: float | None = None
    retrain_seconds: float | None = None
    best: float | None = None


def summarise(name: str, found: Sequence[TrialResult]) -> Summary:
    """The row of one or more searches."""
    columns = list(found[0].accuracies)
    values = {column: [one.accuracies[column] for one in found] for column in columns}
    first = values[columns[0]] if columns else []
    return Summary(
        name,
        {column: MeanStd(fmean(row), stdev(row) if len(row) > 1 else math.nan) for column, row in values.items()},
        len(found),
        min(first, default=None),
        fmean(one.seconds for one in found),
        fmean(one.parameterless for one in found),
        parameters=_mean(one.parameters for one in found),
        retrain_seconds=_mean(one.retrain_seconds for one in found),
        best=max(first) if len(first) > 1 else None,
    )


def _mean(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return fmean(known) if known else None


def tested(row: Summary, found: Mapping[Trial, TrialResult], column: Column | None, against: str | None) -> Summary:
    """The row with its p: paired over the seeds that both have, or against a baseline that is a single cell."""
    if against is None or column is None or row.name == against:
        return row
    theirs = {cell.seed: one.accuracies[column] for cell, one in found.items() if cell.row == against}
    if row.n is None:
        mean, std = row.mean_stds[column]
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


def trial_result(cell: Trial) -> TrialResult:
    """The architecture, its operations without parameters, and the time; without any accuracy.

    Raises:
        RunError: a file of the run cannot be read.
    """
    genotype, cells = Genotype.load(cell.folder / "genotype.json"), cells_of(cell.folder)
    seconds = read_mapping(cell.folder / "result.json").get("seconds")
    if not isinstance(seconds, int | float):
        raise RunError(f"{cell.folder / 'result.json'}: not the result of a search (it has no seconds)")
    return TrialResult(
        architecture=genotype_string(genotype),
        accuracies={},
        history=parameterless(cells),
        parameterless=genotype.count("normal", PARAMETERLESS),
        seconds=float(seconds),
        curves={"identities": identities(cells), **sampling(cell.folder)},
    )
