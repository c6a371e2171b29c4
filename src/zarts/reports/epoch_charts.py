"""Charts of one number of the derived cells against epochs: a line for each method, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, product
from math import inf, isfinite
from pathlib import Path
from statistics import fmean, stdev
from types import MappingProxyType
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zarts.reports.svg import chart_axes, drawing, to_png, to_svg
from zarts.reports.theme import ROLES
from zarts.runtime.io import write_atomically

__all__ = ["BANDS", "STYLES", "Panel", "draw_epochs", "epochs_svg", "mean_band"]

_PLOT, _MARGINS = (4.7, 3.4), (0.55, 0.48, 0.3)  # inches: size; left, below, above
_NAME, _LETTER = 0.95, 0.068  # inches to the right of the plot: for the number, and for each letter of a name
_Dash = tuple[float, tuple[float, float]]
_Style = tuple[str, _Dash]
BANDS = 12
"""Largest number of lines whose spreads can still be told apart."""

_APART = 0.163  # inches from one name to the next
_FONT = 9.0
_COLOURS = ("sep", "dil", "pool", "skip", "other")
_DASHES = ((0.0, (1.0, 0.0)), (0.0, (4.5, 1.8)), (0.0, (1.2, 1.4)))
STYLES = [(colour, dash) for dash, colour in product(_DASHES, _COLOURS)]
"""Colours and dashes of the lines, in turn."""


class Panel(NamedTuple):
    """One number against epochs.

    Args:
        title: what the number is.
        lines: for each method the numbers of each seed, one for each epoch, nan where there is none; epochs that not
            all seeds have are left out.
        levels: horizontal lines by name, for example the accuracy of a random cell; the highest one is the largest
            possible number, for example the best accuracy.
        from_zero: whether the y axis starts at zero.
    """

    title: str
    lines: Mapping[str, Sequence[Sequence[float]]]
    levels: Mapping[str, float] = MappingProxyType({})
    from_zero: bool = False


def draw_epochs(panels: Sequence[Panel], folder: Path, name: str = "curves") -> None:
    """Draw `NAME.svg` and `NAME.png` into a folder: panels side by side, a method in the same colour in all.

    Args:
        panels: the charts.
        folder: gets the pictures.
        name: name of both files, without suffix.

    Raises:
        RunError: the pictures cannot be written.
    """
    with drawing():
        figure = _figure(panels, dict.fromkeys(method for panel in panels for method in panel.lines))
        svg, png = to_svg(figure), to_png(figure, dpi=160.0)
    write_atomically(folder / f"{name}.svg", svg)
    write_atomically(folder / f"{name}.png", png)


def epochs_svg(panel: Panel, methods: Iterable[str]) -> str:
    """One panel as the text of an SVG file; the order of `methods`, those of all panels, determines the colours."""
    with drawing():
        return to_svg(_figure([panel], methods))


def mean_band(seeds: Sequence[Sequence[float]], top: float | None) -> tuple[list[float], list[float], list[float]]:
    """For each epoch the mean over seeds, minus and plus one standard deviation, but not above `top`.

    Epochs that not all seeds have are left out. Where one seed has nan, all three are nan. For a single seed all three
    are the same.

    Returns:
        Means, lower and upper ends.
    """
    columns = list(zip(*seeds, strict=False))
    means = [fmean(column) for column in columns]
    spreads = [stdev(column) if len(seeds) > 1 and all(map(isfinite, column)) else 0.0 for column in columns]
    pairs = list(zip(means, spreads, strict=True))
    high = [mean + more for mean, more in pairs]
    return means, [mean - more for mean, more in pairs], high if top is None else [min(y, top) for y in high]


def _figure(panels: Sequence[Panel], methods: Iterable[str]) -> Figure:
    """Panels side by side. Call it only inside `drawing`."""
    styles = dict(zip(methods, cycle(STYLES), strict=False))
    figure = Figure(facecolor=ROLES["paper"].light)
    for number, (axes, panel) in enumerate(zip(_laid_out(figure, panels), panels, strict=True)):
        _draw(axes, panel, styles, "" if number == 0 else f"{number}-")
    return figure


def _draw(axes: Axes, panel: Panel, styles: Mapping[str, _Style], mark: str) -> None:
    """Draw one panel; `mark` makes the names of its parts unique in the figure."""
    ends = [_level(axes, level, value, mark) for level, value in panel.levels.items()]
    top = max(panel.levels.values(), default=inf)
    for method, seeds in panel.lines.items():
        ends.append(_line(axes, method, seeds, top if len(panel.lines) <= BANDS else None, styles[method], mark))
    if panel.from_zero:
        axes.set_ylim(0, 1.05 * axes.dataLim.ymax)
    _name(axes, ends, mark)


class _End(NamedTuple):
    """The end of a line, and its style."""

    value: float
    name: str
    colour: str
    dash: _Dash


def _laid_out(figure: Figure, panels: Sequence[Panel]) -> list[Axes]:
    """Axes for each panel; the figure gets the size that they need."""
    (wide, least), (left, below, above) = _PLOT, _MARGINS
    names = [[*panel.lines, *panel.levels] for panel in panels]
    high = max(least, _APART * max(map(len, names)))
    widths = [left + wide + _NAME + _LETTER * max(map(len, listed)) for listed in names]
    size = sum(widths), below + high + above
    figure.set_size_inches(size)
    all_axes = []
    for number, panel in enumerate(panels):
        start = left + sum(widths[:number])
        axes = chart_axes(figure, (start / size[0], below / size[1], wide / size[0], high / size[1]), "epoch", _FONT)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, steps=[1, 2, 5, 10]))
        axes.set_title(panel.title, fontsize=_FONT + 1.5, loc="left", pad=10)
        axes.margins(x=0.01, y=0.05)
        all_axes.append(axes)
    return all_axes


def _level(axes: Axes, name: str, value: float, mark: str) -> _End:
    end = _End(value, name, ROLES["muted"].light, (0.0, (2.0, 2.5)))
    axes.axhline(value, color=end.colour, linewidth=1.0, linestyle=end.dash, gid=f"level-{mark}{name}")
    return end


def _line(
    axes: Axes,
    name: str,
    seeds: Sequence[Sequence[float]],
    top: float | None,
    style: _Style,
    mark: str,
) -> _End:
    """Draw the mean over seeds and its band, see `mean_band`; with `top` None no band."""
    colour, dash = ROLES[style[0]].light, style[1]
    band = mean_band(seeds, top)
    known = [index for index, mean in enumerate(band[0]) if isfinite(mean)] or [0]
    means, low, high = ([values[index] for index in known] for values in band)
    epochs = [index + 1 for index in known]
    if len(seeds) > 1 and top is not None:
        axes.fill_between(epochs, low, high, color=colour, alpha=0.12, linewidth=0, gid=f"band-{mark}{name}")
    axes.plot(
        epochs, means, color=colour, linewidth=1.7, linestyle=dash, gid=f"line-{mark}{name}", marker="o",
        markersize=4.0 if len(means) == 1 else 0.0,
    )  # fmt: skip
    return _End(means[-1], name, colour, dash)


def _name(axes: Axes, ends: Sequence[_End], mark: str) -> None:
    """Write the names to the right of the ends of lines, moved apart where two would touch, and tied to their lines."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    apart = (high - low) * _APART / (axes.bbox.height / axes.figure.dpi)
    ends = sorted(ends, key=lambda end: end.value, reverse=True)
    places: list[float] = []
    for end in ends:  # from the highest down
        places.append(min(end.value, places[-1] - apart) if places else end.value)
    for index in reversed(range(len(places))):  # and up again where a name would be below the axis
        below = places[index + 1] + apart if index + 1 < len(places) else low
        places[index] = max(places[index], below)
    for place, end in zip(places, ends, strict=True):
        axes.plot(
            (1.0, 1.05), (end.value, place), color=end.colour, linestyle=end.dash, linewidth=1.1, clip_on=False,
            transform=axes.get_yaxis_transform(), gid=f"tie-{mark}{end.name}",
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
