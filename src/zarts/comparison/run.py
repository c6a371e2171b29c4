"""The comparison: what is left of it is searched, all is judged, and tables and a picture are written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from zarts.bench import Column, find_table, read_table
from zarts.comparison.formats import notes_of, plain_data, to_csv, to_latex, to_markdown
from zarts.comparison.judge import Judge, Picture
from zarts.comparison.lookups import Lookups
from zarts.comparison.plan import Cell, plan, rows_of
from zarts.comparison.results import Found, Summary, summarise, tested
from zarts.comparison.retrainings import Retrainings
from zarts.comparison.searching import alone_in, search_all
from zarts.config import SearchSettings
from zarts.engine import Listener, check_alone, environment
from zarts.errors import SettingsError, ZartsError, unknown
from zarts.files import write_atomically
from zarts.report import write_report
from zarts.report.epochs import draw_epochs
from zarts.spaces import get_space
from zarts.spaces.nasbench201 import NASBENCH201

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
        out: the folder, with `table.md`, `.csv`, `.tex`, `.json` and `curves.svg`, `.png` and `report.html`.
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
    retrain: Mapping[str, Any] = MappingProxyType({}),
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

    Every search is an ordinary run in `out/ROW/seedK`. In space `nasbench201` what it found is looked up; in other
    spaces its network is trained from scratch, an ordinary run in `out/ROW/seedK-retrained`. What is finished is not
    done again, what was interrupted or killed goes on, what failed is tried again. The searches run in processes of
    their own: a script that calls this has its work under `if __name__ == "__main__":`.

    Args:
        methods: the rows: `"zarts-mgs,darts,darts alpha_lr=0.01"`, or a list of such texts: a method, and settings
            that the row has of its own.
        seeds: their number, or a range like `"100-119"`.
        table: what cells are looked up in, a file or a directory; `auto`: the directory ZARTS_DATA.
        retrain: settings of the retrainings, beside those of the preset and the file.
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
    folder = _default(options, preset) if out is None else Path(out)
    config = None if config is None else Path(config)
    rows = rows_of(methods, options, preset=preset, config=config)
    against = None if against is None else " ".join(against.split())
    if against is not None and against not in rows:
        raise SettingsError(f"against: {unknown('row', against, rows)}")
    if jobs is not None and jobs < 1:
        raise SettingsError(f"jobs = {jobs}; expected 1 or more")
    looked_up = any(get_space(settings.space).name == NASBENCH201.name for settings in rows.values())
    if looked_up:
        _check_looked_up(rows, retrain)
        file = find_table(None if table == "auto" else Path(table)).resolve()
        cells = plan(rows, seeds, out=folder, table=file)
        judge: Judge = Lookups(read_table(file, trust=trust), best_of=best_of, draws=draws)
    else:
        _check_trained(rows, {"table": table != "auto", "best_of": best_of, "draws": draws, "trust": trust})
        cells = plan(rows, seeds, out=folder)
        judge = Retrainings(retrain, rows, preset=preset, config=config)
    judge.check(cells)
    with alone_in(folder):
        failed = search_all(cells, judge, jobs, listener or (lambda event: None))
        return _put_together(cells, judge, failed, against, folder)


def _check_looked_up(rows: Mapping[str, SearchSettings], retrain: Mapping[str, Any]) -> None:
    for name, settings in rows.items():
        if get_space(settings.space).name != NASBENCH201.name:
            raise SettingsError(
                f"row {name!r} searches in space {settings.space!r}, whose cells no table has, and others in space "
                f"{NASBENCH201.name!r}, whose cells are looked up: compare them one after the other"
            )
    if retrain:
        raise SettingsError(
            f"retrain: cells of space {NASBENCH201.name!r} are looked up, not retrained: leave {min(retrain)} out"
        )


def _check_trained(rows: Mapping[str, SearchSettings], given: Mapping[str, Any]) -> None:
    name, settings = next(iter(rows.items()))
    for option, value in given.items():
        if value:
            raise SettingsError(
                f"{option}: row {name!r} searches in space {settings.space!r}, whose cells no table has: leave it out, "
                f"or take --space {NASBENCH201.name}"
            )


def _put_together(
    cells: Sequence[Cell], judge: Judge, failed: dict[Cell, str], against: str | None, folder: Path
) -> Comparison:
    found = _judge(cells, judge, failed)
    by_row: dict[str, list[Found]] = {cell.row: [] for cell in cells}
    for cell, one in found.items():
        by_row[cell.row].append(one)
    rows = [summarise(name, searches) for name, searches in by_row.items() if searches]
    longest = max((row.seconds for row in rows if row.seconds is not None), default=0.0)
    below, first = judge.baselines(longest), judge.columns[0]
    rows = [tested(row, found, first, against) for row in (*rows, *below)]
    notes = [*judge.notes(cells, longest), *notes_of(cells, failed, first, against)]
    markdown = to_markdown(rows, judge.columns, notes)
    comparison = Comparison(rows, judge.columns, found, failed, markdown, folder)
    _write(comparison, notes, judge)
    _draw(by_row, judge.picture(below), folder)
    write_report(folder)
    return comparison


def _judge(cells: Sequence[Cell], judge: Judge, failed: dict[Cell, str]) -> dict[Cell, Found]:
    found = {}
    for cell in cells:
        if judge.done(cell):
            try:
                found[cell] = judge.judge(cell)
            except ZartsError as error:
                failed[cell] = str(error)
    return found


def _write(comparison: Comparison, notes: Sequence[str], judge: Judge) -> None:
    rows, columns, out = comparison.rows, comparison.columns, comparison.out
    data = {
        **plain_data(rows, columns, comparison.found, comparison.failed, out),
        "notes": notes,
        **judge.facts(),
        "environment": environment(torch.device("cpu")),
    }
    for suffix, content in (
        ("md", comparison.markdown),
        ("csv", to_csv(rows, columns)),
        ("tex", to_latex(rows, columns, notes)),
        ("json", json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"),
    ):
        write_atomically(out / f"table.{suffix}", content)


def _draw(by_row: Mapping[str, Sequence[Found]], picture: Picture, folder: Path) -> None:
    """The picture of what is derived at each epoch; none where no method has epochs."""
    lines = {name: [one.history for one in searches if one.history] for name, searches in by_row.items()}
    lines = {name: histories for name, histories in lines.items() if histories}
    if lines:
        draw_epochs(lines, picture.levels, picture.title, folder)


def _default(options: Mapping[str, Any], preset: str | None) -> Path:
    data = Path(str(options["data"])).name if "data" in options else None
    words = (data, preset, options.get("space"))
    return Path("runs/compare") / ("-".join(str(word) for word in words if word) or "comparison")
