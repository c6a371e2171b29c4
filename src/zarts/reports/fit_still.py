"""The picture of all networks of a fit as an SVG element, for readers without scripts and on paper."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from typing import NamedTuple

from zarts.reports.fit_labels import Axis, Label, Size
from zarts.reports.fit_picture import FAINT, Group, Picture

__all__ = ["draw_networks", "linear_ticks", "log_ticks", "short", "x_ticks"]

_LEFT, _RIGHT, _BELOW, _ABOVE, _ROW = 44.0, 16.0, 40.0, 10.0, 17.0
_BROAD = 600.0  # a picture of this width has more ticks, and its legend side by side


def draw_networks(picture: Picture, size: Size) -> str:
    """The picture as an SVG element, in the colours of the page."""
    columns = 3 if size.width > _BROAD else 1
    top = _ABOVE + _ROW * math.ceil(len(picture.counts) / columns)
    width, height = _LEFT + size.width + _RIGHT, top + size.height + _BELOW
    pen = _Pen(picture, size, top)
    parts = [
        *_legend(picture, size, columns),
        *_grid(pen, picture, size),
        *_lines(pen, picture),
        *(mark for group in picture.groups for mark in _marks(pen, group)),
        *_ring(pen, picture),
        *(_name(pen, label) for label in picture.names(size)),
    ]
    start = f'<svg role="img" aria-label="{picture.x_label}" viewBox="0 0 {width:.0f} {height:.0f}" font-size="11">'
    return "".join([start, *parts, "</svg>"])


class _Pen(NamedTuple):
    """Where values are in the picture, as text."""

    picture: Picture
    size: Size
    top: float

    def x(self, value: float, more: float = 0.0) -> str:
        return f"{_LEFT + self.picture.x.part(value) * self.size.width + more:.1f}"

    def y(self, value: float, more: float = 0.0) -> str:
        return f"{self.top + (1 - self.picture.y.part(value)) * self.size.height + more:.1f}"


def _legend(picture: Picture, size: Size, columns: int) -> Iterator[str]:
    for index, length in enumerate(reversed(picture.counts)):
        mark = picture.mark(length)
        x, y = _LEFT + 8 + size.width / columns * (index % columns), 9 + _ROW * (index // columns)
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{mark.size / 2:g}" {_style("muted", mark.fill, 1.4)}/>'
        yield _text(f"{x + 11:.1f}", f"{y:.1f}", picture.count_words(length), "start", "ink")


def _grid(pen: _Pen, picture: Picture, size: Size) -> Iterator[str]:
    """Lines across, the x axis, their numbers, and the limit."""
    foot, right = pen.top + size.height, f"{_LEFT + size.width:.1f}"
    for value in linear_ticks(picture.y, 6):
        yield _path(f"M{_LEFT} {pen.y(value)}H{right}", "rule", 0.9)
        yield _text(f"{_LEFT - 6}", pen.y(value), f"{value:.4g}", "end", "muted")
    yield _path(f"M{_LEFT} {foot:.1f}H{right}", "muted", 0.9)
    for value in x_ticks(picture, size):
        yield _text(pen.x(value), f"{foot + 13:.1f}", short(value), "middle", "muted")
    yield _text(right, f"{foot + 30:.1f}", picture.x_label, "end", "muted")
    if picture.limit is not None:
        yield _path(f"M{pen.x(picture.limit)} {pen.top:.1f}V{foot:.1f}", "muted", 0.9, dashed=True)


def _lines(pen: _Pen, picture: Picture) -> Iterator[str]:
    for length, ((cost, accuracy), *rest) in picture.fronts.items():
        steps = f"M{pen.x(cost)} {pen.y(accuracy)}" + "".join(f"H{pen.x(x)}V{pen.y(y)}" for x, y in rest)
        last = picture.is_longest(length)
        yield _path(steps, "muted" if last else "wire", 1.3, dashed=not last)


def _marks(pen: _Pen, group: Group) -> Iterator[str]:
    style = _style(group.role, group.fill, 1.4 if group.size > FAINT else 0.0)
    for cost, accuracy in zip(group.x, group.y, strict=True):
        if group.below:
            yield f'<path d="M{pen.x(cost)} {pen.y(accuracy)}m-5 -4h10l-5 8z" {style}/>'
        else:
            yield f'<circle cx="{pen.x(cost)}" cy="{pen.y(accuracy)}" r="{group.size / 2:g}" {style}/>'


def _ring(pen: _Pen, picture: Picture) -> Iterator[str]:
    if picture.taken is not None:
        at = f'cx="{pen.x(picture.taken[0])}" cy="{pen.y(picture.taken[1])}"'
        yield f'<circle {at} r="10.5" fill="none" stroke="var(--ink)" stroke-width="2"/>'


def _name(pen: _Pen, label: Label) -> str:
    across, up = label.side
    anchor = {1: "start", -1: "end", 0: "middle"}[across]
    return _text(pen.x(label.x, 12.0 * across), pen.y(label.y, -17.0 * up), label.text, anchor, label.role)


def _style(role: str, fill: int, edge: float) -> str:
    return f'fill="var(--{role})" fill-opacity="{fill / 100:g}" stroke="var(--{role})" stroke-width="{edge:g}"'


def _path(steps: str, role: str, width: float, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return f'<path d="{steps}" fill="none" stroke="var(--{role})" stroke-width="{width:g}"{dashes}/>'


def _text(x: str, y: str, text: str, anchor: str, role: str) -> str:
    words = html.escape(text)
    return f'<text x="{x}" y="{y}" dy="0.35em" text-anchor="{anchor}" fill="var(--{role})" class="said">{words}</text>'


def x_ticks(picture: Picture, size: Size) -> list[float]:
    """Round costs for the x axis."""
    most = 9 if size.width > _BROAD else 5
    return log_ticks(picture.x, most) if picture.x.log else linear_ticks(picture.x, most)


def linear_ticks(axis: Axis, most: int) -> list[float]:
    """Round numbers inside a linear axis, at most so many: multiples of 1, 2 or 5 times a power of ten."""
    least = (axis.high - axis.low) / most
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)
    return [step * number for number in range(math.ceil(axis.low / step), math.floor(axis.high / step) + 1)]


def log_ticks(axis: Axis, most: int) -> list[float]:
    """Round numbers inside a logarithmic axis, at most so many: of the 1-2-5 series, powers of ten, or every N-th."""
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
