"""Pictures of shapes as matplotlib figures, for PNG files; and the widths of texts."""

from __future__ import annotations

from functools import lru_cache

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Patch, PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath, text_to_path

from zarts.reports.primitives import Curve, Picture, Plate, Shape, Tip, Words, bends
from zarts.reports.theme import ROLES

__all__ = ["figure_of", "text_width"]

_POINTS_PER_INCH = 72.0


def figure_of(picture: Picture) -> Figure:
    """The picture as a figure. Call it only inside `svg.drawing`."""
    (left, top), width, height = picture.corner, picture.width, picture.height
    figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), dpi=_POINTS_PER_INCH)
    figure.set_facecolor(ROLES["paper"].light)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(left, left + width)
    axes.set_ylim(top + height, top)
    for order, shape in enumerate(picture.shapes, start=1):
        _draw(axes, shape, order)
    return figure


@lru_cache(maxsize=256)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Width of a text in points, 0 if nothing of it is printed. Call it only inside `svg.drawing`."""
    font = FontProperties(size=size, weight=weight)
    outlines, _ = text_to_path.get_text_path(font, text)
    if not len(outlines):  # matplotlib 3.11 makes no TextPath of those
        return 0.0
    return float(TextPath((0.0, 0.0), text, prop=font).get_extents().width)


def _draw(axes: Axes, shape: Shape, order: int) -> None:
    if isinstance(shape, Words):
        axes.text(
            shape.x,
            shape.y,
            shape.text,
            fontsize=shape.size,
            fontweight="bold" if shape.bold else "normal",
            color=ROLES[shape.role].light,
            ha="center" if shape.centred else "left",
            va="center_baseline",
            gid=shape.name,
            zorder=order,
        )
    else:
        patch = _patch(shape)
        patch.set(gid=shape.name, zorder=order)
        axes.add_artist(patch)


def _patch(shape: Curve | Tip | Plate) -> Patch:
    if isinstance(shape, Tip):
        return PathPatch(
            Path([*shape.corners, shape.point], closed=True), facecolor=ROLES[shape.role].light, linewidth=0
        )
    if isinstance(shape, Curve):
        vertices = [shape.points[0], *(point for piece in bends(shape.points) for point in piece)]
        codes = [Path.MOVETO] + [Path.CURVE4] * (len(vertices) - 1)
        dashes = (0, shape.dashes) if shape.dashes else "solid"
        colour = ROLES[shape.role].light
        return PathPatch(Path(vertices, codes), fill=False, edgecolor=colour, linewidth=shape.width, linestyle=dashes)
    box = shape.box
    return FancyBboxPatch(
        (box.x - box.width / 2, box.y - box.height / 2),
        box.width,
        box.height,
        boxstyle=f"round,pad=0,rounding_size={shape.radius}",
        facecolor=ROLES[shape.face].light,
        edgecolor=ROLES[shape.edge].light,
        linewidth=1.1,
    )
