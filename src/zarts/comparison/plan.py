"""What is compared: methods with settings times seeds, each of them a search of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zarts.api import searched_settings
from zarts.config import UNTIED, CommonSettings, SearchSettings, dump, members, row_settings, used
from zarts.errors import SettingsError
from zarts.folders import anchored
from zarts.methods import get_method

__all__ = ["Cell", "check_begun", "parse_row", "parse_seeds", "plan", "rows_of"]

_ELSEWHERE = {"method": "--methods", "seed": "--seeds", "table": "--table"}
"""What is not a setting of a row or of all rows, and what says it."""


@dataclass(frozen=True)
class Cell:
    """One search of a comparison.

    Args:
        row: the row that it belongs to, `darts alpha_lr=0.01`.
        seed: its seed.
        settings: its settings, resolved.
        folder: its run folder.
    """

    row: str
    seed: int
    settings: SearchSettings
    folder: Path

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


def parse_row(text: str) -> dict[str, Any]:
    """`darts alpha_lr=0.01` as settings: a method, and what the row has of its own; values are read as YAML.

    Raises:
        SettingsError: there is no such method, a word has no equals sign, or a setting is not a row's.
    """
    method, *words = text.split() or [""]
    values: dict[str, Any] = {"method": get_method(method).name}
    for word in words:
        key, sign, value = word.partition("=")
        key = key.replace("-", "_")
        if not sign:
            raise SettingsError(f"row {text!r}: {word!r} has not the form key=value; rows are divided by commas")
        if key in _ELSEWHERE:
            raise SettingsError(f"row {text!r}: {key} is no setting of a row: it is said by {_ELSEWHERE[key]}")
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SettingsError(f"row {text!r}: {word!r} cannot be read as YAML ({error})") from error
    return values


def rows_of(
    methods: str | Sequence[str], shared: Mapping[str, Any], *, preset: str | None = None, config: Path | None = None
) -> dict[str, SearchSettings]:
    """The rows and their settings.

    Args:
        methods: the rows, `darts,darts alpha_lr=0.01`, or a list of them.
        shared: settings of all rows; a row that does not use one goes without it.
        preset: name of a preset.
        config: a YAML file with settings.

    Raises:
        SettingsError: rows or settings that cannot be.
    """
    texts = methods.split(",") if isinstance(methods, str) else methods
    rows = {" ".join(text.split()): parse_row(text) for text in texts}
    if len(rows) < len(texts):
        raise SettingsError(f"methods = {', '.join(texts)}: a row is there twice")
    for key in ("method", "seed"):
        if key in shared:
            raise SettingsError(f"{key} is no setting of a comparison: take {_ELSEWHERE[key]}")
    searches = {name: row_settings(name, own, shared, preset=preset, config=config) for name, own in rows.items()}
    for key in shared:
        if not any(used(key, members(settings)) for settings in searches.values()):
            raise SettingsError(f"{key} is used by none of {', '.join(searches)}: leave it out")
    return searches


def plan(rows: Mapping[str, SearchSettings], seeds: str | int, *, out: Path, table: Path | None = None) -> list[Cell]:
    """All searches, row by row; each seed of a row in the folder `out/ROW/seedK`.

    Args:
        rows: see `rows_of`.
        seeds: see `parse_seeds`.
        out: the folder of the comparison.
        table: what each search has its setting `table` from.

    Raises:
        SettingsError: seeds that cannot be; a folder that holds a search with other settings.
        DataError: there are no such images.
        RunError: a folder that cannot be read.
    """
    cells: list[Cell] = []
    for name, settings in rows.items():
        threads = (settings.threads or 1) if used("threads", members(settings)) else None
        fixed = anchored(settings).model_copy(update={"threads": threads, "table": table})
        cells += [
            Cell(name, seed, fixed.model_copy(update={"seed": seed}), out / _slug(name) / f"seed{seed}")
            for seed in parse_seeds(seeds)
        ]
    for cell in cells:
        if (cell.folder / "config.yaml").exists():
            check_begun(cell.folder, searched_settings(cell.folder), cell.settings)
    return cells


def check_begun(folder: Path, then: CommonSettings, now: CommonSettings) -> None:
    """Refuse a folder that was begun with other settings.

    Raises:
        SettingsError: with the first that differs.
    """
    before, after = dump(then), dump(now)
    other = {key for key in {*before, *after} - set(UNTIED) if before.get(key) != after.get(key)}
    if other:
        key = min(other)
        raise SettingsError(
            f"{folder}: was begun with {key} = {before.get(key)}, not {after.get(key)}: choose another --out"
        )


def _slug(name: str) -> str:
    return re.sub(r"[^\w.,=+-]", "_", name.replace(" ", ","))
