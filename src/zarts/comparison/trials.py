"""What is searched: the rows of a comparison times seeds, each of them a run of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zarts.api import searched_settings
from zarts.comparison.grid import Group, Row
from zarts.config import CommonSettings, SearchSettings, dump, resumable, takes_part
from zarts.errors import SettingsError
from zarts.runs.new_run import anchored
from zarts.spaces import is_file

__all__ = ["Trial", "check_begun", "parse_seeds", "plan"]


@dataclass(frozen=True)
class Trial:
    """One search of a comparison.

    Args:
        row: the row that it belongs to, `darts arch_learning_rate=0.01`.
        seed: its seed.
        settings: its settings, resolved.
        folder: its run folder.
        group: where its row is compared.
    """

    row: str
    seed: int
    settings: SearchSettings
    folder: Path
    group: Group

    @property
    def title(self) -> str:
        """`s1, digits: darts arch_learning_rate=0.01, seed 0`."""
        return f"{f'{self.group.title}: ' * bool(self.group.title)}{self.row}, seed {self.seed}"

    @property
    def trained(self) -> Path:
        """The run folder of its network's training, where that is needed."""
        return self.folder.with_name(f"{self.folder.name}-retrained")

    @property
    def searched(self) -> bool:
        """Whether the search has a result."""
        return (self.folder / "result.json").exists()


def parse_seeds(text: str | int) -> range:
    """`10` as the seeds 0 to 9, `100-119` as those from the first to the last.

    Raises:
        SettingsError: no number or range, or an empty one.
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)", str(text).strip())
    seeds = range(0)
    if match:
        seeds = range(int(match[2])) if match[1] is None else range(int(match[1]), int(match[2]) + 1)
    if not seeds:
        raise SettingsError(f"seeds = {text}: expected their number, 1 or more, or a range like 100-119")
    return seeds


def plan(rows: Sequence[Row], seeds: str | int, *, out: Path, table: Path | None = None) -> list[Trial]:
    """All searches, row by row; each seed of a row in the folder `out/ROW/seedK`.

    Args:
        rows: see `zarts.comparison.grid.rows_of`.
        seeds: see `parse_seeds`.
        out: the folder of the comparison.
        table: what each search has its setting `benchmark_table` from.

    Raises:
        SettingsError: seeds that cannot be; a folder that holds a search with other settings.
        DataError: there are no such images.
        RunError: a folder that cannot be read.
    """
    cells: list[Trial] = []
    for row in rows:
        settings = row.settings
        threads = (settings.threads or 1) if takes_part("threads", settings) else None
        fixed = anchored(settings).model_copy(
            update={"threads": threads, "benchmark_table": table, "space": _space(settings)}
        )
        cells += [
            Trial(row.name, seed, fixed.model_copy(update={"seed": seed}), out / row.folder / f"seed{seed}", row.group)
            for seed in parse_seeds(seeds)
        ]
    for cell in cells:
        if (cell.folder / "config.yaml").exists():
            check_begun(cell.folder, searched_settings(cell.folder), anchored(cell.settings))
    return cells


def _space(settings: SearchSettings) -> str:
    """The name of its space, or the whole path of its file, which another process can read."""
    space = settings.space
    return str(Path(space).expanduser().resolve()) if is_file(space) else space


def check_begun(folder: Path, then: CommonSettings, now: CommonSettings) -> None:
    """Refuse a folder that was begun with other settings.

    Raises:
        SettingsError: with the first that differs.
    """
    before, after = dump(then), dump(now)
    other = {key for key in {*before, *after} - set(resumable(type(now))) if before.get(key) != after.get(key)}
    if other:
        key = min(other)
        raise SettingsError(
            f"{folder}: was begun with {key} = {before.get(key)}, not {after.get(key)}: choose another --out"
        )
