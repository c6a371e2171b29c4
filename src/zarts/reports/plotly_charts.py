"""Charts as figures of plotly: plain data that a browser draws.

Colours are the CSS variables of their roles, `var(--sep)`, or `var(--sep) 15%` for a translucent one. The page replaces
them by the colours for light or dark paper, again whenever that changes.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from zarts.reports.charts import Chart, Line

__all__ = ["Figure", "axis", "figure_of", "layout"]

Figure = dict[str, Any]
"""A figure of plotly: `data`, the traces, and `layout`."""

_POINTS = 200
"""A line with fewer points than this has markers."""

_FEW = 8
"""With fewer epochs or steps than this, each has a tick."""

_TOGETHER = 8
"""Largest number of lines whose values are shown together on hover."""


def figure_of(chart: Chart) -> Figure:
    """A chart with values on hover; a click on a name in the legend hides its line."""
    traces: list[dict[str, Any]] = []
    for line in chart.lines:
        if line.span:
            traces += _band(line, line.span)
        traces.append(_line(line, chart))
    count = len(chart.lines)
    shown = layout(
        xaxis={
            **axis(),
            "title": {"text": chart.x_label},
            "unifiedhovertitle": {"text": f"{chart.x_label} %{{x:.6~g}}"},
            **_range([x for line in chart.lines for x in line.series.x]),
        },
        yaxis={**axis(grid=True), **({"range": list(chart.limits)} if chart.limits else {})},
        showlegend=count > 1,
        hovermode="x unified" if count <= _TOGETHER else "closest",
        **_levels(chart.levels),
    )
    return {"data": traces, "layout": shown}


def layout(**more: Any) -> dict[str, Any]:
    """What the layouts of all figures share."""
    return {
        "margin": {"l": 52, "r": 14, "t": 8, "b": 40},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "var(--muted)", "size": 12},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"color": "var(--ink)"}},
        "hoverlabel": {
            "bgcolor": "var(--paper)",
            "bordercolor": "var(--wire)",
            "font": {"color": "var(--ink)", "size": 12.5},
            "namelength": -1,
        },
        "modebar": {"color": "var(--wire)", "activecolor": "var(--ink)", "bgcolor": "rgba(0,0,0,0)"},
        **more,
    }


def axis(*, grid: bool = False) -> dict[str, Any]:
    """An axis, with faint lines across if `grid`."""
    return {
        "showgrid": grid,
        "gridcolor": "var(--rule)",
        "zeroline": False,
        "showline": not grid,
        "linecolor": "var(--muted)",
        "automargin": True,
    }


def _line(line: Line, chart: Chart) -> dict[str, Any]:
    x, y = line.series
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers" if len(x) < _POINTS else "lines",
        "name": html.escape(line.label, quote=False),
        "legendgroup": html.escape(line.label, quote=False),
        "x": _short(x),
        "y": _short(y),
        "line": {
            "color": f"var(--{line.role})",
            "width": 2,
            "shape": "hvh" if line.steps else "linear",
            "dash": ",".join(f"{part * 1.6:.3g}px" for part in line.dashes) if line.dashes else "solid",
        },
        "marker": {"size": 4 if len(x) > 1 else 7},
        "hovertemplate": "%{y:.5~g}",
    }
    if line.span:
        trace["customdata"] = [list(pair) for pair in zip(*map(_short, line.span), strict=True)]
        words = f"{chart.span_words} " if chart.span_words else ""
        trace["hovertemplate"] += f" ({words}%{{customdata[0]:.4~g}} to %{{customdata[1]:.4~g}})"
    return trace


def _band(line: Line, span: tuple[Sequence[float], Sequence[float]]) -> list[dict[str, Any]]:
    """The two ends of a band, the upper one filled down to the lower one."""
    edge = {
        "type": "scatter",
        "mode": "lines",
        "x": _short(line.series.x),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
        "legendgroup": html.escape(line.label, quote=False),
    }
    low, high = span
    return [
        {**edge, "y": _short(low)},
        {**edge, "y": _short(high), "fill": "tonexty", "fillcolor": f"var(--{line.role}) 16%"},
    ]


def _levels(levels: Mapping[str, float]) -> dict[str, Any]:
    """Dashed lines from one side to the other, with their names."""
    line = {"color": "var(--muted)", "width": 1, "dash": "4px,3px"}
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "line": line}
    name = {"xref": "paper", "x": 1, "xanchor": "right", "yanchor": "bottom", "showarrow": False}
    return {
        "shapes": [{**across, "y0": height, "y1": height} for height in levels.values()],
        "annotations": [
            {**name, "y": height, "text": html.escape(text, quote=False), "font": {"size": 11}}
            for text, height in levels.items()
        ],
    }


def _range(values: Sequence[float]) -> dict[str, Any]:
    """The range from the first value to the last, with margins; no ticks between two epochs."""
    first, last = min(values), max(values)
    more = 0.02 * (last - first) or 1.0
    return {"range": [first - more, last + more], **({"dtick": 1} if last - first < _FEW else {})}


def _short(values: Sequence[float]) -> list[float]:
    """Values with six digits: more cannot be seen."""
    return [float(f"{value:.6g}") for value in values]
