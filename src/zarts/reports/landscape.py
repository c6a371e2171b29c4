"""The picture of a landscape: contours of all surfaces on one colour scale, and below them each as a relief."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from zarts.errors import RunError
from zarts.reports.landscape_data import Landscape, Surface, read_landscape
from zarts.reports.svg import drawing, to_png, to_svg
from zarts.reports.theme import ROLES
from zarts.runtime.io import write_atomically

__all__ = ["draw_landscape"]

_SIDE, _GAP = 2.7, 0.45  # inches: of a plot, and between two
_LEFT, _RIGHT, _ABOVE, _BELOW, _SOLID = 0.6, 1.05, 0.62, 0.5, 2.9  # inches; the last one: height of a solid plot
_FONT, _LEVELS, _DPI = 9.0, 16, 160.0


def draw_landscape(folder: Path) -> list[Path]:
    """Draw `landscape.svg` and `landscape.png` from the `landscape.json` of a run folder.

    Returns:
        The files.

    Raises:
        RunError: the file is missing or no landscape, or a picture cannot be written.
    """
    landscape = read_landscape(folder)
    if landscape is None:
        raise RunError(f"{folder / 'landscape.json'}: not a landscape (it has no surfaces)")
    with drawing():
        figure = _draw(landscape)
        files: dict[Path, bytes | str] = {
            folder / "landscape.svg": to_svg(figure),
            folder / "landscape.png": to_png(figure, _DPI),
        }
    for file, content in files.items():
        write_atomically(file, content)
    return list(files)


def _draw(landscape: Landscape) -> Figure:
    columns, scale = len(landscape.surfaces), Normalize(*landscape.range)
    width = _LEFT + columns * _SIDE + (columns - 1) * _GAP + _RIGHT
    height = _ABOVE + _SIDE + _BELOW + _SOLID
    figure = Figure(figsize=(width, height), facecolor=ROLES["paper"].light)
    for column, surface in enumerate(landscape.surfaces):
        left = _LEFT + column * (_SIDE + _GAP)
        place = left / width, (_SOLID + _BELOW) / height, _SIDE / width, _SIDE / height
        axes = figure.add_axes(place, gid=f"contours-{column}")
        _contours(axes, landscape, surface, scale)
        solid = (left - 0.25) / width, 0.05 / height, (_SIDE + 0.4) / width, (_SOLID - 0.15) / height
        _solid(figure.add_axes(solid, projection="3d", gid=f"solid-{column}"), landscape, surface, scale)
    figure.axes[0].set_ylabel("second direction", fontsize=_FONT, color=ROLES["muted"].light)
    bar = figure.add_axes(((width - 0.8) / width, (_SOLID + _BELOW) / height, 0.14 / width, _SIDE / height))
    figure.colorbar(ScalarMappable(scale, _colours()), cax=bar).outline.set_visible(False)
    bar.tick_params(colors=ROLES["muted"].light, labelsize=_FONT - 1, length=0)
    bar.set_ylabel("loss", fontsize=_FONT, color=ROLES["muted"].light)
    return figure


def _colours() -> Colormap:
    stops = [(0.0, ROLES["sep"].light), (0.6, "#8fc1e3"), (0.85, ROLES["sep-tint"].light), (1.0, ROLES["paper"].light)]
    return LinearSegmentedColormap.from_list("losses", stops)


def _contours(axes: Axes, landscape: Landscape, surface: Surface, scale: Normalize) -> None:
    x, y, losses = landscape.x, landscape.y, np.ma.masked_invalid(surface.losses)
    levels = scale.inverse(np.linspace(0.0, 1.0, _LEVELS))
    if min(losses.shape) > 1 and losses.count():
        axes.contourf(x, y, losses, levels, cmap=_colours(), norm=scale, extend="max")
        axes.contour(x, y, losses, levels, colors=ROLES["sep"].light, linewidths=0.5, alpha=0.5)
    axes.plot(0.0, 0.0, marker="+", color=ROLES["ink"].light, markersize=8, markeredgewidth=1.4, gid="alpha")
    if surface.minimum:
        axes.plot(
            surface.minimum.x, surface.minimum.y, marker="o", markersize=7, markerfacecolor=ROLES["dil"].light,
            markeredgecolor=ROLES["paper"].light, markeredgewidth=1.3, clip_on=False, gid="minimum",
        )  # fmt: skip
    axes.set_aspect("equal")
    axes.tick_params(colors=ROLES["muted"].light, labelsize=_FONT - 1, length=0, pad=4)
    axes.locator_params(nbins=5)
    for spine in axes.spines.values():
        spine.set_color(ROLES["wire"].light)
    axes.set_xlabel("first direction", fontsize=_FONT, color=ROLES["muted"].light)
    axes.set_title(surface.name, fontsize=_FONT + 2, loc="left", pad=20, fontweight="bold")
    axes.text(0.0, 1.03, _facts(surface), transform=axes.transAxes, fontsize=_FONT - 1.5, color=ROLES["muted"].light)


def _facts(surface: Surface) -> str:
    words = [] if surface.sharpness is None else [f"sharpness {surface.sharpness:.2g}"]
    if lowest := surface.minimum:
        words.append(f"minimum {lowest.loss:.4g} at ({lowest.x:.2g}, {lowest.y:.2g})")
    return ", ".join(words) or "not finite"


def _solid(axes: Any, landscape: Landscape, surface: Surface, scale: Normalize) -> None:
    """Draw the surface seen from above a corner; in an SVG as an image, because it has thousands of parts."""
    axes.set_facecolor("none")
    if min(surface.losses.shape) > 1 and np.isfinite(surface.losses).any():
        losses = np.where(np.isfinite(surface.losses), surface.losses, math.nan)
        axes.plot_surface(
            *np.meshgrid(landscape.x, landscape.y), losses, cmap=_colours(), norm=scale, rasterized=True,
            rcount=len(landscape.y), ccount=len(landscape.x), edgecolor=ROLES["sep"].light, linewidth=0.12,
        )  # fmt: skip
    axes.set_zlim(scale.vmin, scale.vmax)
    axes.view_init(elev=28, azim=-57)
    axes.tick_params(labelsize=_FONT - 2, colors=ROLES["muted"].light, pad=-2)
    axes.locator_params(nbins=4)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.pane.set_visible(False)
        axis.line.set_color(ROLES["wire"].light)
        axis._axinfo["grid"].update(color=ROLES["rule"].light, linewidth=0.7)
