"""Trials: the searches of a comparison, every row with every seed, each in a run folder of its own.

The trial of a hand-made network has no search, only the training.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from zarts.api import searched_settings
from zarts.comparison.grid import Group, Row
from zarts.comparison.handmade import HandmadeRow
from zarts.config import CommonSettings, SearchSettings, dump, resumable, takes_part
from zarts.errors import SettingsError
from zarts.reports.comparison import row_label
from zarts.reports.comparison_progress import TRIALS
from zarts.runs.new_run import anchored
from zarts.runtime.io import write_atomically
from zarts.runtime.paths import path_of
from zarts.spaces import is_file

__all__ = ["Trial", "check_begun", "parse_seeds", "plan", "write_plan"]


@dataclass(frozen=True)
class Trial:
    """One search of a comparison, with its seed; of a hand-made network the training alone.

    Args:
        row: name of its row, `darts arch_learning_rate=0.01`.
        seed: its seed.
        settings: its resolved settings; of a hand-made network those of a search on the same images.
        folder: its run folder.
        group: the group of its row.
        handmade: its hand-made network, if it is none that a search derives.
    """

    row: str
    seed: int
    settings: SearchSettings
    folder: Path
    group: Group
    handmade: HandmadeRow | None = None

    @property
    def label(self) -> str:
        """The name of its row where people read it."""
        return row_label(self.row, handmade=self.handmade is not None)

    @property
    def title(self) -> str:
        """`s1, digits: darts arch_learning_rate=0.01, seed 0`."""
        return f"{f'{self.group.title}: ' * bool(self.group.title)}{self.label}, seed {self.seed}"

    @property
    def trained(self) -> Path:
        """The run folder in which the derived network is retrained, if the scorer does so."""
        return self.folder.with_name(f"{self.folder.name}-retrained")

    @property
    def searched(self) -> bool:
        """Whether the search is finished, if there is one."""
        return self.handmade is not None or (self.folder / "result.json").exists()


def parse_seeds(text: str | int) -> range:
    """`10` as the seeds 0 to 9, `100-119` as the seeds from 100 to 119.

    Raises:
        SettingsError: neither a number nor a range, or no seed in it.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)", str(text).strip())
    seeds = range(0)
    if match:
        seeds = range(int(match[2])) if match[1] is None else range(int(match[1]), int(match[2]) + 1)
    if not seeds:
        raise SettingsError(f"seeds = {text}: expected their number, 1 or more, or a range like 100-119")
    return seeds


def plan(
    rows: Sequence[Row],
    seeds: str | int,
    *,
    out: Path,
    table: Path | None = None,
    baselines: Sequence[HandmadeRow] = (),
) -> list[Trial]:
    """All trials, row by row; each in the folder `out/ROW/seedK`.

    A hand-made network has trials in every group. Those of groups with the same images share a folder, and are one
    training.

    Args:
        rows: see `zarts.comparison.grid.rows_of`.
        seeds: see `parse_seeds`.
        out: the folder of the comparison.
        table: the setting `benchmark_table` of every trial.
        baselines: the hand-made networks; they take images and threads from the first row with the same images.

    Raises:
        SettingsError: invalid seeds, or a folder that holds a search with other settings.
        DataError: the images do not exist.
        RunError: a folder cannot be read.
    """
    trials: list[Trial] = []
    numbers, first = parse_seeds(seeds), dict[str, SearchSettings]()
    for row in rows:
        settings = row.settings
        threads = (settings.threads or 1) if takes_part("threads", settings) else None
        fixed = anchored(settings).model_copy(
            update={"threads": threads, "benchmark_table": table, "space": _space(settings)}
        )
        first.setdefault(row.group.data, fixed)
        trials += [
            Trial(row.name, seed, fixed.model_copy(update={"seed": seed}), out / row.folder / f"seed{seed}", row.group)
            for seed in numbers
        ]
    for one, group in product(baselines, dict.fromkeys(row.group for row in rows)):
        settings = first[group.data]
        folder = out / one.folder(settings)
        trials += [
            Trial(one.name, seed, settings.model_copy(update={"seed": seed}), folder / f"seed{seed}", group, one)
            for seed in numbers
        ]
    for trial in trials:
        if (trial.folder / "config.yaml").exists():
            check_begun(trial.folder, searched_settings(trial.folder), anchored(trial.settings))
    return trials


def write_plan(trials: Sequence[Trial], out: Path, *, trained: bool) -> None:
    """Write `trials.json`, from which the report of a comparison that has not finished is made.

    Args:
        trials: all of them.
        out: the folder of the comparison.
        trained: whether networks are trained after their search.

    Raises:
        RunError: the file cannot be written.
    """
    planned = [
        {
            "group": trial.group.title,
            "row": trial.label,
            "seed": trial.seed,
            "run": trial.folder.relative_to(out).as_posix(),
            "handmade": trial.handmade is not None,
        }
        for trial in trials
    ]
    text = json.dumps({"trained": trained, "trials": planned}, indent=2, ensure_ascii=False)
    write_atomically(out / TRIALS, text + "\n")


def _space(settings: SearchSettings) -> str:
    """The name of the space; of a space file its absolute path, so that another process can read it."""
    space = settings.space
    return str(path_of(space).resolve()) if is_file(space) else space


def check_begun(folder: Path, then: CommonSettings, now: CommonSettings) -> None:
    """Refuse a folder that was begun with other settings.

    Raises:
        SettingsError: settings differ; the message names the first of them.
    """
    before, after = dump(then), dump(now)
    other = {key for key in {*before, *after} - set(resumable(type(now))) if before.get(key) != after.get(key)}
    if other:
        key = min(other)
        raise SettingsError(
            f"{folder}: was begun with {key} = {before.get(key)}, not {after.get(key)}: choose another --out"
        )
