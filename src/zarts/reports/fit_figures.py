"""The picture of all networks of a fit as a figure of plotly."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from typing import Any

from zarts.reports.fit_labels import Label, Size
from zarts.reports.fit_picture import COSTS, FAINT, Picture
from zarts.reports.fit_still import short, x_ticks
from zarts.reports.plotly_charts import Figure, axis, layout

__all__ = ["NARROW", "WIDE", "networks_figure"]

WIDE = Size(860.0, 360.0, 40)
"""The inside of the picture on a desk."""

NARROW = Size(270.0, 300.0, 18)
"""The inside of the picture on a phone."""

_DASHED = "4px,3px"
_Trace = dict[str, Any]


def networks_figure(picture: Picture, size: Size) -> Figure:
    """The picture for the browser: what a network is on hover; a click on a length hides what was trained so long."""
    shown = layout(
        xaxis=_x_axis(picture, size),
        yaxis={**axis(grid=True), "range": list(picture.y[:2])},
        hovermode="closest",
        **_limit(picture),
    )
    shown["legend"] |= {"orientation": "h" if size is WIDE else "v", "itemsizing": "trace"}
    shown["hoverlabel"] |= {"align": "left"}
    labels = picture.names(size)
    traces = [
        *_legend(picture),
        *_fronts(picture),
        *_marks(picture),
        *_ring(picture),
        *(_names(length, labels) for length in dict.fromkeys(label.length for label in labels)),
    ]
    return {"data": traces, "layout": shown}


def _trace(length: str) -> _Trace:
    """What all traces share; those of a length are hidden and shown together."""
    return {"type": "scatter", "legendgroup": html.escape(length), "showlegend": False, "hoverinfo": "skip"}


def _legend(picture: Picture) -> Iterator[_Trace]:
    """A trace without points for each length: its mark in a colour of no origin."""
    for length in reversed(picture.counts):
        mark = picture.mark(length)
        yield {
            **_trace(length),
            "x": [None],
            "y": [None],
            "mode": "markers",
            "showlegend": True,
            "name": html.escape(picture.count_words(length), quote=False),
            "marker": _marker("muted", mark.size, mark.fill),
        }


def _fronts(picture: Picture) -> Iterator[_Trace]:
    for length, points in picture.fronts.items():
        last = picture.is_longest(length)
        line = {"color": "var(--muted)" if last else "var(--wire)", "dash": "solid" if last else _DASHED}
        yield {
            **_trace(length),
            "mode": "lines",
            "x": [x for x, _ in points],
            "y": [y for _, y in points],
            "line": {**line, "width": 1.5, "shape": "hv"},
        }


def _marks(picture: Picture) -> Iterator[_Trace]:
    for group in picture.groups:
        symbol = "triangle-down" if group.below else "circle"
        yield {
            **_trace(group.length),
            "mode": "markers",
            "x": group.x,
            "y": group.y,
            "cliponaxis": not group.below,
            "hoverinfo": "all",
            "hovertext": group.hover,
            "hovertemplate": "%{hovertext}<extra></extra>",
            "marker": {**_marker(group.role, group.size, group.fill), "symbol": symbol},
        }


def _marker(role: str, size: float, fill: int) -> dict[str, Any]:
    line = {"color": f"var(--{role})", "width": 1.6 if size > FAINT else 0}
    return {"size": size, "color": f"var(--{role}) {fill}%", "opacity": 1, "line": line}


def _ring(picture: Picture) -> Iterator[_Trace]:
    """A ring around the network to take."""
    if picture.taken is not None:
        x, y = picture.taken
        ring = {"symbol": "circle-open", "size": 21, "color": "var(--ink)", "line": {"width": 2}}
        yield {**_trace(""), "mode": "markers", "x": [x], "y": [y], "marker": ring}


def _names(length: str, labels: list[Label]) -> _Trace:
    """Names beside the points of a length; plotly says where the text is, seen from its point."""
    labels = [label for label in labels if label.length == length]
    up, across = {1: "top", -1: "bottom", 0: "middle"}, {1: "right", -1: "left", 0: "center"}
    return {
        **_trace(length),
        "mode": "markers+text",  # marks that cannot be seen keep the names away from those that can
        "marker": {"size": 19, "opacity": 0},
        "x": [label.x for label in labels],
        "y": [label.y for label in labels],
        "text": [html.escape(label.text, quote=False) for label in labels],
        "textposition": [f"{up[label.side[1]]} {across[label.side[0]]}" for label in labels],
        "textfont": {"size": 11.5, "color": [f"var(--{label.role})" for label in labels]},
        "cliponaxis": False,
    }


def _x_axis(picture: Picture, size: Size) -> dict[str, Any]:
    shared = {**axis(), "range": list(picture.x[:2]), "title": {"text": picture.x_label}}
    if picture.x.log:
        values = x_ticks(picture, size)
        return {**shared, "type": "log", "tickvals": values, "ticktext": [short(value) for value in values]}
    small = COSTS[picture.cost].unit in ("ms", "s")
    return {**shared, "tickformat": "~g" if small else "~s", "nticks": 9 if size is WIDE else 5}


def _limit(picture: Picture) -> dict[str, Any]:
    """A dashed line at the limit, with its name at the foot."""
    if picture.limit is None:
        return {}
    line = {"color": "var(--muted)", "width": 1, "dash": _DASHED}
    upright = {"type": "line", "x0": picture.limit, "x1": picture.limit, "yref": "paper", "y0": 0, "y1": 1}
    name = {
        "x": math.log10(picture.limit) if picture.x.log else picture.limit,
        "xanchor": "right" if picture.x.part(picture.limit) > 0.5 else "left",
        "y": 0,
        "yref": "paper",
        "yanchor": "bottom",
    }
    return {
        "shapes": [{**upright, "line": line}],
        "annotations": [{**name, "text": "limit", "showarrow": False, "font": {"size": 11}}],
    }
