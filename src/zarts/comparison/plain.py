"""A comparison as plain data, for `table.json` and for what is drawn from it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zarts.comparison.plan import Cell
from zarts.comparison.results import Found, Summary
from zarts.comparison.sections import Section
from zarts.config import dump

__all__ = ["plain_data"]


def plain_data(
    sections: Sequence[Section], found: Mapping[Cell, Found], failed: Mapping[Cell, str], out: Path
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


def _row_data(row: Summary, section: Section, found: Mapping[Cell, Found], out: Path) -> dict[str, Any]:
    searches = {cell: one for cell, one in found.items() if (cell.group, cell.row) == (section.group, row.name)}
    spreads = {
        column.name: {"mean": mean, "std": None if math.isnan(std) else std}
        for column, (mean, std) in row.spreads.items()
    }
    data = {**asdict(row), "group": section.group.title, "spreads": spreads}
    if not searches:
        return data
    settings = dump(next(iter(searches)).settings)
    seeds = {str(cell.seed): _search_data(cell, one, out) for cell, one in searches.items()}
    return {**data, "settings": {key: value for key, value in settings.items() if key != "seed"}, "seeds": seeds}


def _search_data(cell: Cell, found: Found, out: Path) -> dict[str, Any]:
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
