"""What is compared: methods with settings times seeds, each of them a search of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zarts.api import searched_settings
from zarts.config import UNTIED, SearchSettings, dump, members, row_settings, used
from zarts.errors import SettingsError
from zarts.folders import anchored
from zarts.methods import get_method
from zarts.spaces.nasbench201 import NASBENCH201

__all__ = ["Cell", "parse_row", "parse_seeds", "plan"]

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
    def finished(self) -> bool:
        """Whether it has a result."""
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


def plan(
    methods: str | Sequence[str],
    seeds: str | int,
    shared: Mapping[str, Any],
    *,
    preset: str | None,
    config: Path | None,
    table: Path,
    out: Path,
) -> list[Cell]:
    """All searches, row by row; each seed of a row in the folder `out/ROW/seedK`.

    Args:
        methods: the rows, `darts,darts alpha_lr=0.01`, or a list of them.
        seeds: see `parse_seeds`.
        shared: settings of all rows; a row that does not use one goes without it.
        preset: name of a preset.
        config: a YAML file with settings.
        table: what each search has its setting `table` from.
        out: the folder of the comparison.

    Raises:
        SettingsError: rows, seeds or settings that cannot be; a folder that holds a search with other settings.
        DataError: there are no such images.
        RunError: a folder that cannot be read.
    """
    texts = methods.split(",") if isinstance(methods, str) else methods
    rows = {" ".join(text.split()): parse_row(text) for text in texts}
    if len(rows) < len(texts):
        raise SettingsError(f"methods = {', '.join(texts)}: a row is there twice")
    for key in ("method", "seed"):
        if key in shared:
            raise SettingsError(f"{key} is no setting of a comparison: take {_ELSEWHERE[key]}")
    searches = {name: row_settings(name, own, shared, preset=preset, config=config) for name, own in rows.items()}
    _check_searches(searches, shared)
    cells: list[Cell] = []
    for name, settings in searches.items():
        threads = (settings.threads or 1) if used("threads", members(settings)) else None
        fixed = anchored(settings).model_copy(update={"threads": threads, "table": table})
        cells += [
            Cell(name, seed, fixed.model_copy(update={"seed": seed}), out / _slug(name) / f"seed{seed}")
            for seed in parse_seeds(seeds)
        ]
    for cell in cells:
        _check_begun(cell)
    return cells


def _slug(name: str) -> str:
    return re.sub(r"[^\w.,=+-]", "_", name.replace(" ", ","))


def _check_searches(searches: Mapping[str, SearchSettings], shared: Mapping[str, Any]) -> None:
    for name, settings in searches.items():
        if settings.space != NASBENCH201.name:
            raise SettingsError(
                f"row {name!r} searches in space {settings.space!r}, whose cells no table has: "
                f"take --space {NASBENCH201.name}"
            )
    for key in shared:
        if not any(used(key, members(settings)) for settings in searches.values()):
            raise SettingsError(f"{key} is used by none of {', '.join(searches)}: leave it out")


def _check_begun(cell: Cell) -> None:
    """Refuse a folder that was begun with other settings."""
    if not (cell.folder / "config.yaml").exists():
        return
    then, now = dump(searched_settings(cell.folder)), dump(cell.settings)
    other = {key for key in {*then, *now} - set(UNTIED) if then.get(key) != now.get(key)}
    if other:
        key = min(other)
        raise SettingsError(
            f"{cell.folder}: was begun with {key} = {then.get(key)}, not {now.get(key)}: choose another --out"
        )
