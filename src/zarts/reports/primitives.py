"""The shapes of a cell's picture, and their SVG; `raster` turns them into pixels."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from zarts.reports.layout import Box, Point
from zarts.reports.theme import ROLES

__all__ = ["FAMILIES", "Curve", "Picture", "Plate", "Shape", "Tip", "Words", "bends", "to_svg"]

FAMILIES = ("DejaVu Sans", "Verdana", "Arial", "sans-serif")
"""Font families; the first two have the same widths."""

_MIDDLE = 0.365
"""Distance from the middle of a text to its baseline, as a fraction of its size: half the height of a capital."""


class Curve(NamedTuple):
    """A smooth curve through points, horizontal in each of them: never above or below two neighbours."""

    name: str
    points: Sequence[Point]
    role: str
    width: float
    dashes: tuple[float, float] | None = None


class Tip(NamedTuple):
    """The head of an arrow that ends, to the right, in a point."""

    name: str
    point: Point
    role: str

    @property
    def corners(self) -> list[Point]:
        """The three corners, the point first."""
        x, y = self.point
        return [(x, y), (x - 6.0, y - 3.3), (x - 6.0, y + 3.3)]


class Plate(NamedTuple):
    """A rectangle with round corners; a circle, where the radius is half of its height and of its width."""

    name: str
    box: Box
    radius: float
    face: str
    edge: str


class Words(NamedTuple):
    """A text whose middle is at `y`; its middle, or its start, is at `x`."""

    name: str
    x: float
    y: float
    text: str
    size: float
    role: str = "ink"
    centred: bool = True
    bold: bool = False


Shape = Curve | Tip | Plate | Words


class Picture(NamedTuple):
    """Shapes, the later ones above the earlier ones; `corner` is the upper left one; sizes are in points."""

    corner: Point
    width: float
    height: float
    shapes: Sequence[Shape]


def bends(points: Sequence[Point]) -> list[tuple[Point, Point, Point]]:
    """The two control points and the end of each piece of a curve."""
    middles = [((x0 + x1) / 2, y0, y1, x1) for (x0, y0), (x1, y1) in pairwise(points)]
    return [((middle, y0), (middle, y1), (x1, y1)) for middle, y0, y1, x1 in middles]


def to_svg(picture: Picture) -> str:
    """The picture as an SVG file; shapes of one name are a group with that id."""
    (left, top), width, height = picture.corner, _short(picture.width), _short(picture.height)
    body = "\n".join(
        f"<g{_id(name)}>{''.join(map(_element, shapes))}</g>"
        for name, shapes in groupby(picture.shapes, key=lambda shape: shape.name)
    )
    size = f'width="{width}pt" height="{height}pt" viewBox="0 0 {width} {height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n'
        f'<rect width="100%" height="100%" style="fill: {ROLES["paper"].light}"/>\n'
        f'<g transform="translate({_short(-left)} {_short(-top)})">\n{body}\n</g>\n</svg>\n'
    )


def _id(name: str) -> str:
    return f' id="{html.escape(name)}"' if name else ""


def _element(shape: Shape) -> str:
    if isinstance(shape, Words):
        return _text(shape)
    if isinstance(shape, Plate):
        return _plate(shape)
    if isinstance(shape, Tip):
        corners = " ".join(map(_place, shape.corners))
        return f'<path d="M {corners} z" style="fill: {ROLES[shape.role].light}"/>'
    dashes = (
        f"; stroke-dasharray: {' '.join(_short(part * shape.width) for part in shape.dashes)}" if shape.dashes else ""
    )
    pieces = "".join(f" C {_places(piece)}" for piece in bends(shape.points))
    return (
        f'<path d="M {_place(shape.points[0])}{pieces}" '
        f'style="fill: none; stroke: {ROLES[shape.role].light}; stroke-width: {_short(shape.width)}{dashes}"/>'
    )


def _plate(shape: Plate) -> str:
    box = shape.box
    corner = f'x="{_short(box.x - box.width / 2)}" y="{_short(box.y - box.height / 2)}"'
    return (
        f'<rect {corner} width="{_short(box.width)}" height="{_short(box.height)}" rx="{_short(shape.radius)}" '
        f'style="fill: {ROLES[shape.face].light}; stroke: {ROLES[shape.edge].light}; stroke-width: 1.1"/>'
    )


def _text(shape: Words) -> str:
    families = ", ".join(f"'{name}'" if " " in name else name for name in FAMILIES)
    style = f"font-size: {_short(shape.size)}px; font-family: {families}; fill: {ROLES[shape.role].light}"
    style += "; text-anchor: middle" if shape.centred else ""
    style += "; font-weight: bold" if shape.bold else ""
    place = f'x="{_short(shape.x)}" y="{_short(shape.y + _MIDDLE * shape.size)}"'
    return f'<text {place} style="{style}">{html.escape(shape.text, quote=False)}</text>'


def _places(points: Iterable[Point]) -> str:
    return ", ".join(map(_place, points))


def _place(point: Point) -> str:
    return f"{_short(point[0])} {_short(point[1])}"


def _short(value: float) -> str:
    """A number with two digits: a hundredth of a point cannot be seen."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
