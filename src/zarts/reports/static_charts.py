"""Charts as small SVG pictures, with one x and one y axis and a name at the end of each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zarts.reports.charts import Chart, Line, charts_of
from zarts.reports.svg import chart_axes, drawing, to_svg
from zarts.reports.theme import ROLES

__all__ = ["Curve", "draw_chart", "draw_curves"]

_SIZE = (5.0, 2.5)  # inches
_FONT = 9.5


class Curve(NamedTuple):
    """A drawn chart: `name` is unique in a run, `title` has quantity and unit, `note` says how to read it."""

    name: str
    title: str
    note: str
    svg: str


def draw_curves(events: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Draw all charts for which the events of a search or a retraining have numbers.

    Args:
        events: as `zarts.runtime.io.read_events` returns them.
    """
    return [Curve(chart.name, chart.title, chart.note, draw_chart(chart)) for chart in charts_of(events)]


def draw_chart(chart: Chart) -> str:
    """A chart as the text of an SVG file."""
    with drawing():
        figure, axes = _axes(chart.x_label)
        for height in chart.levels.values():
            axes.axhline(height, color=ROLES["muted"].light, linewidth=1.0, linestyle=(0, (4.0, 3.0)), gid="mark")
        for line in chart.lines:
            _draw_line(axes, line)
        if chart.limits:
            axes.set_ylim(*chart.limits)
        _name_ends(axes, chart.lines)
        return to_svg(figure)


def _draw_line(axes: Axes, line: Line) -> None:
    if line.span:
        axes.fill_between(line.series.x, *line.span, color=ROLES[f"{line.role}-tint"].light, linewidth=0, gid="span")
    axes.plot(
        *line.series,
        color=ROLES[line.role].light,
        linewidth=1.7,
        linestyle=(0, line.dashes) if line.dashes else "solid",
        drawstyle="steps-mid" if line.steps else "default",
        marker="o",
        markersize=4.0 if len(line.series.x) == 1 else 0.0,
        gid=f"line-{line.label}",
    )


def _axes(x_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, dpi=72, facecolor="none")
    axes = chart_axes(figure, (0.1, 0.17, 0.74, 0.78), x_label, _FONT)
    axes.tick_params(axis="x", length=3)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.01, y=0.08)
    return figure, axes


def _name_ends(axes: Axes, lines: Sequence[Line]) -> None:
    """Write the last value of each line to its right, moved apart where two would touch."""
    low, high = axes.get_ylim()
    apart = (high - low) * 0.085
    ends = sorted(lines, key=lambda line: (line.series.y[-1], line.label))
    places: list[float] = []
    for line in ends:
        value = line.series.y[-1]
        places.append(max(value, places[-1] + apart) if places else value)
    overshoot = max(0.0, places[-1] - high)
    for place, line in zip(places, ends, strict=True):
        prefix = f"{line.label} " if len(lines) > 1 else ""
        axes.annotate(
            f"{prefix}{line.series.y[-1]:.4g}",
            (1.0, place - overshoot),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=_FONT,
            color=ROLES[line.role].light,
            gid=f"end-{line.label}",
        )
