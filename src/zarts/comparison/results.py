"""Trial results and their summaries, which are the rows of a table."""

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
from zarts.reports.comparison import row_label
from zarts.runtime.io import read_mapping
from zarts.spaces import PARAMETERLESS, Genotype, genotype_string

__all__ = ["Summary", "TrialResult", "signed_rank", "summarise", "tested", "trial_result"]


@dataclass(frozen=True)
class TrialResult:
    """What the search of a trial found, or what its hand-made network reaches.

    Args:
        architecture: the derived cell as the benchmark's string, or as `zarts genotype` prints it; a hand-made network
            as its row.
        accuracies: its test accuracies, in percent.
        history: one number for the cell of each epoch, see `Scorer.picture`; empty for a method without epochs.
        parameterless: number of parameterless operations in the normal cell; None: there is no cell.
        seconds: wall time of the search; None: there is none.
        index: index of the cell in the table; None: it was not looked up.
        parameters: of the retrained network; None: nothing was retrained.
        retrain_seconds: wall time of the retraining.
        curves: other numbers of each epoch, see `zarts.comparison.history`.
    """

    architecture: str
    accuracies: Mapping[Column, float]
    history: Sequence[float]
    parameterless: int | None
    seconds: float | None
    index: int | None = None
    parameters: int | None = None
    retrain_seconds: float | None = None
    curves: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """A row of the table; None is shown as a dash.

    Args:
        name: name of the row.
        mean_stds: mean and standard deviation of each column's accuracies.
        n: number of seeds.
        worst: lowest accuracy of the first column, if there is one.
        seconds: mean wall time of a search.
        parameterless: mean number of parameterless operations.
        p: p-value of the paired test against the reference row.
        parameters: mean number of parameters of the retrained networks.
        retrain_seconds: mean wall time of a retraining.
        best: highest accuracy of the first column; None for a single seed.
        handmade: whether it is a hand-made network.
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
    handmade: bool = False

    @property
    def label(self) -> str:
        """Its name where people read it."""
        return row_label(self.name, handmade=self.handmade)


def summarise(name: str, found: Sequence[TrialResult], *, handmade: bool = False) -> Summary:
    """The row of one or more trials."""
    columns = list(found[0].accuracies)
    values = {column: [one.accuracies[column] for one in found] for column in columns}
    first = values[columns[0]] if columns else []
    return Summary(
        name,
        {column: MeanStd(fmean(row), stdev(row) if len(row) > 1 else math.nan) for column, row in values.items()},
        len(found),
        min(first, default=None),
        _mean(one.seconds for one in found),
        _mean(one.parameterless for one in found),
        parameters=_mean(one.parameters for one in found),
        retrain_seconds=_mean(one.retrain_seconds for one in found),
        best=max(first) if len(first) > 1 else None,
        handmade=handmade,
    )


def _mean(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return fmean(known) if known else None


def tested(row: Summary, found: Mapping[Trial, TrialResult], column: Column | None, against: str | None) -> Summary:
    """The row with its p: paired over the seeds of both rows; a baseline of a single cell is paired with every seed."""
    if against is None or column is None or row.name == against:
        return row
    theirs = {trial.seed: one.accuracies[column] for trial, one in found.items() if trial.row == against}
    if row.n is None:
        mean, std = row.mean_stds[column]
        ours = dict.fromkeys(theirs, mean) if std == 0 else {}
    else:
        ours = {trial.seed: one.accuracies[column] for trial, one in found.items() if trial.row == row.name}
    both = sorted(ours.keys() & theirs.keys())
    return replace(row, p=signed_rank([ours[seed] for seed in both], [theirs[seed] for seed in both]))


def signed_rank(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """The p-value of Wilcoxon's signed-rank test of pairs, two-sided; exact for up to 50 pairs without ties.

    The test assumes no normal distribution: accuracies with a few collapsed cells among them are far from one.
    Five pairs or fewer never reach p = 0.05.

    Returns:
        The p-value; None if no pair differs.
    """
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    if not any(differences):
        return None
    return float(wilcoxon(differences).pvalue)


def trial_result(trial: Trial) -> TrialResult:
    """The derived cell, its parameterless operations, and the time of the search; without any accuracy.

    Of a hand-made network only its name.

    Raises:
        RunError: a file of the run cannot be read.
    """
    if trial.handmade is not None:
        return TrialResult(trial.handmade.name, {}, [], None, None)
    genotype, cells = Genotype.load(trial.folder / "genotype.json"), cells_of(trial.folder)
    seconds = read_mapping(trial.folder / "result.json").get("seconds")
    if not isinstance(seconds, int | float):
        raise RunError(f"{trial.folder / 'result.json'}: not the result of a search (no number of seconds)")
    return TrialResult(
        architecture=genotype_string(genotype),
        accuracies={},
        history=parameterless(cells),
        parameterless=genotype.count("normal", PARAMETERLESS),
        seconds=float(seconds),
        curves={"identities": identities(cells), **sampling(trial.folder)},
    )
