"""A comparison as Markdown, CSV, LaTeX and plain data."""

from __future__ import annotations

import csv
import io
import math
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zarts.bench import Column, Spread
from zarts.comparison.plan import Cell
from zarts.comparison.results import Found, Summary
from zarts.config import dump
from zarts.report.facts import duration

__all__ = ["many_seeds", "notes_of", "plain_data", "title_of", "to_csv", "to_latex", "to_markdown"]

_DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}
_DASH = "–"


def to_markdown(rows: Sequence[Summary], columns: Sequence[Column], notes: Sequence[str]) -> str:
    """A table, and below it what its columns mean."""
    head = _head(columns, rows)
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *(_texts(row, columns, head) for row in rows)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\n" + "\n".join(notes) + "\n"


def to_csv(rows: Sequence[Summary], columns: Sequence[Column]) -> str:
    """A line a row, every number in full; what there is not is empty."""
    file = io.StringIO()
    names = [f"{column.name}_{part}" for column in columns for part in Spread._fields]
    writer = csv.writer(file, lineterminator="\n")
    more = ["worst", "seconds", "parameterless", "p", "parameters", "retrain_seconds"]
    writer.writerow(["row", "n", *names, *more])
    for row in rows:
        numbers = [number for column in columns for number in row.spreads[column]]
        every = [row.name, row.n, *numbers, *(getattr(row, name) for name in more)]
        writer.writerow(["" if value is None or value != value else value for value in every])
    return file.getvalue()


def to_latex(rows: Sequence[Summary], columns: Sequence[Column], notes: Sequence[str]) -> str:
    r"""A `tabular` that needs no package; the notes as comments."""
    head = _head(columns, rows)
    comments = [f"% {note}" for note in notes]
    body = [" & ".join(map(_escaped, _texts(row, columns, head))) + r" \\" for row in rows]
    begin, end = rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}", r"\end{tabular}"
    title = " & ".join(map(_escaped, head)) + r" \\"
    return "\n".join([*comments, begin, r"\hline", title, r"\hline", *body, r"\hline", end, ""])


def title_of(column: Column) -> str:
    """The data set of a column, as people write it."""
    return _DATA.get(column.data, column.data)


def many_seeds(cells: Sequence[Cell]) -> str:
    """`seeds 0 to 9`."""
    seeds = sorted({cell.seed for cell in cells})
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"


def notes_of(cells: Sequence[Cell], failed: Mapping[Cell, str], first: Column, against: str | None) -> list[str]:
    """What stands below every table: what its test is, and what is not in it."""
    notes = []
    if against is not None:
        notes.append(
            f"p: on {title_of(first)}, against {against}; Wilcoxon's signed-rank test, two-sided, paired over seeds "
            "(a single cell is paired with every seed); not corrected for the number of rows."
        )
    if failed:
        notes.append(f"{len(failed)} of {len(cells)} searches failed and are not in the table.")
    return notes


def plain_data(
    rows: Sequence[Summary],
    columns: Sequence[Column],
    found: Mapping[Cell, Found],
    failed: Mapping[Cell, str],
    out: Path,
) -> dict[str, Any]:
    """All numbers for JSON: the rows, and of each search what it found and the command that repeats it."""
    return {
        "columns": [column.name for column in columns],
        "rows": [_row_data(row, found, out) for row in rows],
        "failed": [{"row": cell.row, "seed": cell.seed, "error": line} for cell, line in failed.items()],
    }


def _row_data(row: Summary, found: Mapping[Cell, Found], out: Path) -> dict[str, Any]:
    searches = {cell: one for cell, one in found.items() if cell.row == row.name}
    spreads = {
        column.name: {"mean": mean, "std": None if math.isnan(std) else std}
        for column, (mean, std) in row.spreads.items()
    }
    data = {**asdict(row), "spreads": spreads}
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


def _head(columns: Sequence[Column], rows: Sequence[Summary]) -> list[str]:
    more = [title for title, (of, _) in _MORE.items() if any(of(row) is not None for row in rows)]
    return ["", "n", *map(title_of, columns), *more]


def _texts(row: Summary, columns: Iterable[Column], head: Sequence[str]) -> list[str]:
    return [
        row.name,
        _or_dash(row.n, str),
        *(_spread(*row.spreads[column], row.n) for column in columns),
        *(_or_dash(of(row), form) for title, (of, form) in _MORE.items() if title in head),
    ]


def _or_dash(value: Any, form: Callable[[Any], str]) -> str:
    return _DASH if value is None else form(value)


_MORE: dict[str, tuple[Callable[[Summary], float | None], Callable[[Any], str]]] = {
    "worst": (lambda row: row.worst, "{:.2f}".format),
    "parameters": (lambda row: row.parameters, lambda number: f"{number / 1e3:,.0f} k"),
    "time": (lambda row: row.seconds, duration),
    "retraining": (lambda row: row.retrain_seconds, duration),
    "parameter-free": (lambda row: row.parameterless, "{:.1f}".format),
    "p": (lambda row: row.p, "{:.2g}".format),
}
"""Columns that are there if some row has something for them."""


def _spread(mean: float, std: float, n: int | None) -> str:
    single = math.isnan(std) or (std == 0 and n is None)
    return f"{mean:.2f}" if single else f"{mean:.2f} ± {std:.2f}"


def _escaped(text: str) -> str:
    text = re.sub(r"([%&_#$])", r"\\\1", text)
    return text.replace("±", r"$\pm$").replace("×", r"$\times$").replace(_DASH, "--")
