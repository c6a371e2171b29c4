"""The page of a comparison, and the titles and number formats of its tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from zarts.readers import malformed
from zarts.reports.cell_view import cell_view
from zarts.reports.charts import Chart, Line
from zarts.reports.epoch_charts import BANDS, STYLES, Panel, epochs_svg, mean_band
from zarts.reports.render import Still, fragment, render
from zarts.reports.series import Series
from zarts.reports.summary import Fact, duration, environment_texts, show
from zarts.reports.svg import inline
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


_FILE = "table.json"
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
    """A group: its table, its charts, and the trials of each row."""

    title: str
    head: list[str]
    rows: list[list[Value]]
    stills: list[Still]
    trials: list[tuple[str, list[Trial]]]


def is_comparison(folder: Path) -> bool:
    """Whether a folder is that of a comparison."""
    return (folder / _FILE).exists()


def render_comparison(folder: Path) -> str:
    """Render the page of a comparison.

    Raises:
        RunError: `table.json` or a genotype of a run is damaged.
    """
    path = folder / _FILE
    data = read_mapping(path)
    pictures = _Pictures(folder)
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
        title="Comparison",
        kind="comparison",
        name=folder.resolve().name,
        facts=_facts(sections, failed),
        sections=sections,
        found="Derived cells and hand-made networks"
        if any(row.get("handmade") for row in data["rows"])
        else "Derived cells",
        failed=failed,
        notes=notes,
        left=pictures.left,
        **environment,
    )


def _facts(sections: Sequence[Section], failed: Sequence[tuple[str, str, str]]) -> list[Fact]:
    searched = [trials for section in sections for _, trials in section.trials]
    seeds = {trial.seed for trials in searched for trial in trials}
    return [
        Fact("rows with trials", str(len(searched))),
        Fact("trials", str(sum(map(len, searched))), f"{len(seeds)} seed{'s' if len(seeds) != 1 else ''}"),
        *([Fact("failed", str(len(failed)), "listed below the tables", warning=True)] if failed else []),
    ]


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
    pairs = [_curves(rows, curve, f"epochs-{index}-{n}") for n, curve in enumerate(data.get("curves", []))]
    drawn = [pair for pair in pairs if pair is not None]
    return Section(title, head, table, [still for _, still in drawn], trials), [chart for chart, _ in drawn]


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


def _curves(rows: Sequence[Mapping[str, Any]], curve: Mapping[str, Any], name: str) -> tuple[Chart, Still] | None:
    """A chart of one number against epochs; None where no row has this number."""
    lines: dict[str, list[list[float]]] = {}
    for row in rows:
        for one in row.get("seeds", {}).values():
            numbers = one["history"] if curve["key"] == "history" else one.get("curves", {}).get(curve["key"], ())
            if numbers:
                lines.setdefault(_label(row), []).append([math.nan if y is None else float(y) for y in numbers])
    if not lines:
        return None
    names = [_label(row) for row in rows]
    title, levels = show(curve["title"]), {show(level): float(y) for level, y in curve.get("levels", {}).items()}
    note = "At the end of each epoch: the mean over seeds"
    note += ", and one standard deviation to each side." if len(lines) <= BANDS else "."
    chart = Chart(name, title, note, "epoch", _lines(lines, names, max(levels.values(), default=None)), levels=levels)
    panel = Panel("", lines, levels, bool(curve.get("from_zero", False)))
    return chart, Still(name, title, note, Markup(inline(epochs_svg(panel, names), name, title)))  # made by us


def _lines(
    histories: Mapping[str, Sequence[Sequence[float]]], names: Sequence[str], top: float | None
) -> tuple[Line, ...]:
    """The lines of rows with numbers; the order of all rows, `names`, determines the colours."""
    lines, styles = [], dict(zip(names, cycle(STYLES), strict=False))
    for name, seeds in histories.items():
        role, (_, dashes) = styles[name]
        means, low, high = mean_band(seeds, top)
        known = [index for index, mean in enumerate(means) if math.isfinite(mean)]
        means, low, high = ([values[index] for index in known] for values in (means, low, high))
        series = Series([float(index + 1) for index in known], means)
        banded = len(seeds) > 1 and len(histories) <= BANDS
        lines.append(
            Line(name, role, series, span=(low, high) if banded else None, dashes=dashes if dashes[1] else None)
        )
    return tuple(lines)


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
