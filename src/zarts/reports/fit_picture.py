"""The picture of all networks of a fit, accuracy against cost, as plain data; `fit_figures` draws it."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Mapping, Sequence
from statistics import quantiles
from typing import NamedTuple

from zarts.reports.fit_result import FitResult, Network, front
from zarts.reports.summary import show
from zarts.runtime.paths import printable

__all__ = ["COSTS", "ORIGINS", "Axis", "Cost", "Group", "Label", "Picture", "Size", "amount", "place", "picture_of"]


class Cost(NamedTuple):
    """A cost: its name, its unit, and the limit on it."""

    words: str
    unit: str
    limit: str


COSTS = {
    "parameters": Cost("Parameters", "", "max_params"),
    "macs": Cost("MACs an image", "", "max_macs"),
    "latency_ms": Cost("Latency", "ms", "max_latency"),
    "ram": Cost("RAM", "B", "max_ram"),
    "flash": Cost("Flash", "B", "max_flash"),
    "step_seconds": Cost("Seconds a training step", "s", ""),
}
"""The costs against which networks are drawn."""

ORIGINS = {
    "hand-made": ("dil", "made by hand"),
    "yours": ("pool", "yours"),
    "found": ("sep", "found by the search"),
    "random": ("skip", "drawn at random"),
}
"""Colour role and words of where a network comes from."""

_MARKS = ((13.0, 100), (10.0, 40), (8.0, 0), (6.0, 0))
"""Diameter, and how much of the colour fills it in percent: of the longest training first."""

_LETTER, _LINE, _GAP = 6.3, 14.0, 4.0  # pixels: width and height of a letter of a name, from the mark to its name
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
"""Where a name may stand beside its mark: to the right or left, above or below."""

_HOVER = 40  # letters a line


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


class Group(NamedTuple):
    """Networks with the same mark: `went_on` if a longer training followed, `below` if they are below the picture."""

    length: str
    role: str
    size: float
    fill: int
    went_on: bool
    below: bool
    x: list[float]
    y: list[float]
    hover: list[str]


class Label(NamedTuple):
    """The name beside a point: `side` is one of right/left/none (1, -1, 0), above/below/none."""

    text: str
    length: str
    x: float
    y: float
    side: tuple[int, int]


class Picture(NamedTuple):
    """Networks by cost and validation accuracy; lengths are in the order of `FitResult.lengths`.

    Args:
        cost: key of `COSTS`.
        x: the axis of cost.
        y: the axis of accuracy.
        groups: the marks.
        fronts: length to the points that no other network of this length beats.
        labels: candidates for names: text, length and point, the most important first.
        taken: the point of the delivered network.
        limit: on this cost, where it is near.
        counts: length to the number of networks trained so long.
        below: number of points below the picture.
    """

    cost: str
    x: Axis
    y: Axis
    groups: list[Group]
    fronts: Mapping[str, list[tuple[float, float]]]
    labels: list[Label]
    taken: tuple[float, float] | None
    limit: float | None
    counts: Mapping[str, int]
    below: int


def picture_of(fit: FitResult, cost: str) -> Picture | None:
    """The picture for one cost; None where fewer than two networks have it."""
    networks = fit.known(cost)
    if len(networks) < 2:
        return None
    most = next((limit.most for limit in fit.limits if limit.name == COSTS[cost].limit), None)
    costs = [network.costs[cost] for network in networks]
    limit = most if most is not None and most <= 1.5 * max(costs) else None
    x = _x_axis([*costs, limit] if limit is not None else costs)
    points = {
        length: [(network.costs[cost], network.accuracy(length) or 0.0) for network in networks if length in network.validation]
        for length in fit.lengths
    }
    y, floor = _y_axis([accuracy for of_length in points.values() for _, accuracy in of_length])
    groups: dict[tuple[str, str, bool, bool], Group] = {}
    for network in networks:
        for length in network.validation:
            _add(groups, fit, network, length, cost, floor)
    order = {length: index for index, length in enumerate(fit.lengths)}
    return Picture(
        cost,
        x,
        y,
        sorted(groups.values(), key=lambda group: (not group.went_on, order[group.length])),
        {length: [of_length[index] for index in front(of_length)] for length, of_length in points.items() if of_length},
        _labels(fit, networks, cost, floor),
        _point(fit.delivered, cost, floor) if fit.delivered in networks and fit.delivered is not None else None,
        limit,
        {length: len(of_length) for length, of_length in points.items() if of_length},
        sum(len(group.x) for group in groups.values() if group.below),
    )


def place(picture: Picture, size: Size) -> list[Label]:
    """The names with their sides, so that they touch neither each other nor, if it can be had, a mark.

    A name that has no room is left out.
    """
    marks = [
        (picture.x.part(x) * size.width, picture.y.part(y) * size.height, group.size / 2)
        for group in picture.groups
        for x, y in zip(group.x, group.y, strict=True)
    ]
    boxes: list[tuple[float, float, float, float]] = []
    placed = []
    for label in picture.labels:
        text = textwrap.shorten(label.text, size.letters, placeholder="…") if " " in label.text else label.text
        text = text if len(text) <= size.letters else text[: size.letters - 1] + "…"
        at = (picture.x.part(label.x) * size.width, picture.y.part(label.y) * size.height)
        sides = [(_box(at, text, side), side) for side in _SIDES]
        free = [(box, side) for box, side in sides if _inside(box, size) and not any(_touch(box, one) for one in boxes)]
        if free:
            box, side = min(free, key=lambda one: sum(_hit(one[0], mark) for mark in marks))
            boxes.append(box)
            placed.append(label._replace(text=text, side=side))
    return placed


def amount(cost: str, value: float) -> str:
    """A cost with its unit: `99 123`, `1.23 M`, `380 kB`, `1.9 ms`."""
    unit = COSTS[cost].unit if cost in COSTS else "B"
    if cost == "parameters":
        return show(round(value))
    if unit in ("ms", "s"):
        return f"{value:.3g} {unit}"
    for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".strip()


def _x_axis(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    log = low > 0 and high / low > 12
    if log:
        low, high = math.log10(low), math.log10(high)
    more = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return Axis(low - more, high + more, log)


def _y_axis(values: Sequence[float]) -> tuple[Axis, float]:
    """The axis, and the accuracy below which a network is drawn at its foot: a few bad ones do not press the rest."""
    low, high = min(values), max(values)
    if len(values) >= 8:
        first, _, third = quantiles(values, n=4)
        low = min(value for value in values if value >= first - 3 * max(third - first, 0.5))
    more = 0.07 * (high - low) or 0.5
    return Axis(low - more, high + more), low


def _add(
    groups: dict[tuple[str, str, bool, bool], Group], fit: FitResult, network: Network, length: str, cost: str, floor: float
) -> None:
    accuracy = network.accuracy(length) or 0.0
    went_on, below = length != network.longest, accuracy < floor
    role = ORIGINS.get(network.origin, ("other", ""))[0]
    rank = len(fit.lengths) - 1 - fit.lengths.index(length)
    size, fill = (5.0, 40) if went_on else _MARKS[min(rank, len(_MARKS) - 1)]
    key = (length, role, went_on, below)
    group = groups.setdefault(key, Group(length, role, size, fill, went_on, below, [], [], []))
    group.x.append(network.costs[cost])
    group.y.append(max(accuracy, floor))
    group.hover.append(_hover(network, length))


def _point(network: Network, cost: str, floor: float) -> tuple[float, float]:
    return network.costs[cost], max(floor, network.accuracy(network.longest) or 0.0)


def _labels(fit: FitResult, networks: Sequence[Network], cost: str, floor: float) -> list[Label]:
    """Names of the delivered network, the other finalists, and the hand-made ones."""
    first = [fit.delivered, *fit.finalists]
    named = [one for one in first if one in networks and one is not None]
    named += [one for one in networks if one.origin in ("hand-made", "yours")]
    return [
        Label(printable(one.name), one.longest, *_point(one, cost, floor), (1, 0))
        for one in {network.number: network for network in named}.values()
    ]


def _hover(network: Network, length: str) -> str:
    """What a network is, in lines, as the text of plotly."""
    origin = ORIGINS.get(network.origin, ("", network.origin))[1]
    if network.parent is not None and network.change:
        origin += f", from {network.parent}"
    accuracies = [
        f"{name}: {network.accuracy(name):.2f} %" + (f" (mean of {len(seeds)})" if len(seeds) > 1 else "")
        for name, seeds in network.validation.items()
    ]
    costs = [
        f"{COSTS[cost].words if cost in COSTS else cost}: {amount(cost, value)}"
        for cost, value in network.costs.items()
        if cost in COSTS
    ]
    size = [f"images of {network.image_size}×{network.image_size}"] if network.image_size else []
    lines = [f"{network.number} · {network.name}", origin, network.change, "", "validation accuracy", *accuracies, "", *costs, *size]
    shown = [part for line in lines for part in textwrap.wrap(printable(line), _HOVER) or [""]]
    if length != network.longest:
        shown.append(f"this point: after {length}; it was trained on")
    title, *rest = (html.escape(line, quote=False) for line in shown)
    return "<br>".join([f"<b>{title}</b>", *rest]).replace("<br><br><br>", "<br><br>")


def _box(at: tuple[float, float], text: str, side: tuple[int, int]) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a name beside a point; y grows upwards."""
    width, (x, y), (across, up) = _LETTER * len(text), at, side
    gap = _MARKS[0][0] / 2 + _GAP
    left = x - width / 2 if not across else x + gap if across > 0 else x - gap - width
    bottom = y - _LINE / 2 if not up else y + gap if up > 0 else y - gap - _LINE
    return left, bottom, left + width, bottom + _LINE


def _inside(box: tuple[float, float, float, float], size: Size) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size.width and box[3] <= size.height


def _touch(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] + 3 and b[0] < a[2] + 3 and a[1] < b[3] and b[1] < a[3]


def _hit(box: tuple[float, float, float, float], mark: tuple[float, float, float]) -> bool:
    x, y, radius = mark
    return box[0] - radius < x < box[2] + radius and box[1] - radius < y < box[3] + radius
