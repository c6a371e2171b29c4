"""The comparison: what is left of it is searched, all is judged, and tables and a picture are written."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from zarts.api import resume_search, start_search
from zarts.bench import SELECT, Column, Table, find_table, read_table
from zarts.comparison.baselines import affordable, baselines
from zarts.comparison.formats import plain_data, to_csv, to_latex, to_markdown
from zarts.comparison.plan import Cell, parse_seeds, plan
from zarts.comparison.processes import run_tasks
from zarts.comparison.results import Found, Summary, judge, judged_by, signed_rank, summarise
from zarts.engine import Listener, environment, started
from zarts.errors import Interrupted, RunError, SettingsError, ZartsError, unknown
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
    if started() > 1:
        raise SettingsError(f"a comparison is one process, torchrun has started {started()}: start it without torchrun")
    file = find_table(None if table == "auto" else Path(table)).resolve()
    folder = _default(options, preset) if out is None else Path(out)
    config = None if config is None else Path(config)
    cells = plan(methods, seeds, options, preset=preset, config=config, table=file, out=folder)
    names = list(dict.fromkeys(cell.row for cell in cells))
    if against is not None and against not in names:
        raise SettingsError(f"against: {unknown('row', against, names)}")
    if jobs is not None and jobs < 1:
        raise SettingsError(f"jobs = {jobs}; expected 1 or more")
    loaded = read_table(file, trust=trust)
    columns = judged_by(loaded)
    baselines(loaded, best_of=best_of, draws=draws)  # what is wrong there is said before the searches, not after them
    with _alone_in(folder):
        failed = _search(cells, loaded, jobs or _room(cells), listener or (lambda event: None))
        found = _judge(cells, loaded, failed)
        rows = _rows(names, found, columns[0], against)
        slowest = max((row.seconds for row in rows if row.seconds is not None), default=0.0)
        below = baselines(loaded, best_of=best_of or affordable(loaded, slowest), draws=draws)
        rows += [_tested(row, found, columns[0], against) for row in below]
        notes = _notes(parse_seeds(seeds), columns, against, draws, failed, len(cells))
        markdown = to_markdown(rows, columns, notes)
        data = {
            **plain_data(rows, columns, found, failed, folder),
            "notes": notes,
            "table": {"file": str(file), "cells": len(loaded.indices)},
            "environment": environment(torch.device("cpu")),
        }
        for name, content in (
            ("table.md", markdown),
            ("table.csv", to_csv(rows, columns)),
            ("table.tex", to_latex(rows, columns, notes)),
            ("table.json", json.dumps(data, indent=2, ensure_ascii=False) + "\n"),
        ):
            write_atomically(folder / name, content)
        _draw(names, found, below, columns[0], folder)
    return Comparison(rows, columns, found, failed, markdown, folder)


def search_cell(cell: Cell, table: Table) -> None:
    """Do one search, or the rest of it; in a process of its own."""
    if (cell.folder / "config.yaml").exists():
        resume_search(cell.folder, loaded=table)
        return
    if cell.folder.is_dir():  # killed before anything was in it
        for part in cell.folder.glob(".config.yaml.*"):
            part.unlink()
        cell.folder.rmdir()
    start_search(cell.settings, cell.folder, None, loaded=table)


def _search(cells: Sequence[Cell], table: Table, jobs: int, listener: Listener) -> dict[Cell, str]:
    """Do all searches that are left, by seeds, so that there is early something of every row; what failed, and why."""
    left = sorted((cell for cell in cells if not cell.finished), key=lambda cell: cell.seed)
    failed: dict[Cell, str] = {}

    def done(cell: Cell, error: BaseException | None) -> None:
        if error is not None:
            failed[cell] = str(error) if isinstance(error, ZartsError) else f"{type(error).__name__}: {error}"
        over = sum(one.finished for one in cells) + len(failed)
        listener({"event": "cell", "row": cell.row, "seed": cell.seed, "over": over, "cells": len(cells)})

    try:
        run_tasks(partial(search_cell, table=table), left, jobs, done)
    except KeyboardInterrupt:
        finished = sum(cell.finished for cell in cells)
        raise Interrupted(
            f"interrupted: {finished} of {len(cells)} searches are finished, those that ran are saved; "
            "the same command goes on"
        ) from None
    return failed


def _judge(cells: Sequence[Cell], table: Table, failed: dict[Cell, str]) -> dict[Cell, Found]:
    found = {}
    for cell in cells:
        if cell.finished:
            try:
                found[cell] = judge(cell, table)
            except ZartsError as error:
                failed[cell] = str(error)
    return found


def _rows(names: Sequence[str], found: Mapping[Cell, Found], column: Column, against: str | None) -> list[Summary]:
    rows = []
    for name in names:
        searches = [one for cell, one in found.items() if cell.row == name]
        if searches:
            rows.append(_tested(summarise(name, searches), found, column, against))
    return rows


def _tested(row: Summary, found: Mapping[Cell, Found], column: Column, against: str | None) -> Summary:
    """The row with its p: paired over the seeds that both have, or against a baseline that is a single cell."""
    if against is None or row.name == against:
        return row
    theirs = {cell.seed: one.accuracies[column] for cell, one in found.items() if cell.row == against}
    if row.n is None:
        mean, std = row.spreads[column]
        ours = dict.fromkeys(theirs, mean) if std == 0 else {}
    else:
        ours = {cell.seed: one.accuracies[column] for cell, one in found.items() if cell.row == row.name}
    both = sorted(ours.keys() & theirs.keys())
    return replace(row, p=signed_rank([ours[seed] for seed in both], [theirs[seed] for seed in both]))


def _notes(
    seeds: range,
    columns: Sequence[Column],
    against: str | None,
    draws: int | None,
    failed: Mapping[Cell, str],
    cells: int,
) -> list[str]:
    first = columns[0].name
    many = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    notes = [
        f"Test accuracy of the cells found, in % after 200 epochs of training: mean ± standard deviation, n of {many}. "
        f"worst: the lowest of {first}. time: wall time of a search. parameter-free: operations of a cell's six.",
        f"Rows without n come from the table alone; random cells: {'exact' if draws is None else f'{draws} draws'}, "
        f"the best of several chosen by {SELECT.name}.",
    ]
    if against is not None:
        notes.append(
            f"p: of {first} against {against}, Wilcoxon's signed-rank test, two-sided, paired over seeds "
            "(a single cell is paired with every seed); not corrected for the number of rows."
        )
    if failed:
        notes.append(f"{len(failed)} of {cells} searches failed and are not in the table.")
    return notes


def _draw(
    names: Sequence[str], found: Mapping[Cell, Found], below: Sequence[Summary], column: Column, folder: Path
) -> None:
    """The picture of what is derived at each epoch; none where no method has epochs."""
    lines = {name: [one.history for cell, one in found.items() if cell.row == name and one.history] for name in names}
    lines = {name: histories for name, histories in lines.items() if histories}
    if lines:
        levels = {row.name: row.spreads[column].mean for row in (below[0], below[-1])}
        draw_truths(lines, levels, f"True accuracy of the derived cell, % ({column.name})", folder)


def _default(options: Mapping[str, Any], preset: str | None) -> Path:
    data = Path(str(options["data"])).name if "data" in options else None
    return Path("runs/compare") / ("-".join(part for part in (data, preset) if part) or "nasbench201")


def _room(cells: Sequence[Cell]) -> int:
    threads = max(cell.settings.threads or 1 for cell in cells)
    return max(1, (os.cpu_count() or 1) // threads)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No two comparisons work in a folder at the same time.

    Raises:
        RunError: another one does, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror})") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{folder}: another comparison is at work there: wait for it, or choose another --out"
            ) from None
        yield
