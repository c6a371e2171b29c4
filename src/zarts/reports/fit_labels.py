"""Names beside the marks of a picture, where they can be read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Axis", "Label", "Size", "place"]

_REACH = 9.5  # pixels: from a point to what stands beside it
_LETTER, _LINE, _GAP = 6.3, 14.0, 3.0  # pixels: width and height of a letter of a name, from the mark to its name
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Where a name may stand beside its mark: to the right or left, above or below."""

_CROWD, _STEP = 3, 6  # marks that a name may cover; pixels from one dot of a line to the next

_Box = tuple[float, float, float, float]  # left, bottom, right, top; y grows upwards


class Axis(NamedTuple):
    """The range of an axis; of its logarithm (base 10), if `log`."""

    low: float
    high: float
    log: bool = False

    def part(self, value: float) -> float:
        """Where a value is: 0 at the low end, 1 at the high one."""
        return ((math.log10(value) if self.log else value) - self.low) / (self.high - self.low)


class Size(NamedTuple):
    """Of the inside of a picture in pixels, and the most letters of a name in it."""

    width: float
    height: float
    letters: int


class Label(NamedTuple):
    """The name beside a point: `side` is right, left or none (1, -1, 0), and above, below or none.

    `first` are those of finalists.
    """

    text: str
    role: str
    length: str
    x: float
    y: float
    first: bool
    side: tuple[int, int] = (1, 0)


def place(
    labels: Sequence[Label],
    axes: tuple[Axis, Axis],
    marks: Sequence[tuple[float, float, float]],
    lines: Sequence[Sequence[tuple[float, float]]],
    size: Size,
) -> list[Label]:
    """The names with their sides, so that they touch each other nowhere, and marks and lines as little as possible.

    A name that has no room is left out, and so is one of no finalist that would cover a crowd of marks.

    Args:
        labels: the most important first.
        axes: of x and y.
        marks: x, y and diameter of each.
        lines: the corners of steps, first across, then up.
        size: of the picture.
    """

    def at(x: float, y: float) -> tuple[float, float]:
        return axes[0].part(x) * size.width, axes[1].part(y) * size.height

    discs = [(*at(x, y), diameter / 2) for x, y, diameter in marks]
    dots = [(*dot, 1.0) for points in lines for dot in _dotted([at(x, y) for x, y in points])]
    boxes: list[_Box] = []
    placed = []
    for label in labels:
        text = label.text if len(label.text) <= size.letters else re.split(r" width|,", label.text)[0]
        text = text if len(text) <= size.letters else text[: size.letters - 1] + "…"
        sides = [(_box(at(label.x, label.y), text, side), side) for side in _SIDES]
        free = [(box, side) for box, side in sides if _inside(box, size) and not any(_touch(box, one) for one in boxes)]
        if not free:
            continue
        covered = {side: sum(_hit(box, disc) for disc in discs) for box, side in free}
        box, side = min(free, key=lambda one: covered[one[1]] + 0.1 * sum(_hit(one[0], dot) for dot in dots))
        if label.first or covered[side] <= _CROWD:
            boxes.append(box)
            placed.append(label._replace(text=text, side=side))
    return placed


def _dotted(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points on the steps through some points, in pixels: first across, then up."""
    dots = []
    for (x, y), (right, top) in pairwise(corners):
        dots += [(x + part, y) for part in range(0, int(right - x), _STEP)]
        dots += [(right, y + part) for part in range(0, int(top - y), _STEP)]
    return dots


def _box(at: tuple[float, float], text: str, side: tuple[int, int]) -> _Box:
    """Where a name beside a point is."""
    width, (x, y), (across, up) = _LETTER * len(text), at, side
    gap = _REACH + _GAP
    left = x - width / 2 if not across else x + gap if across > 0 else x - gap - width
    bottom = y - _LINE / 2 if not up else y + gap if up > 0 else y - gap - _LINE
    return left, bottom, left + width, bottom + _LINE


def _inside(box: _Box, size: Size) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size.width and box[3] <= size.height


def _touch(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] + 3 and b[0] < a[2] + 3 and a[1] < b[3] and b[1] < a[3]


def _hit(box: _Box, mark: tuple[float, float, float]) -> bool:
    x, y, radius = mark
    return box[0] - radius < x < box[2] + radius and box[1] - radius < y < box[3] + radius
