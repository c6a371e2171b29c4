"""The comparison: what is left of it is searched, all is judged, and tables and a picture are written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from zarts.bench import Column, find_table, read_table
from zarts.comparison.curves import Curve, curves_of
from zarts.comparison.engines import get_engine
from zarts.comparison.export_tables import to_csv, to_latex, to_markdown
from zarts.comparison.footnotes import notes_of
from zarts.comparison.grid import Row, rows_of
from zarts.comparison.results import Summary, TrialResult
from zarts.comparison.retrained import RetrainedScorer
from zarts.comparison.runner import alone_in, search_all
from zarts.comparison.scorer import Scorer
from zarts.comparison.search_only import SearchOnlyScorer
from zarts.comparison.tables import Section, longest_of, plain_data, sections_of
from zarts.comparison.tabular import TabularScorer
from zarts.comparison.trials import Trial, plan
from zarts.errors import SettingsError, ZartsError, did_you_mean
from zarts.reports import write_report
from zarts.reports.epoch_charts import Panel, draw_epochs
from zarts.runtime.distributed import check_alone
from zarts.runtime.environment import environment
from zarts.runtime.io import write_atomically
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.training.trainer import Callback

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Args:
        sections: its table, one for each space and data set: rows, and what they were judged by.
        found: what each search found.
        failed: why others did not, in a line.
        markdown: the table.
        out: the folder, with `table.md`, `.csv`, `.tex`, `.json` and the pictures `curves.svg`, `.png` and, where
            candidates are weighed, `sampling.svg`, `.png` (of several groups `curves-GROUP.svg` and so on), and
            `report.html`.
    """

    sections: list[Section]
    found: Mapping[Trial, TrialResult]
    failed: Mapping[Trial, str]
    markdown: str
    out: Path

    @property
    def rows(self) -> list[Summary]:
        """The rows of all its tables: in each those of the searches, then the baselines."""
        return [row for section in self.sections for row in section.rows]

    @property
    def columns(self) -> list[Column]:
        """What they were judged by."""
        return list(dict.fromkeys(column for section in self.sections for column in section.columns))


def compare(
    methods: str | Sequence[str],
    seeds: str | int,
    *,
    grid: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    table: Path | str = "auto",
    retrain: Mapping[str, Any] | None = MappingProxyType({}),
    out: Path | str | None = None,
    preset: str | None = None,
    config: Path | str | None = None,
    jobs: int | None = None,
    engine: str = "processes",
    against: str | None = None,
    best_of: int | None = None,
    draws: int | None = None,
    trust: bool = False,
    callback: Callback | None = None,
    **options: Any,
) -> Comparison:
    """Search by several methods, over a grid of settings, with several seeds, and put what they find into tables.

    Rows in several spaces or on several data sets are in groups: what is compared is compared within a group.
    Every search is an ordinary run in `out/ROW/seedK`. In space `nasbench201` what it found is looked up; in other
    spaces its network is trained from scratch, an ordinary run in `out/ROW/seedK-retrained`. What is finished is not
    done again, what was interrupted or killed goes on, what failed is tried again. The searches run in processes of
    their own: a script that calls this has its work under `if __name__ == "__main__":`.

    Args:
        methods: the rows: `"zarts-mgs,darts,darts arch_learning_rate=0.01"`, or a list of such texts: a method, and
            settings that the row has of its own.
        seeds: their number, or a range like `"100-119"`.
        grid: settings with the values that each has in turn, `{"samples": [2, 4, 8], "space": ["s1", "s2"]}`: every
            row is multiplied by those that it uses and has not of its own.
        table: what cells are looked up in, a file or a directory; `auto`: the directory ZARTS_DATA.
        retrain: settings of the retrainings, beside those of the preset and the file; None: nothing is retrained, and
            the table has no accuracies.
        out: the folder; None: one in `runs/compare`, the same for the same data and preset.
        preset: name of a preset.
        config: a YAML file with settings.
        jobs: searches at a time; None: as many as the processors have room for, at `threads` (1 by default) each.
        engine: where searches run: `processes` of this machine, or `ray`: tasks of a Ray cluster, which is that of
            `ray.init` in this process, or of RAY_ADDRESS, or started here; all its machines have to see `out` and
            the images under the same paths.
        against: a row; the others are tested against it, paired over seeds.
        best_of: a row for the best of so many random cells; None: of as many as can be trained in the time of the
            slowest method, where the table has times of training.
        draws: random cells are the mean of so many draws; None: the exact expectation.
        trust: whether the table may be unpickled.
        callback: hears an event `cell` as each search ends.
        options: settings of all rows; those that do not use one go without it.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; all searches have been saved.
        ZartsError: see the subclasses in `zarts.errors`. A search that fails raises nothing: see `failed`.
    """
    check_alone("a comparison")
    folder = _default(options, preset) if out is None else Path(out)
    config = None if config is None else Path(config)
    rows = rows_of(methods, options, grid=grid, preset=preset, config=config)
    run_tasks = get_engine(engine)
    names = {row.name for row in rows}
    against = None if against is None else " ".join(against.split())
    if against is not None and against not in names:
        raise SettingsError(f"against: {did_you_mean('row', against, names)}")
    if jobs is not None and jobs < 1:
        raise SettingsError(f"jobs = {jobs}; expected 1 or more")
    looked_up = any(row.group.space == NASBENCH201.name for row in rows)
    if looked_up:
        _check_looked_up(rows, retrain)
        file = find_table(None if table == "auto" else Path(table)).resolve()
        cells = plan(rows, seeds, out=folder, table=file)
        scorer: Scorer = TabularScorer(read_table(file, trust=trust), best_of=best_of, draws=draws)
    else:
        if against is not None and retrain is None:
            raise SettingsError(f"against = {against}: nothing is judged where nothing is retrained: leave it out")
        _check_trained(rows, {"table": table != "auto", "best_of": best_of, "draws": draws, "trust": trust})
        cells = plan(rows, seeds, out=folder)
        scorer = (
            SearchOnlyScorer(rows) if retrain is None else RetrainedScorer(retrain, rows, preset=preset, config=config)
        )
    scorer.check(cells)
    with alone_in(folder):
        failed = search_all(cells, scorer, run_tasks, jobs, callback or (lambda event: None))
        return _put_together(cells, scorer, failed, against, folder)


def _check_looked_up(rows: Sequence[Row], retrain: Mapping[str, Any] | None) -> None:
    for row in rows:
        if row.group.space != NASBENCH201.name:
            raise SettingsError(
                f"row {row.name!r} searches in space {row.group.space!r}, whose cells no table has, and others in "
                f"space {NASBENCH201.name!r}, whose cells are looked up: compare them one after the other"
            )
    if retrain is None or retrain:
        given = min(retrain) if retrain else "--no-retrain (retrain=None)"
        raise SettingsError(
            f"retrain: cells of space {NASBENCH201.name!r} are looked up, not retrained: leave {given} out"
        )


def _check_trained(rows: Sequence[Row], given: Mapping[str, Any]) -> None:
    for option, value in given.items():
        if value:
            raise SettingsError(
                f"{option}: row {rows[0].name!r} searches in space {rows[0].group.space!r}, whose cells no table has: "
                f"leave it out, or take --space {NASBENCH201.name}"
            )


def _put_together(
    cells: Sequence[Trial], scorer: Scorer, failed: dict[Trial, str], against: str | None, folder: Path
) -> Comparison:
    found = _judge(cells, scorer, failed)
    longest = longest_of(found)
    below = scorer.baselines(longest)
    sections = sections_of(cells, found, below, scorer, against)
    notes = [*scorer.notes(cells, longest), *notes_of(cells, failed, next(iter(sections[0].columns), None), against)]
    comparison = Comparison(sections, found, failed, to_markdown(sections, notes), folder)
    curves = curves_of(scorer.picture(below))
    _write(comparison, notes, {**scorer.facts(), "curves": [asdict(curve) for curve in curves]})
    for section in sections:
        _draw(section, found, curves, folder)
    write_report(folder)
    return comparison


def _judge(cells: Sequence[Trial], scorer: Scorer, failed: dict[Trial, str]) -> dict[Trial, TrialResult]:
    found = {}
    for cell in cells:
        if scorer.done(cell):
            try:
                found[cell] = scorer.score(cell)
            except ZartsError as error:
                failed[cell] = str(error)
    return found


def _write(comparison: Comparison, notes: Sequence[str], facts: Mapping[str, Any]) -> None:
    sections, out = comparison.sections, comparison.out
    data = {
        **plain_data(sections, comparison.found, comparison.failed, out),
        "notes": notes,
        **facts,
        "environment": environment(torch.device("cpu")),
    }
    for suffix, content in (
        ("md", comparison.markdown),
        ("csv", to_csv(sections)),
        ("tex", to_latex(sections, notes)),
        ("json", json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"),
    ):
        write_atomically(out / f"table.{suffix}", content)


def _draw(section: Section, found: Mapping[Trial, TrialResult], curves: Sequence[Curve], folder: Path) -> None:
    """The pictures of a group, of each what there is something for."""
    inside = {cell: one for cell, one in found.items() if cell.group == section.group}
    pictures: dict[str, list[Panel]] = {}
    for curve in curves:
        lines: dict[str, list[list[float]]] = {}
        for cell, one in inside.items():
            if numbers := curve.of(one):
                lines.setdefault(cell.row, []).append(numbers)
        if lines:
            panel = Panel(curve.title, lines, curve.levels, curve.from_zero)
            pictures.setdefault(curve.picture, []).append(panel)
    for name, panels in pictures.items():
        draw_epochs(panels, folder, section.picture(name))


def _default(options: Mapping[str, Any], preset: str | None) -> Path:
    data = Path(str(options["data"])).name if "data" in options else None
    words = (data, preset, options.get("space"))
    return Path("runs/compare") / ("-".join(str(word) for word in words if word) or "comparison")
