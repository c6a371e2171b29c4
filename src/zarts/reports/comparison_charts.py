"""Charts of a comparison against epochs, from its table; those that say nothing of their own are left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from markupsafe import Markup

from zarts.reports.charts import Chart, Line, telling
from zarts.reports.epoch_charts import BANDS, STYLES, Panel, epochs_svg, mean_band
from zarts.reports.render import Still
from zarts.reports.series import Series
from zarts.reports.summary import show
from zarts.reports.svg import inline

__all__ = ["curves_of"]


def curves_of(
    rows: Sequence[tuple[str, Mapping[str, Any]]], curves: Sequence[Mapping[str, Any]], name: str
) -> list[tuple[Chart, Still]]:
    """The charts of a group: one of each number against epochs that some row has.

    A chart whose lines do not change is left out, and one whose lines are those of another, but for a factor.

    Args:
        rows: the label of each row, and the row of the table.
        curves: of `table.json`.
        name: of the charts, unique in the page.
    """
    drawn: dict[str, tuple[Chart, Panel]] = {}
    for number, curve in enumerate(curves):
        found = _curve(rows, curve, f"{name}-{number}")
        if found is not None:
            drawn[found[0].name] = found
    names = [label for label, _ in rows]
    return [
        (chart, _still(chart, drawn[chart.name][1], names)) for chart in telling([chart for chart, _ in drawn.values()])
    ]


def _curve(
    rows: Sequence[tuple[str, Mapping[str, Any]]], curve: Mapping[str, Any], name: str
) -> tuple[Chart, Panel] | None:
    """A chart of one number against epochs; None where no row has this number."""
    lines: dict[str, list[list[float]]] = {}
    for label, row in rows:
        for one in row.get("seeds", {}).values():
            numbers = one["history"] if curve["key"] == "history" else one.get("curves", {}).get(curve["key"], ())
            if any(number is not None for number in numbers):
                lines.setdefault(label, []).append([math.nan if y is None else float(y) for y in numbers])
    if not lines:
        return None
    title, levels = show(curve["title"]), {show(level): float(y) for level, y in curve.get("levels", {}).items()}
    note = "At the end of each epoch: the mean over seeds"
    note += ", and one standard deviation to each side." if len(lines) <= BANDS else "."
    drawn = _lines(lines, [label for label, _ in rows], max(levels.values(), default=None))
    panel = Panel("", lines, levels, bool(curve.get("from_zero", False)))
    return Chart(name, title, note, "epoch", drawn, levels=levels), panel


def _still(chart: Chart, panel: Panel, names: Sequence[str]) -> Still:
    svg = inline(epochs_svg(panel, names), chart.name, chart.title)
    return Still(chart.name, chart.title, chart.note, Markup(svg))  # made by us


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
