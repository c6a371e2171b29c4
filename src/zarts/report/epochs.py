"""What several methods derive, in one number against epochs: mean and spread over seeds, one line a method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle, product
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zarts.files import write_atomically
from zarts.report.palette import ROLES
from zarts.report.svg import chart_axes, drawing, to_png, to_svg

__all__ = ["BANDS", "STYLES", "draw_epochs", "epochs_svg", "spread"]

_PLOT, _MARGINS = (4.7, 3.4), (0.55, 0.48, 0.3)  # inches: size; left, below, above
_NAME, _LETTER = 0.95, 0.068  # inches to the right of the plot: for the number, and for each letter of a name
BANDS = 12
"""Lines, of which the spreads can still be told apart."""

_APART = 0.163  # inches from one name to the next
_FONT = 9.0
_COLOURS = ("sep", "dil", "pool", "skip", "other")
_DASHES = ((0.0, (1.0, 0.0)), (0.0, (4.5, 1.8)), (0.0, (1.2, 1.4)))
STYLES = [(colour, dash) for dash, colour in product(_DASHES, _COLOURS)]
"""Colours and dashes of the lines, in turn."""


def draw_epochs(
    lines: Mapping[str, Sequence[Sequence[float]]], levels: Mapping[str, float], title: str, folder: Path
) -> None:
    """Draw `curves.svg` and `curves.png` into a folder.

    Args:
        lines: for each method the numbers of each of its seeds, an epoch each; epochs that not all seeds have
            are left out.
        levels: what lies at the same height everywhere, the highest there can be among it: the best accuracy, say, and
            that of a random cell.
        title: what the numbers are.
        folder: where the pictures go.

    Raises:
        RunError: they cannot be written.
    """
    with drawing():
        figure = _figure(lines, levels, title)
        svg, png = to_svg(figure), to_png(figure, dpi=160.0)
    write_atomically(folder / "curves.svg", svg)
    write_atomically(folder / "curves.png", png)


def epochs_svg(lines: Mapping[str, Sequence[Sequence[float]]], levels: Mapping[str, float], title: str) -> str:
    """The same picture as the text of an SVG file."""
    with drawing():
        return to_svg(_figure(lines, levels, title))


def spread(seeds: Sequence[Sequence[float]], top: float | None) -> tuple[list[float], list[float], list[float]]:
    """Means over seeds, and one standard deviation to each side, but not above `top`; an epoch each.

    Epochs that not all seeds have are left out. Of a single seed all three are the same.
    """
    columns = list(zip(*seeds, strict=False))
    means = [fmean(column) for column in columns]
    spreads = [stdev(column) if len(seeds) > 1 else 0.0 for column in columns]
    pairs = list(zip(means, spreads, strict=True))
    high = [mean + more for mean, more in pairs]
    return means, [mean - more for mean, more in pairs], high if top is None else [min(y, top) for y in high]


def _figure(lines: Mapping[str, Sequence[Sequence[float]]], levels: Mapping[str, float], title: str) -> Figure:
    """Only inside `drawing`."""
    figure, axes = _axes(title, [*lines, *levels])
    ends = [_level(axes, name, value) for name, value in levels.items()]
    top = max(levels.values(), default=math.inf)
    for (name, seeds), style in zip(lines.items(), cycle(STYLES), strict=False):
        ends.append(_line(axes, name, seeds, top if len(lines) <= BANDS else None, *style))
    _name(axes, ends)
    return figure


_Dash = tuple[float, tuple[float, float]]


class _End(NamedTuple):
    """Where a line ends, and what it looks like."""

    value: float
    name: str
    colour: str
    dash: _Dash


def _axes(title: str, names: Sequence[str]) -> tuple[Figure, Axes]:
    (wide, least), (left, below, above) = _PLOT, _MARGINS
    high = max(least, _APART * len(names))
    size = left + wide + _NAME + _LETTER * max(map(len, names)), below + high + above
    figure = Figure(figsize=size, facecolor=ROLES["paper"].light)
    place = left / size[0], below / size[1], wide / size[0], high / size[1]
    axes = chart_axes(figure, place, "epoch", _FONT)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
    axes.set_title(title, fontsize=_FONT + 1.5, loc="left", pad=10)
    axes.margins(x=0.01, y=0.05)
    return figure, axes


def _level(axes: Axes, name: str, value: float) -> _End:
    end = _End(value, name, ROLES["muted"].light, (0.0, (2.0, 2.5)))
    axes.axhline(value, color=end.colour, linewidth=1.0, linestyle=end.dash, gid=f"level-{name}")
    return end


def _line(
    axes: Axes,
    name: str,
    seeds: Sequence[Sequence[float]],
    top: float | None,
    role: str,
    dash: _Dash,
) -> _End:
    """The mean over seeds, and one standard deviation to each side, but not above `top`; None leaves that band out."""
    colour = ROLES[role].light
    means, low, high = spread(seeds, top)
    epochs = range(1, len(means) + 1)
    if len(seeds) > 1 and top is not None:
        axes.fill_between(epochs, low, high, color=colour, alpha=0.12, linewidth=0, gid=f"band-{name}")
    axes.plot(
        epochs, means, color=colour, linewidth=1.7, linestyle=dash, gid=f"line-{name}", marker="o",
        markersize=4.0 if len(means) == 1 else 0.0,
    )  # fmt: skip
    return _End(means[-1], name, colour, dash)


def _name(axes: Axes, ends: Sequence[_End]) -> None:
    """The names to the right of where the lines end, moved apart where two would touch, and tied to their lines."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    apart = (high - low) * _APART / (axes.bbox.height / axes.figure.dpi)
    ends = sorted(ends, key=lambda end: end.value, reverse=True)
    places: list[float] = []
    for end in ends:  # from the highest down
        places.append(min(end.value, places[-1] - apart) if places else end.value)
    for index in reversed(range(len(places))):  # and up again, where that went below the axis
        below = places[index + 1] + apart if index + 1 < len(places) else low
        places[index] = max(places[index], below)
    for place, end in zip(places, ends, strict=True):
        axes.plot(
            (1.0, 1.05), (end.value, place), color=end.colour, linestyle=end.dash, linewidth=1.1, clip_on=False,
            transform=axes.get_yaxis_transform(), gid=f"tie-{end.name}",
        )  # fmt: skip
        axes.annotate(
            f"{end.name} {end.value:.2f}",
            (1.05, place),
            xycoords=axes.get_yaxis_transform(),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=_FONT - 0.5,
            color=end.colour,
        )
