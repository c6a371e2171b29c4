"""The picture of all networks of a fit, drawn: as a figure of plotly, and as an SVG for readers without scripts."""

from __future__ import annotations

import html
import math
from typing import Any

from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from zarts.reports.fit_picture import COSTS, Axis, Label, Picture, Size, place
from zarts.reports.plotly_charts import Figure, axis, layout
from zarts.reports.svg import chart_axes, drawing, to_svg
from zarts.reports.theme import ROLES

__all__ = ["NARROW", "WIDE", "draw_networks", "networks_figure"]

WIDE = Size(700.0, 360.0, 40)
"""The inside of the picture on a narrow desk; a wider one has more room between names."""

NARROW = Size(270.0, 300.0, 18)
"""The inside of the picture on a phone."""

_MARGINS = (46.0, 14.0, 36.0)  # points: left, right, below
_LEGEND = 15.0  # points a line
_FONT = 9.0
_DOWN = {1: "top", -1: "bottom", 0: "middle"}


def networks_figure(picture: Picture, size: Size) -> Figure:
    """The picture for the browser: what a network is on hover; a click on a length hides what was trained so long."""
    traces: list[dict[str, Any]] = []
    for length in reversed(picture.counts):
        mark = next(group for group in reversed(picture.groups) if group.length == length)
        traces.append({
            **_trace(length), "x": [None], "y": [None], "mode": "markers", "showlegend": True,
            "name": html.escape(_count(picture, length), quote=False), "marker": _marker("muted", mark.size, mark.fill),
        })  # fmt: skip
    for length, points in picture.fronts.items():
        last = length == next(reversed(picture.fronts))
        traces.append({
            **_trace(length), "mode": "lines", "x": [x for x, _ in points], "y": [y for _, y in points],
            "line": {"color": "var(--muted)" if last else "var(--wire)", "width": 1.5, "shape": "hv",
                     "dash": "solid" if last else "4px,3px"},
        })  # fmt: skip
    for group in picture.groups:
        traces.append({
            **_trace(group.length), "mode": "markers", "x": group.x, "y": group.y, "hoverinfo": "all",
            "hovertext": group.hover, "hovertemplate": "%{hovertext}<extra></extra>",
            "marker": {
                **_marker(group.role, group.size, group.fill, edge=not group.went_on),
                "symbol": "triangle-down" if group.below else "circle",
            },
        })  # fmt: skip
    if picture.taken:
        ring = {"symbol": "circle-open", "size": 21, "color": "var(--ink)", "line": {"width": 2}}
        traces.append({**_trace(""), "mode": "markers", "x": [picture.taken[0]], "y": [picture.taken[1]], "marker": ring})
    labels = place(picture, size)
    for length in dict.fromkeys(label.length for label in labels):
        traces.append(_names(length, [label for label in labels if label.length == length]))
    unit = COSTS[picture.cost].unit
    x: dict[str, Any] = {**axis(), "range": list(picture.x[:2]), "title": {"text": _x_label(picture)}}
    if picture.x.log:
        values = log_ticks(picture.x, 9 if size is WIDE else 4)
        x |= {"type": "log", "tickvals": values, "ticktext": [short(value) for value in values]}
    else:
        x |= {"tickformat": "~g" if unit in ("ms", "s") else "~s", "nticks": 8 if size is WIDE else 4}
    legend = {"orientation": "h" if size is WIDE else "v", "itemsizing": "trace"}
    shown = layout(
        xaxis=x,
        yaxis={**axis(grid=True), "range": list(picture.y[:2])},
        hovermode="closest",
        **_limit(picture),
    )
    shown["legend"] |= legend
    shown["margin"] |= {"t": 8}
    shown["hoverlabel"] |= {"align": "left"}
    return {"data": traces, "layout": shown}


def draw_networks(picture: Picture, size: Size) -> str:
    """The picture as the text of an SVG file."""
    left, right, below = _MARGINS
    rows = 1 if size is WIDE else len(picture.counts)
    width, height = left + size.width + right, below + size.height + _LEGEND * rows + 8
    with drawing():
        figure = Drawing(figsize=(width / 72, height / 72), dpi=72, facecolor="none")
        inside = (left / width, below / height, size.width / width, size.height / height)
        axes = chart_axes(figure, inside, _x_label(picture), _FONT)
        axes.set_xscale("log" if picture.x.log else "linear")
        axes.set_xlim(*((10**picture.x.low, 10**picture.x.high) if picture.x.log else picture.x[:2]))
        axes.set_ylim(*picture.y[:2])
        places = FixedLocator(log_ticks(picture.x, 9 if size is WIDE else 4)) if picture.x.log else None
        axes.xaxis.set_major_locator(places or MaxNLocator(7 if size is WIDE else 4))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        if picture.limit is not None:
            axes.axvline(picture.limit, color=ROLES["muted"].light, linewidth=1.0, linestyle=(0, (4.0, 3.0)))
        for length, points in picture.fronts.items():
            last = length == next(reversed(picture.fronts))
            colour = ROLES["muted" if last else "wire"].light
            style = "solid" if last else (0, (4.0, 3.0))
            axes.plot(*zip(*points, strict=True), drawstyle="steps-post", color=colour, linewidth=1.2, linestyle=style)
        for group in picture.groups:
            axes.plot(group.x, group.y, "v" if group.below else "o", **_style(group.role, group.size, group.fill))
        if picture.taken:
            axes.plot(*([value] for value in picture.taken), "o", **_style("ink", 19.0, 0))
        for label in place(picture, size):
            _write(axes, label)
        marks = []
        for length in reversed(picture.counts):
            mark = next(group for group in reversed(picture.groups) if group.length == length)
            style = _style("muted", mark.size, mark.fill)
            marks.append(Line2D([], [], marker="o", linestyle="none", label=_count(picture, length), **style))
        axes.legend(
            handles=marks, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(marks) if rows == 1 else 1,
            frameon=False, fontsize=_FONT, borderpad=0.0, handletextpad=0.2, labelspacing=0.25,
        )  # fmt: skip
        return to_svg(figure)


def log_ticks(axis: Axis, most: int) -> list[float]:
    """Round numbers inside a logarithmic axis, at most so many: of the 1-2-5 series, or powers of ten, or every N-th."""
    decades = range(math.floor(axis.low), math.ceil(axis.high) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        values = [step * 10.0**power for power in decades for step in steps]
        values = [value for value in values if axis.low <= math.log10(value) <= axis.high]
        if len(values) <= most:
            return values
    return values[:: math.ceil(len(values) / most)]


def short(value: float) -> str:
    """A number on an axis: `20k`, `1.5M`, `0.2`."""
    for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{prefix}"
    return f"{value:.4g}"


def _x_label(picture: Picture) -> str:
    cost = COSTS[picture.cost]
    return f"{cost.words}, {cost.unit}" if cost.unit in ("ms", "B") else cost.words


def _count(picture: Picture, length: str) -> str:
    count = picture.counts[length]
    return f"trained for {length}: {count} network{'s' if count > 1 else ''}"


def _trace(length: str) -> dict[str, Any]:
    return {"type": "scatter", "legendgroup": html.escape(length), "showlegend": False, "hoverinfo": "skip"}


def _marker(role: str, size: float, fill: int, *, edge: bool = True) -> dict[str, Any]:
    line = {"color": f"var(--{role})", "width": 1.6 if edge else 0}
    return {"size": size, "color": f"var(--{role}) {fill}%", "opacity": 1, "line": line}


def _style(role: str, size: float, fill: int) -> dict[str, Any]:
    colour = ROLES[role].light
    return {
        "markersize": size * 0.8, "markerfacecolor": (colour, fill / 100), "markeredgecolor": colour,
        "markeredgewidth": 1.2 if size > 5 else 0.0,
    }  # fmt: skip


def _names(length: str, labels: list[Label]) -> dict[str, Any]:
    """Names beside their points; plotly says where the text is, seen from its point."""
    return {
        **_trace(length),
        "mode": "markers+text",  # marks that cannot be seen keep the names away from those that can
        "x": [label.x for label in labels],
        "y": [label.y for label in labels],
        "text": [html.escape(label.text, quote=False) for label in labels],
        "textposition": [
            f"{_DOWN[label.side[1]]} {({1: 'right', -1: 'left', 0: 'center'})[label.side[0]]}" for label in labels
        ],
        "textfont": {"size": 11.5, "color": "var(--ink)"},
        "marker": {"size": 15, "opacity": 0},
        "cliponaxis": False,
    }


def _write(axes: Any, label: Label) -> None:
    across, up = label.side
    axes.annotate(
        label.text, (label.x, label.y), xytext=(9 * across, 9 * up), textcoords="offset points", fontsize=_FONT,
        ha={1: "left", -1: "right", 0: "center"}[across], va={1: "bottom", -1: "top", 0: "center"}[up],
        color=ROLES["ink"].light,
    )  # fmt: skip


def _limit(picture: Picture) -> dict[str, Any]:
    """A dashed line at the limit, with its name at the foot."""
    if picture.limit is None:
        return {}
    at = math.log10(picture.limit) if picture.x.log else picture.limit
    right = picture.x.part(picture.limit) > 0.5
    line = {"color": "var(--muted)", "width": 1, "dash": "4px,3px"}
    return {
        "shapes": [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": picture.limit, "x1": picture.limit, "line": line}],
        "annotations": [{
            "x": at, "y": 0, "yref": "paper", "yanchor": "bottom", "xanchor": "right" if right else "left",
            "text": "limit", "showarrow": False, "font": {"size": 11},
        }],
    }  # fmt: skip
