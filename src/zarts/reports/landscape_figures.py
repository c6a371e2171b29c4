"""Figures of a landscape for the report, with one colour scale for all surfaces."""

from __future__ import annotations

import html
import math
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from zarts.reports.landscape_data import Landscape, Surface
from zarts.reports.plotly_charts import Figure as Interactive
from zarts.reports.plotly_charts import axis, layout
from zarts.reports.svg import chart_axes, drawing, to_svg
from zarts.reports.theme import ROLES

__all__ = ["draw_surface", "flat_figure", "solid_figure", "surface_note"]

_COLOURS = "viridis"
_LEVELS = 21


def surface_note(surface: Surface) -> str:
    """Minimum and sharpness in words."""
    sentences = []
    if lowest := surface.minimum:
        sentences.append(f"Minimum {lowest.loss:.4g} at ({lowest.x:.3g}, {lowest.y:.3g}).")
    if surface.sharpness is not None:
        sentences.append(
            f"Sharpness (largest eigenvalue of the Hessian in this plane, where alpha is) {surface.sharpness:.4g}."
        )
    return " ".join(sentences)


def draw_surface(landscape: Landscape, surface: Surface) -> str:
    """Contours of a surface as the text of an SVG file."""
    low, high = landscape.range
    with drawing():
        figure = Figure(figsize=(5.0, 3.6), dpi=72, facecolor="none")
        axes = chart_axes(figure, (0.1, 0.13, 0.68, 0.82), "first direction", 9.5)
        scale, levels = Normalize(low, high), np.linspace(low, high, _LEVELS)
        if min(surface.losses.shape) > 1 and np.isfinite(surface.losses).any():
            losses = np.ma.masked_invalid(surface.losses)
            axes.contourf(landscape.x, landscape.y, losses, levels, cmap=_COLOURS, norm=scale, extend="both")
        axes.plot(0.0, 0.0, marker="+", color=ROLES["paper"].light, markersize=9, markeredgewidth=1.8)
        if surface.minimum:
            at = surface.minimum
            axes.plot(at.x, at.y, marker="o", color="none", markeredgecolor=ROLES["paper"].light, markersize=7)
        bar = figure.colorbar(ScalarMappable(scale, _COLOURS), cax=figure.add_axes((0.82, 0.13, 0.035, 0.82)))
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=9.5, length=0, colors=ROLES["muted"].light)
        return to_svg(figure)


def flat_figure(landscape: Landscape, surface: Surface) -> Interactive:
    """Contours that show their losses on hover."""
    marks: list[dict[str, Any]] = [_mark(0.0, 0.0, "cross-thin", "alpha")]
    if surface.minimum:
        marks.append(_mark(surface.minimum.x, surface.minimum.y, "circle-open", "minimum"))
    low, high = landscape.range
    contour = {
        "type": "contour",
        **_grid(landscape, surface),
        "zmin": low,
        "zmax": high,
        "autocontour": False,
        "contours": {"coloring": "heatmap", "start": low, "end": high, "size": (high - low) / (_LEVELS - 1)},
        "line": {"width": 0.4, "color": "rgba(255,255,255,0.55)"},
        "colorscale": _COLOURS.capitalize(),
        "colorbar": {"outlinewidth": 0, "thickness": 12, "ticks": ""},
    }
    directions = {"xaxis": "first direction", "yaxis": "second direction"}
    axes = {key: {**axis(), "title": {"text": words}} for key, words in directions.items()}
    return {"data": [contour, *marks], "layout": layout(**axes, showlegend=False, hovermode="closest")}


def solid_figure(landscape: Landscape) -> Interactive:
    """The surfaces in three dimensions, one of them visible at a time."""
    low, high = landscape.range
    traces = [
        {
            "type": "surface",
            **_grid(landscape, surface),
            "cmin": low,
            "cmax": high,
            "colorscale": _COLOURS.capitalize(),
            "colorbar": {"outlinewidth": 0, "thickness": 12, "ticks": ""},
            "visible": place == 0,
            "name": html.escape(surface.name, quote=False),
        }
        for place, surface in enumerate(landscape.surfaces)
    ]
    buttons = [
        {
            "method": "restyle",
            "label": html.escape(surface.name, quote=False),
            "args": [{"visible": [place == other for other in range(len(traces))]}],
        }
        for place, surface in enumerate(landscape.surfaces)
    ]
    side = {"gridcolor": "var(--rule)", "zeroline": False, "showbackground": False, "color": "var(--muted)"}
    scene = {
        "xaxis": {**side, "title": {"text": "first direction"}},
        "yaxis": {**side, "title": {"text": "second direction"}},
        "zaxis": {**side, "title": {"text": "loss"}, "range": [low, high]},
        "aspectmode": "manual",
        "aspectratio": {"x": 1, "y": 1, "z": 0.7},
        "camera": {"eye": {"x": 1.35, "y": 1.35, "z": 0.75}, "center": {"x": 0, "y": 0, "z": -0.12}},
    }
    menu = {
        "type": "buttons",
        "direction": "right",
        "buttons": buttons,
        "x": 0,
        "xanchor": "left",
        "y": 1.0,
        "yanchor": "bottom",
        "bgcolor": "var(--paper)",
        "bordercolor": "var(--wire)",
        "font": {"color": "var(--ink)"},
        "showactive": False,
    }
    shown = layout(scene=scene, updatemenus=[menu] if len(traces) > 1 else [], margin={"l": 0, "r": 0, "t": 40, "b": 0})
    return {"data": traces, "layout": shown}


def _grid(landscape: Landscape, surface: Surface) -> dict[str, Any]:
    """The losses over the plane; losses that are not finite are holes."""
    rows = [[float(f"{loss:.6g}") if math.isfinite(loss) else None for loss in row] for row in surface.losses.tolist()]
    words = "(%{x:.3~g}, %{y:.3~g})<br>loss %{z:.5~g}<extra></extra>"
    return {"x": landscape.x, "y": landscape.y, "z": rows, "hovertemplate": words}


def _mark(x: float, y: float, symbol: str, name: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [x],
        "y": [y],
        "marker": {"symbol": symbol, "size": 11, "color": "#fff", "line": {"width": 2, "color": "#fff"}},
        "hovertemplate": f"{name}: (%{{x:.3~g}}, %{{y:.3~g}})<extra></extra>",
    }
