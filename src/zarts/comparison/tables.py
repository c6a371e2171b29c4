"""Tables of a comparison, one for each group, and their content as plain data."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zarts.bench import Column
from zarts.comparison.grid import Group, slug
from zarts.comparison.results import Summary, TrialResult, summarise, tested
from zarts.comparison.scorer import Scorer
from zarts.comparison.trials import Trial
from zarts.config import dump

__all__ = ["Section", "longest_of", "plain_data", "sections_of"]


@dataclass(frozen=True)
class Section:
    """The table of a group.

    Args:
        group: the group.
        columns: the accuracies of its rows.
        rows: the rows of trials, then the baselines.
        seeds: the number of seeds that each row was planned with.
    """

    group: Group
    columns: list[Column]
    rows: list[Summary]
    seeds: int

    def picture(self, name: str) -> str:
        """The name of one of its pictures: `curves`, or of several groups `curves-s1,digits`."""
        return f"{name}-{slug(self.group.title.replace(', ', ','))}" if self.group.title else name


def sections_of(
    trials: Sequence[Trial],
    found: Mapping[Trial, TrialResult],
    baselines: Sequence[Summary],
    scorer: Scorer,
    against: str | None,
) -> list[Section]:
    """A table for each group, in the order of the trials; a row without any result is left out.

    Args:
        trials: all trials of the comparison.
        found: their results.
        baselines: the rows at the end of each table.
        scorer: what scores the trials.
        against: a row; the others of its group are tested against it.
    """
    sections = []
    for group in dict.fromkeys(trial.group for trial in trials):
        columns = scorer.columns(group)
        inside = {trial: one for trial, one in found.items() if trial.group == group}
        rows = [*_summaries(inside), *baselines]
        seeds = len({trial.seed for trial in trials})
        sections.append(
            Section(group, columns, [tested(row, inside, next(iter(columns), None), against) for row in rows], seeds)
        )
    return sections


def longest_of(found: Mapping[Trial, TrialResult]) -> float:
    """Mean wall time of a search of the slowest row, in seconds; 0 without any result."""
    groups = {trial.group for trial in found}
    every = (row for group in groups for row in _summaries({t: one for t, one in found.items() if t.group == group}))
    return max((row.seconds or 0.0 for row in every), default=0.0)


def _summaries(found: Mapping[Trial, TrialResult]) -> list[Summary]:
    names = {trial.row: trial.handmade is not None for trial in found}
    return [
        summarise(name, [one for trial, one in found.items() if trial.row == name], handmade=handmade)
        for name, handmade in names.items()
    ]


def plain_data(
    sections: Sequence[Section], found: Mapping[Trial, TrialResult], failed: Mapping[Trial, str], out: Path
) -> dict[str, Any]:
    """All numbers for JSON: the rows, and each trial's result with the command that repeats it."""
    groups = [{**section.group._asdict(), "columns": [c.name for c in section.columns]} for section in sections]
    return {
        "columns": list(dict.fromkeys(column.name for section in sections for column in section.columns)),
        "groups": groups,
        "rows": [_row_data(row, section, found, out) for section in sections for row in section.rows],
        "failed": [
            {"row": trial.row, "group": trial.group.title, "seed": trial.seed, "error": line}
            for trial, line in failed.items()
        ],
    }


def _row_data(row: Summary, section: Section, found: Mapping[Trial, TrialResult], out: Path) -> dict[str, Any]:
    searches = {trial: one for trial, one in found.items() if (trial.group, trial.row) == (section.group, row.name)}
    spreads = {
        column.name: {"mean": mean, "std": None if math.isnan(std) else std}
        for column, (mean, std) in row.mean_stds.items()
    }
    others = {key: value for key, value in asdict(row).items() if key != "mean_stds"}
    data = {"name": row.name, "spreads": spreads, **others, "group": section.group.title}
    if not searches:
        return data
    first = next(iter(searches))
    settings = dump(first.settings) if first.handmade is None else dict(first.handmade.settings)
    seeds = {str(trial.seed): _trial_data(trial, one, out) for trial, one in searches.items()}
    return {**data, "settings": {key: value for key, value in settings.items() if key != "seed"}, "seeds": seeds}


def _trial_data(trial: Trial, found: TrialResult, out: Path) -> dict[str, Any]:
    data = {
        **{key: value for key, value in asdict(found).items() if value is not None},
        "accuracies": {column.name: accuracy for column, accuracy in found.accuracies.items()},
        "run": trial.folder.relative_to(out).as_posix(),
    }
    source = trial.folder if trial.handmade is None else trial.handmade.network
    if trial.handmade is None:
        data["command"] = f"zarts search --config {shlex.quote(str(trial.folder / 'config.yaml'))}"
    if found.parameters is not None:
        config = shlex.quote(str(trial.trained / "config.yaml"))
        data["retraining"] = f"zarts retrain {shlex.quote(str(source))} --config {config}"
    return data
