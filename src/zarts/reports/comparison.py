"""The page of a comparison, and the titles and number formats of its tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

from zarts.readers import malformed
from zarts.reports.cell_view import cell_view
from zarts.reports.charts import Chart
from zarts.reports.comparison_charts import curves_of
from zarts.reports.comparison_dots import Dots, dots_of
from zarts.reports.comparison_progress import TABLE, TRIALS, Progress, read_progress
from zarts.reports.comparison_verdict import Conclusion, Entry, conclude
from zarts.reports.render import Still, fragment, render
from zarts.reports.summary import duration, environment_texts, show
from zarts.runtime.io import read_mapping
from zarts.spaces import Genotype

__all__ = [
    "MORE",
    "column_title",
    "data_title",
    "is_comparison",
    "mean_std_text",
    "render_comparison",
    "row_label",
]


MORE: dict[str, tuple[str, Callable[[Any], str]]] = {
    "worst": ("worst", "{:.2f}".format),
    "best": ("best of n", "{:.2f}".format),
    "parameters": ("parameters", lambda number: f"{number / 1e3:,.0f} k"),
    "seconds": ("time", duration),
    "retrain_seconds": ("retraining", duration),
    "parameterless": ("parameterless", "{:.1f}".format),
    "p": ("p", "{:.2g}".format),
}
"""Further numbers of a row: their titles and formats. A table has the column if one of its rows has the number."""

_DATA = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet16-120": "ImageNet16-120"}


def column_title(key: str, counts: Iterable[int]) -> str:
    """The title of a column of `MORE`; `counts` are the numbers of seeds: `best of 3` if all rows have 3."""
    numbers = set(counts)
    return f"best of {numbers.pop()}" if key == "best" and len(numbers) == 1 else MORE[key][0]


def row_label(name: str, *, handmade: bool) -> str:
    """The name of a row as it is shown: that of a network that no search has found says so."""
    return f"{name} (hand-made)" if handmade else name


def data_title(name: str) -> str:
    """The name of a data set as it is usually written."""
    return _DATA.get(name, name)


def mean_std_text(mean: float, std: float | None, n: int | None) -> str:
    """`93.10 ± 1.12`; the mean alone for a single trial (deviation nan or None) or a single cell (n is None)."""
    single = std is None or math.isnan(std) or (std == 0 and n is None)
    return f"{mean:.2f}" if single else f"{mean:.2f} ± {std:.2f}"


_PICTURES = 60
"""Largest number of cells that are drawn; further ones are given as text."""


class Value(NamedTuple):
    """An entry of the table, and the key by which it is sorted."""

    text: str
    key: str


class Trial(NamedTuple):
    """A trial: `reports` are names and links, `parts` the indices of its pictures among the fragments."""

    seed: str
    numbers: list[str]
    architecture: str
    reports: list[tuple[str, str]]
    parts: list[int]


class Section(NamedTuple):
    """A group: what it says, its dots, its table, its charts, and the trials of each row."""

    title: str
    measured: str
    said: Conclusion
    dots: Dots | None
    head: list[str]
    rows: list[list[Value]]
    stills: list[Still]
    trials: list[tuple[str, list[Trial]]]


def is_comparison(folder: Path) -> bool:
    """Whether a folder is that of a comparison."""
    return (folder / TABLE).exists() or (folder / TRIALS).exists()


def render_comparison(folder: Path, renews: int | None = None) -> str:
    """Render the page of a comparison; of one that goes on, with the states of its trials.

    Args:
        folder: of the comparison.
        renews: seconds after which a browser loads the page again; None: never.

    Raises:
        RunError: `table.json`, `trials.json` or a file of a run is damaged.
    """
    path, progress = folder / TABLE, read_progress(folder)
    data = read_mapping(path)
    pictures = _Pictures(folder)
    if not data and progress is not None:
        data = {"columns": [], "rows": []}
    with malformed(path, "the table of a comparison"):
        groups = data.get("groups") or [{"title": "", "columns": data["columns"]}]
        parts = [_section(data, group, index, pictures) for index, group in enumerate(groups)]
        failed = [
            (
                " ".join(show(one[key]) for key in ("group", "row") if one.get(key)),
                show(one["seed"]),
                show(one["error"]),
            )
            for one in data.get("failed", [])
        ]
        notes = [show(note) for note in data.get("notes", []) if failed == [] or not show(note).startswith("- ")]
        environment = environment_texts(data.get("environment", {}))
    sections, charts = [section for section, _ in parts], [chart for _, charts in parts for chart in charts]
    return render(
        "comparison.html.j2",
        charts,
        {},
        {"cells": {"fragments": pictures.fragments}},
        title=_title(sections, progress),
        renews=None if progress is None else renews,
        kind="comparison",
        name=folder.resolve().name,
        scope=_scope(sections),
        progress=progress,
        sections=[section for section in sections if section.rows],
        found="Derived cells and hand-made networks"
        if any(row.get("handmade") for row in data["rows"])
        else "Derived cells",
        failed=failed,
        few=[section.title for section in sections if section.said.few],
        notes=notes,
        left=pictures.left,
        **environment,
    )


def _title(sections: Sequence[Section], progress: Progress | None) -> str:
    """The headline of the page; of several groups that of none, because their accuracies are not compared."""
    if progress is not None:
        return f"Comparison not finished: {progress.finished} of {len(progress.trials)} trials have ended"
    if len(sections) == 1:
        return sections[0].said.headline
    return f"Comparison in {len(sections)} spaces or data sets: see each"


def _scope(sections: Sequence[Section]) -> str:
    """How many rows, trials and seeds there are."""
    searched = [trials for section in sections for _, trials in section.trials]
    seeds = len({trial.seed for trials in searched for trial in trials})
    counts = ((len(searched), "row"), (sum(map(len, searched)), "trial"), (seeds, "seed"))
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def _section(
    data: Mapping[str, Any], group: Mapping[str, Any], index: int, pictures: _Pictures
) -> tuple[Section, list[Chart]]:
    title, columns = show(group.get("title", "")), group["columns"]
    rows = [row for row in data["rows"] if row.get("group", "") == group.get("title", "")]
    more = [key for key in MORE if any(row.get(key) is not None for row in rows)]
    counts = [row["n"] for row in rows if row.get("n") is not None and row.get("best") is not None]
    head = ["row", "n", *map(_words, columns), *(column_title(key, counts) for key in more)]
    table = [
        [
            Value(_label(row), _label(row)),
            _value(row.get("n"), show),
            *(_accuracy(row["spreads"].get(column), row.get("n")) for column in columns),
            *(_value(row.get(key), MORE[key][1]) for key in more),
        ]
        for row in rows
    ]
    trials = [
        (_label(row), [_trial(seed, one, columns, pictures) for seed, one in row["seeds"].items()])
        for row in rows
        if row.get("seeds")
    ]
    drawn = curves_of([(_label(row), row) for row in rows], data.get("curves", []), f"epochs-{index}")
    entries = [entry for row in rows for column in columns[:1] if (entry := _entry(row, column))]
    said, measured = conclude(entries), f"Test accuracy on {_words(columns[0])}" if columns else ""
    section = Section(title, measured, said, dots_of(entries, said), head, table, [still for _, still in drawn], trials)
    return section, [chart for chart, _ in drawn]


def _entry(row: Mapping[str, Any], column: str) -> Entry | None:
    """The accuracies of a row in a column; None where it has none."""
    seeds = {
        show(seed): float(one["accuracies"][column])
        for seed, one in (row.get("seeds") or {}).items()
        if one["accuracies"].get(column) is not None
    }
    spread = row["spreads"].get(column)
    if seeds:
        drawn: Literal["random", "found"] = "random" if row.get("settings", {}).get("method") == "random" else "found"
        kind: Literal["hand-made", "random", "found"] = "hand-made" if row.get("handmade") else drawn
        return Entry(_label(row), kind, seeds, fmean(seeds.values()))
    if spread is None:
        return None
    return Entry(_label(row), "random" if "random" in row["name"] else "reference", {}, float(spread["mean"]))


def _label(row: Mapping[str, Any]) -> str:
    return row_label(show(row["name"]), handmade=bool(row.get("handmade", False)))


def _words(column: Any) -> str:
    """The title of a column of accuracies: `cifar10_test_200` is the test accuracy on CIFAR-10."""
    return f"{data_title(show(column).rsplit('_', 2)[0])}, %"


def _value(value: Any, form: Callable[[Any], str]) -> Value:
    return Value("–", "") if value is None else Value(form(value), repr(value))


def _accuracy(mean_std: Mapping[str, Any] | None, n: Any) -> Value:
    if mean_std is None:
        return Value("–", "")
    mean = mean_std["mean"]
    return Value(mean_std_text(mean, mean_std["std"], n), repr(mean))


def _trial(seed: str, one: Mapping[str, Any], columns: Sequence[str], pictures: _Pictures) -> Trial:
    numbers = [f"{one['accuracies'][column]:.2f} %" for column in columns if column in one["accuracies"]]
    run = show(one.get("run", ""))
    return Trial(seed, numbers, show(one.get("architecture", "")), pictures.reports(run), pictures.parts(run))


class _Pictures:
    """Draws the cells of runs, equal ones only once, and links to the reports of runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indices: dict[tuple[str, Any], int] = {}
        self.fragments: list[str] = []
        self.left = 0
        """Number of cells that are not drawn because there are too many."""

    def reports(self, run: str) -> list[tuple[str, str]]:
        """Names and links of the reports of a search, if there is one, and of its retraining, if they exist."""
        names = {"search": run, "retraining": f"{run}-retrained"}
        return [
            (name, quote(f"./{path}/report.html"))
            for name, path in names.items()
            if run and (self._folder / path / "report.html").is_file()
        ]

    def parts(self, run: str) -> list[int]:
        """The indices of the pictures of the cells of a run."""
        path = self._folder / run / "genotype.json"
        if not run or not path.is_file():
            return []
        genotype, indices = Genotype.load(path), []
        for kind, cell in genotype.cells.items():
            if (kind, cell) not in self._indices:
                if len(self.fragments) == _PICTURES:
                    self.left += 1
                    continue
                self._indices[kind, cell] = len(self.fragments)
                view = cell_view(genotype, kind, f"found-{len(self.fragments)}")
                self.fragments.append(fragment("cell.html.j2", cell=view))
            indices.append(self._indices[kind, cell])
        return indices
