"""`compare`: run the unfinished trials, score all of them, and write tables, pictures and the report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from zarts.bench import Column, find_table, read_table
from zarts.callbacks import Callbacks, Follower, progress
from zarts.comparison.curves import Curve, curves_of
from zarts.comparison.engines import get_engine
from zarts.comparison.export_tables import to_csv, to_latex, to_markdown
from zarts.comparison.footnotes import notes_of
from zarts.comparison.grid import Row, rows_of
from zarts.comparison.handmade import HandmadeRow, parse_baselines
from zarts.comparison.results import Summary, TrialResult
from zarts.comparison.retrained import RetrainedScorer
from zarts.comparison.runner import alone_in, search_all
from zarts.comparison.scorer import Scorer
from zarts.comparison.search_only import SearchOnlyScorer
from zarts.comparison.tables import Section, longest_of, plain_data, sections_of
from zarts.comparison.tabular import TabularScorer
from zarts.comparison.trials import Trial, plan, write_plan
from zarts.errors import RunError, SettingsError, ZartsError, did_you_mean
from zarts.reports import write_report
from zarts.reports.comparison_progress import TRIALS
from zarts.reports.epoch_charts import Panel, draw_epochs
from zarts.runs.afterwards import afterwards
from zarts.runtime.distributed import check_alone
from zarts.runtime.environment import environment
from zarts.runtime.io import WriteError, write_atomically
from zarts.runtime.paths import PathLike, path_of
from zarts.spaces.nasbench201 import NASBENCH201

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison: a path that is its folder, and the tables when it is printed.

    Args:
        sections: a table for each space and data set: rows, and the columns of their accuracies.
        found: the result of each trial.
        failed: the trials that failed, each with its error in one line.
        markdown: the tables.
        out: the folder, with `table.md`, `.csv`, `.tex`, `.json`, the pictures `curves.svg`, `.png` and, for methods
            that weight candidates, `sampling.svg`, `.png`, and of retrainings `training.svg`, `.png` (of several groups
            `curves-GROUP.svg` and so on), and `report.html`.
    """

    sections: list[Section]
    found: Mapping[Trial, TrialResult]
    failed: Mapping[Trial, str]
    markdown: str
    out: Path

    def __fspath__(self) -> str:
        return str(self.out)

    def __repr__(self) -> str:
        trials = f"{len(self.found)} of {len(self.found) + len(self.failed)} trials"
        return f"{type(self).__name__}({str(self.out)!r}, {trials})"

    def __str__(self) -> str:
        return self.markdown.strip()

    @property
    def rows(self) -> list[Summary]:
        """The rows of all tables; in each table the rows of trials come before the baselines."""
        return [row for section in self.sections for row in section.rows]

    @property
    def columns(self) -> list[Column]:
        """The columns of all tables."""
        return list(dict.fromkeys(column for section in self.sections for column in section.columns))


def compare(
    methods: str | Sequence[str],
    seeds: str | int,
    *,
    baselines: str | Sequence[str] = (),
    grid: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    benchmark_table: PathLike = "auto",
    retrain: Mapping[str, Any] | None = MappingProxyType({}),
    out: PathLike | None = None,
    preset: str | None = None,
    config: PathLike | None = None,
    jobs: int | None = None,
    engine: str = "processes",
    against: str | None = None,
    best_of: int | None = None,
    draws: int | None = None,
    trust: bool = False,
    callbacks: Sequence[Follower] = (),
    quiet: bool = False,
    **options: Any,
) -> Comparison:
    """Search with several methods, settings and seeds, and put the results into tables.

    Rows of one space and one data set form a group, and are only compared within it. Every search is an ordinary run
    in `out/ROW/seedK`. In space `nasbench201` the derived cell is looked up in a table; in other spaces the derived
    network is trained from scratch, an ordinary run in `out/ROW/seedK-retrained`. The same call again skips what is
    finished, resumes what was interrupted or killed, and tries again what failed. Searches run in processes of their
    own, so a script calls this under `if __name__ == "__main__":`.

    Args:
        methods: the rows: `"zarts-mgs,darts,darts arch_learning_rate=0.01"`, or a list of such texts: a method, and
            the settings of this row alone.
        baselines: hand-made networks (see `list_networks`) as further rows without a search: `"resnet8,vgg width=0.5"`,
            or a list of such texts: a network, and its `width` or `stem_stride`. They are trained like the derived
            networks: with the same settings, seeds and images.
        seeds: how many, from 0 on, or a range like `"100-119"`.
        grid: settings and the values of each, `{"samples": [2, 4, 8], "space": ["s1", "s2"]}`: every row is repeated
            for all combinations of those settings that it uses and does not name itself.
        benchmark_table: the table of NAS-Bench-201, a file or a directory; `auto`: the directory ZARTS_DATA.
        retrain: settings of the retrainings, on top of the preset and the file; None: nothing is retrained, and the
            table has no accuracies.
        out: the folder; None: one in `runs/compare`, the same for the same data and preset.
        preset: name of a preset.
        config: a YAML file with settings.
        jobs: searches at a time; None: as many as the processors allow, at `threads` (1 by default) each.
        engine: where searches run: `processes` of this machine, or `ray`: tasks of a Ray cluster, which is that of
            `ray.init` in this process, or of RAY_ADDRESS, or one started here; all its machines must see `out` and
            the images under the same paths.
        against: a row; all other rows are tested against it, paired over seeds.
        best_of: K of the row "best of K random cells"; None: as many as can be trained in the time of the slowest
            method, if the table has training times.
        draws: the rows of random cells are means of so many draws; None: exact expectations.
        trust: whether the table may be unpickled.
        callbacks: functions, or objects of `zarts.callbacks.Callback`, that are called with an event `trial` at the end
            of each trial, and with events `note`, `part` and `doing`, of the phases.
        quiet: print nothing; else one line at the end of each trial.
        options: settings of all rows; a row ignores a setting that its method does not use.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; running searches have saved a checkpoint.
        ZartsError: see the subclasses in `zarts.errors`. A search that fails raises nothing: see `failed`.
    """
    check_alone("a comparison")
    folder = _default(options, preset) if out is None else path_of(out)
    config = None if config is None else path_of(config)
    callback = Callbacks([progress(quiet=quiet), *callbacks])
    notes: list[str] = []
    rows = rows_of(methods, options, grid=grid, preset=preset, config=config, note=notes.append)
    tabular = any(row.group.space == NASBENCH201.name for row in rows)
    if preset is None and not tabular and any("data" not in row.settings.model_fields_set for row in rows):
        notes.append("no data: compares on the embedded digits (1,797 grey images of 8x8 pixels)")
    for text in notes:
        callback({"event": "note", "text": text})
    run_tasks = get_engine(engine)
    handmade = parse_baselines(baselines)
    names = {row.name for row in rows} | {row.name for row in handmade}
    against = None if against is None else " ".join(against.split())
    if against is not None and against not in names:
        raise SettingsError(f"against: {did_you_mean('row', against, names)}")
    if jobs is not None and jobs < 1:
        raise SettingsError(f"jobs = {jobs}; expected 1 or more")
    if tabular:
        _check_tabular(rows, handmade, retrain)
        file = find_table(None if benchmark_table == "auto" else path_of(benchmark_table)).resolve()
        trials = plan(rows, seeds, out=folder, table=file)
        scorer: Scorer = TabularScorer(read_table(file, trust=trust), best_of=best_of, draws=draws)
    else:
        if against is not None and retrain is None:
            raise SettingsError(
                f"against = {against}: no row has an accuracy to test, because nothing is retrained: leave it out"
            )
        if handmade and retrain is None:
            raise SettingsError(
                f"baselines = {handmade[0].name}: a hand-made network is only trained, and here nothing is retrained: "
                "leave it out, or retrain"
            )
        named = benchmark_table != "auto"
        _check_no_table(rows, {"benchmark_table": named, "best_of": best_of, "draws": draws, "trust": trust})
        trials = plan(rows, seeds, out=folder, baselines=handmade)
        scorer = (
            SearchOnlyScorer(rows) if retrain is None else RetrainedScorer(retrain, rows, preset=preset, config=config)
        )
    scorer.check(trials)
    with alone_in(folder):
        write_plan(trials, folder, trained=isinstance(scorer, RetrainedScorer))
        failed = search_all(trials, scorer, run_tasks, jobs, callback)
        callback({"event": "doing", "text": "drawing the report"})
        try:
            return _assemble(trials, scorer, failed, against, folder, callback)
        except WriteError as error:
            raise RunError(
                f"{error}: all trials are safe; when files can be written again, the same command"
            ) from error


def _check_tabular(rows: Sequence[Row], handmade: Sequence[HandmadeRow], retrain: Mapping[str, Any] | None) -> None:
    if handmade:
        raise SettingsError(
            f"baselines = {handmade[0].name}: cells of space {NASBENCH201.name!r} are looked up, and no hand-made "
            "network is in the table: leave it out, or choose another space"
        )
    for row in rows:
        if row.group.space != NASBENCH201.name:
            raise SettingsError(
                f"row {row.name!r} searches in space {row.group.space!r}, which has no table, and others in space "
                f"{NASBENCH201.name!r}, which has one: make two comparisons"
            )
    if retrain is None or retrain:
        given = min(retrain) if retrain else "--no-retrain"
        raise SettingsError(
            f"retrain: cells of space {NASBENCH201.name!r} are looked up, never retrained: leave {given} out"
        )


def _check_no_table(rows: Sequence[Row], given: Mapping[str, Any]) -> None:
    for option, value in given.items():
        if value:
            raise SettingsError(
                f"{option}: row {rows[0].name!r} searches in space {rows[0].group.space!r}, which has no table: "
                f"leave it out, or use --space {NASBENCH201.name}"
            )


def _assemble(
    trials: Sequence[Trial],
    scorer: Scorer,
    failed: dict[Trial, str],
    against: str | None,
    folder: Path,
    callback: Callbacks,
) -> Comparison:
    found = _score(trials, scorer, failed)
    longest = longest_of(found)
    baselines = scorer.baselines(longest)
    sections = sections_of(trials, found, baselines, scorer, against)
    notes = [*scorer.notes(trials, longest), *notes_of(trials, failed, next(iter(sections[0].columns), None), against)]
    comparison = Comparison(sections, found, failed, to_markdown(sections, notes), folder)
    curves = curves_of(scorer.picture(baselines))
    _write(comparison, notes, {**scorer.facts(), "curves": [asdict(curve) for curve in curves]})
    (folder / TRIALS).unlink(missing_ok=True)
    with afterwards("a picture is missing", "zarts compare", callback):
        for section in sections:
            _draw(section, found, curves, folder)
    with afterwards("report.html is missing", f"zarts report {shlex.quote(str(folder))}", callback):
        write_report(folder)
    return comparison


def _score(trials: Sequence[Trial], scorer: Scorer, failed: dict[Trial, str]) -> dict[Trial, TrialResult]:
    found = {}
    for trial in trials:
        if scorer.done(trial):
            try:
                found[trial] = scorer.score(trial)
            except ZartsError as error:
                failed[trial] = str(error)
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
    """Draw the pictures of a group; a chart without numbers is left out."""
    inside = {trial: one for trial, one in found.items() if trial.group == section.group}
    pictures: dict[str, list[Panel]] = {}
    for curve in curves:
        lines: dict[str, list[list[float]]] = {}
        for trial, one in inside.items():
            if numbers := curve.of(one):
                lines.setdefault(trial.label, []).append(numbers)
        if lines:
            panel = Panel(curve.title, lines, curve.levels, curve.from_zero)
            pictures.setdefault(curve.picture, []).append(panel)
    for name, panels in pictures.items():
        draw_epochs(panels, folder, section.picture(name))


def _default(options: Mapping[str, Any], preset: str | None) -> Path:
    data = Path(str(options["data"])).name if "data" in options else None
    words = (data, preset, options.get("space"))
    return Path("runs/compare") / ("-".join(str(word) for word in words if word) or "comparison")
