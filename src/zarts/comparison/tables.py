"""Rows that can be compared with each other: a table for each group, and what all groups have in one."""

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
        group: which.
        columns: what its rows are judged by.
        rows: those of the searches, then the baselines.
        seeds: the number of them that each row was to have.
    """

    group: Group
    columns: list[Column]
    rows: list[Summary]
    seeds: int

    def picture(self, name: str) -> str:
        """The name of one of its pictures: `curves`, or of several groups `curves-s1,digits`."""
        return f"{name}-{slug(self.group.title.replace(', ', ','))}" if self.group.title else name


def sections_of(
    cells: Sequence[Trial],
    found: Mapping[Trial, TrialResult],
    below: Sequence[Summary],
    scorer: Scorer,
    against: str | None,
) -> list[Section]:
    """A table for each group, in the order of the searches; a row of which nothing was found is not there.

    Args:
        cells: all searches of the comparison.
        found: what they found.
        below: the baselines, which stand below each table.
        scorer: what they are judged by.
        against: a row; the others of its group are tested against it.
    """
    sections = []
    for group in dict.fromkeys(cell.group for cell in cells):
        columns = scorer.columns(group)
        inside = {cell: one for cell, one in found.items() if cell.group == group}
        rows = [*_summaries(inside), *below]
        seeds = len({cell.seed for cell in cells})
        sections.append(
            Section(group, columns, [tested(row, inside, next(iter(columns), None), against) for row in rows], seeds)
        )
    return sections


def longest_of(found: Mapping[Trial, TrialResult]) -> float:
    """Mean wall time of the searches of the slowest row, in seconds; 0 if nothing was found."""
    groups = {cell.group for cell in found}
    every = (row for group in groups for row in _summaries({c: one for c, one in found.items() if c.group == group}))
    return max((row.seconds or 0.0 for row in every), default=0.0)


def _summaries(found: Mapping[Trial, TrialResult]) -> list[Summary]:
    names = dict.fromkeys(cell.row for cell in found)
    return [summarise(name, [one for cell, one in found.items() if cell.row == name]) for name in names]


def plain_data(
    sections: Sequence[Section], found: Mapping[Trial, TrialResult], failed: Mapping[Trial, str], out: Path
) -> dict[str, Any]:
    """All numbers for JSON: the rows, and of each search what it found and the command that repeats it."""
    groups = [{**section.group._asdict(), "columns": [c.name for c in section.columns]} for section in sections]
    return {
        "columns": list(dict.fromkeys(column.name for section in sections for column in section.columns)),
        "groups": groups,
        "rows": [_row_data(row, section, found, out) for section in sections for row in section.rows],
        "failed": [
            {"row": cell.row, "group": cell.group.title, "seed": cell.seed, "error": line}
            for cell, line in failed.items()
        ],
    }


def _row_data(row: Summary, section: Section, found: Mapping[Trial, TrialResult], out: Path) -> dict[str, Any]:
    searches = {cell: one for cell, one in found.items() if (cell.group, cell.row) == (section.group, row.name)}
    mean_stds = {
        column.name: {"mean": mean, "std": None if math.isnan(std) else std}
        for column, (mean, std) in row.mean_stds.items()
    }
    data = {**asdict(row), "group": section.group.title, "mean_stds": mean_stds}
    if not searches:
        return data
    settings = dump(next(iter(searches)).settings)
    seeds = {str(cell.seed): _search_data(cell, one, out) for cell, one in searches.items()}
    return {**data, "settings": {key: value for key, value in settings.items() if key != "seed"}, "seeds": seeds}


def _search_data(cell: Trial, found: TrialResult, out: Path) -> dict[str, Any]:
    data = {
        **{key: value for key, value in asdict(found).items() if value is not None},
        "accuracies": {column.name: accuracy for column, accuracy in found.accuracies.items()},
        "run": cell.folder.relative_to(out).as_posix(),
        "command": f"zarts search --config {shlex.quote(str(cell.folder / 'config.yaml'))}",
    }
    if found.parameters is not None:
        config = shlex.quote(str(cell.trained / "config.yaml"))
        data["retraining"] = f"zarts retrain {shlex.quote(str(cell.folder))} --config {config}"
    return data
