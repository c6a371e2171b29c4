"""The picture of all networks of a fit, accuracy against cost, as plain data; `fit_figures` draws it."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Sequence
from statistics import quantiles
from typing import NamedTuple

from zarts.reports.fit_labels import Axis, Label, Size, place
from zarts.reports.fit_result import FitResult, Network, front
from zarts.reports.summary import show
from zarts.runtime.paths import printable

__all__ = [
    "COSTS",
    "FAINT",
    "ORIGINS",
    "Cost",
    "Group",
    "Picture",
    "accuracy_axis",
    "amount",
    "origin_words",
    "picture_of",
]


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
    "step_seconds": Cost("Seconds a step", "s", ""),
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

FAINT = 5.0
"""Diameter of the dots of networks that trained on."""

_HOVER = 40  # letters a line


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
    fronts: dict[str, list[tuple[float, float]]]
    labels: list[Label]
    taken: tuple[float, float] | None
    limit: float | None
    counts: dict[str, int]
    below: int

    @property
    def x_label(self) -> str:
        """The label of the x axis, with its unit."""
        cost = COSTS[self.cost]
        return f"{cost.words}, {cost.unit}" if cost.unit in ("ms", "B") else cost.words

    def is_longest(self, length: str) -> bool:
        """Whether no length is longer."""
        return length == next(reversed(self.counts))

    def mark(self, length: str) -> Group:
        """A group with the mark of a length; the faint dots of networks that trained on come first."""
        return next(group for group in reversed(self.groups) if group.length == length)

    def count_words(self, length: str) -> str:
        """The line of a length in the legend."""
        count = self.counts[length]
        return f"trained for {length}: {count} network{'s' if count > 1 else ''}"

    def names(self, size: Size) -> list[Label]:
        """The names for which a picture of this size has room, with their sides."""
        marks = [(x, y, group.size) for group in self.groups for x, y in zip(group.x, group.y, strict=True)]
        return place(self.labels, (self.x, self.y), marks, list(self.fronts.values()), size)


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
        length: [(one.costs[cost], one.accuracy(length) or 0.0) for one in networks if length in one.validation]
        for length in fit.lengths
    }
    y, floor = accuracy_axis([accuracy for of_length in points.values() for _, accuracy in of_length])
    groups: dict[tuple[str, str, bool, bool], Group] = {}
    for network in networks:
        for length in network.validation:
            _add(groups, fit, network, length, cost, floor, y.low)
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


def origin_words(network: Network) -> str:
    """Where a network is from: `found by the search, from 3: stage 2: 3 -> 2 layers`."""
    words = ORIGINS.get(network.origin, ("", network.origin))[1]
    words += f", from {network.parent}" if network.parent is not None else ""
    return f"{words}: {network.change}" if network.change else words


def _x_axis(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    log = low > 0 and high / low > 12
    if log:
        low, high = math.log10(low), math.log10(high)
    more = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return Axis(low - more, high + more, log)


def accuracy_axis(values: Sequence[float]) -> tuple[Axis, float]:
    """The axis of accuracies, and the one below which a mark is drawn at its end: a few bad ones do not press the rest.

    Args:
        values: of all marks, in percent; at least one.
    """
    low, high = min(values), max(values)
    if len(values) >= 8:
        first, _, third = quantiles(values, n=4)
        low = min(value for value in values if value >= first - 3 * max(third - first, 0.5))
    more = 0.07 * (high - low) or 0.5
    return Axis(low - more, high + more), low


def _add(
    groups: dict[tuple[str, str, bool, bool], Group],
    fit: FitResult,
    network: Network,
    length: str,
    cost: str,
    floor: float,
    foot: float,
) -> None:
    accuracy = network.accuracy(length) or 0.0
    went_on, below = length != network.longest, accuracy < floor
    role = _role(network)
    rank = len(fit.lengths) - 1 - fit.lengths.index(length)
    size, fill = (FAINT, 40) if went_on and not below else _MARKS[min(rank, len(_MARKS) - 1)]
    key = (length, role, went_on, below)
    group = groups.setdefault(key, Group(length, role, size, fill, went_on, below, [], [], []))
    group.x.append(network.costs[cost])
    group.y.append(foot if below else accuracy)
    group.hover.append(_hover(network, length))


def _role(network: Network) -> str:
    return ORIGINS.get(network.origin, ("other", ""))[0]


def _point(network: Network, cost: str, floor: float) -> tuple[float, float]:
    return network.costs[cost], max(floor, network.accuracy(network.longest) or 0.0)


def _labels(fit: FitResult, networks: Sequence[Network], cost: str, floor: float) -> list[Label]:
    """Names of the delivered network, the other finalists, and the hand-made ones."""
    first = [fit.delivered, *fit.finalists]
    named = [one for one in first if one in networks and one is not None]
    named += [one for one in networks if one.origin in ("hand-made", "yours")]
    return [
        Label(printable(one.name), _role(one), one.longest, *_point(one, cost, floor), one in first)
        for one in {network.number: network for network in named}.values()
    ]


def _hover(network: Network, length: str) -> str:
    """What a network is, in lines, as the text of plotly."""
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
    title = [f"{network.number} · {network.name}", origin_words(network), ""]
    lines = [*title, "validation accuracy", *accuracies, "", *costs, *size]
    shown = [part for line in lines for part in textwrap.wrap(printable(line), _HOVER) or [""]]
    if length != network.longest:
        shown.append(f"this point: after {length}; it was trained on")
    first, *rest = (html.escape(line, quote=False) for line in shown)
    return "<br>".join([f"<b>{first}</b>", *rest])
