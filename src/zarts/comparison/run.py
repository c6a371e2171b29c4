"""The comparison: what is left of it is searched, all is judged, and tables and a picture are written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zarts.bench import Column, Table, find_table, read_table
from zarts.comparison.baselines import affordable, baselines, cost_note
from zarts.comparison.formats import notes_of, plain_data, title_of, to_csv, to_latex, to_markdown
from zarts.comparison.plan import Cell, plan
from zarts.comparison.results import Found, Summary, judge, judged_by, summarise, tested
from zarts.comparison.searching import alone_in, search_all
from zarts.engine import Listener, check_alone, environment
from zarts.errors import SettingsError, ZartsError, unknown
from zarts.files import write_atomically
from zarts.report.truths import draw_truths

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Args:
        rows: the rows of its table: those of the searches, then the baselines.
        columns: what they were judged by.
        found: what each search found.
        failed: why others did not, in a line.
        markdown: the table.
        out: the folder, with `table.md`, `.csv`, `.tex`, `.json` and `curves.svg`, `.png`.
    """

    rows: list[Summary]
    columns: list[Column]
    found: Mapping[Cell, Found]
    failed: Mapping[Cell, str]
    markdown: str
    out: Path


def compare(
    methods: str | Sequence[str],
    seeds: str | int,
    *,
    table: Path | str = "auto",
    out: Path | str | None = None,
    preset: str | None = None,
    config: Path | str | None = None,
    jobs: int | None = None,
    against: str | None = None,
    best_of: int | None = None,
    draws: int | None = None,
    trust: bool = False,
    listener: Listener | None = None,
    **options: Any,
) -> Comparison:
    """Search by several methods with several seeds, and put what they found into a table.

    Every search is an ordinary run in `out/ROW/seedK`. What is finished is not searched again, what was interrupted
    or killed goes on, what failed is tried again. The searches run in processes of their own: a script that calls
    this has its work under `if __name__ == "__main__":`.

    Args:
        methods: the rows: `"zarts-mgs,darts,darts alpha_lr=0.01"`, or a list of such texts: a method, and settings
            that the row has of its own.
        seeds: their number, or a range like `"100-119"`.
        table: what cells are looked up in, a file or a directory; `auto`: the directory ZARTS_DATA.
        out: the folder; None: one in `runs/compare`, the same for the same data and preset.
        preset: name of a preset.
        config: a YAML file with settings.
        jobs: searches at a time; None: as many as the processors have room for, at `threads` (1 by default) each.
        against: a row; the others are tested against it, paired over seeds.
        best_of: a row for the best of so many random cells; None: of as many as can be trained in the time of the
            slowest method, where the table has times of training.
        draws: random cells are the mean of so many draws; None: the exact expectation.
        trust: whether the table may be unpickled.
        listener: hears an event `cell` as each search ends.
        options: settings of all rows; those that do not use one go without it.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; all searches have been saved.
        ZartsError: see the subclasses in `zarts.errors`. A search that fails raises nothing: see `failed`.
    """
    check_alone("a comparison")
    file = find_table(None if table == "auto" else Path(table)).resolve()
    folder = _default(options, preset) if out is None else Path(out)
    config = None if config is None else Path(config)
    cells = plan(methods, seeds, options, preset=preset, config=config, table=file, out=folder)
    names = list(dict.fromkeys(cell.row for cell in cells))
    against = None if against is None else " ".join(against.split())
    if against is not None and against not in names:
        raise SettingsError(f"against: {unknown('row', against, names)}")
    if jobs is not None and jobs < 1:
        raise SettingsError(f"jobs = {jobs}; expected 1 or more")
    loaded = read_table(file, trust=trust)
    columns = judged_by(loaded)
    baselines(loaded, best_of=best_of, draws=draws)  # what is wrong there is said before the searches, not after them
    with alone_in(folder):
        failed = search_all(cells, loaded, jobs, listener or (lambda event: None))
        found = _judge(cells, loaded, failed)
        by_row = {name: [one for cell, one in found.items() if cell.row == name] for name in names}
        rows = [summarise(name, searches) for name, searches in by_row.items() if searches]
        slowest = max((row.seconds for row in rows if row.seconds is not None), default=0.0)
        below = baselines(loaded, best_of=best_of or affordable(loaded, slowest), draws=draws)
        rows = [tested(row, found, columns[0], against) for row in (*rows, *below)]
        notes = notes_of(cells, failed, columns[0], against, draws)
        notes += [cost_note(loaded, slowest)] if best_of is None else []
        comparison = Comparison(rows, columns, found, failed, to_markdown(rows, columns, notes), folder)
        _write(comparison, notes, loaded)
        _draw(by_row, [below[0], below[-1]], columns[0], folder)
    return comparison


def _judge(cells: Sequence[Cell], table: Table, failed: dict[Cell, str]) -> dict[Cell, Found]:
    found = {}
    for cell in cells:
        if cell.finished:
            try:
                found[cell] = judge(cell, table)
            except ZartsError as error:
                failed[cell] = str(error)
    return found


def _write(comparison: Comparison, notes: Sequence[str], table: Table) -> None:
    rows, columns, out = comparison.rows, comparison.columns, comparison.out
    data = {
        **plain_data(rows, columns, comparison.found, comparison.failed, out),
        "notes": notes,
        "table": {"file": table.where, "cells": len(table.indices)},
        "environment": environment(torch.device("cpu")),
    }
    for suffix, content in (
        ("md", comparison.markdown),
        ("csv", to_csv(rows, columns)),
        ("tex", to_latex(rows, columns, notes)),
        ("json", json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"),
    ):
        write_atomically(out / f"table.{suffix}", content)


def _draw(by_row: Mapping[str, Sequence[Found]], levels: Sequence[Summary], column: Column, folder: Path) -> None:
    """The picture of what is derived at each epoch; none where no method has epochs."""
    lines = {name: [one.history for one in searches if one.history] for name, searches in by_row.items()}
    lines = {name: histories for name, histories in lines.items() if histories}
    if lines:
        heights = {row.name: row.spreads[column].mean for row in levels}
        draw_truths(lines, heights, f"True test accuracy of the derived cell on {title_of(column)}, %", folder)


def _default(options: Mapping[str, Any], preset: str | None) -> Path:
    data = Path(str(options["data"])).name if "data" in options else None
    return Path("runs/compare") / ("-".join(part for part in (data, preset) if part) or "nasbench201")
