"""The charts of a run as plain data; `static_charts` draws them as SVG, `plotly_charts` for the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from zarts.reports.collapse import COLLAPSE
from zarts.reports.series import Band, Series, alpha_steps, bands, by_epoch, per_epoch

__all__ = ["Chart", "Line", "charts_of", "telling"]

_COSTS = {"parameters": "Parameters", "macs": "MACs"}
_NONE: Mapping[str, float] = MappingProxyType({})
_SAME = 1e-6
"""Difference of two lines that cannot be seen, as a part of their largest value."""


class Line(NamedTuple):
    """A line of a chart.

    Args:
        label: its name.
        role: its colour, a key of `theme.ROLES`.
        series: its points.
        steps: whether it is drawn as steps, which jump halfway between two points.
        span: lower and upper ends of a band around the line, as many as points; None: no band.
        dashes: on and off, in points; None: solid.
    """

    label: str
    role: str
    series: Series
    steps: bool = False
    span: tuple[Sequence[float], Sequence[float]] | None = None
    dashes: tuple[float, float] | None = None


class Chart(NamedTuple):
    """A chart with one x and one y axis.

    Args:
        name: unique in a page; letters, digits and hyphens.
        title: quantity and unit.
        note: how to read it.
        x_label: label of the x axis.
        lines: at least one, each with at least one point.
        limits: of the y axis; None: as the lines need.
        levels: horizontal lines, by name.
        span_words: words before the band of a value on hover: "4.2 (span_words 3.9 to 4.6)".
    """

    name: str
    title: str
    note: str
    x_label: str
    lines: tuple[Line, ...]
    limits: tuple[float, float] | None = None
    levels: Mapping[str, float] = _NONE
    span_words: str = ""


def charts_of(events: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """All charts for which the events of a search or a retraining have numbers.

    Args:
        events: as `zarts.runtime.io.read_events` returns them.
    """
    cells, costs = by_epoch(events, "genotype"), by_epoch(events, "cost")
    charts = [
        _truth(events),
        *_supernet(events),
        *_steps(events),
        _parameterless(cells),
        _chart(
            "eigenvalue",
            "Dominant eigenvalue of the Hessian in alpha",
            "Of the validation loss. Where it grows, the derived cell loses more accuracy than the supernet suggests.",
            [Line("eigenvalue", "dil", per_epoch(by_epoch(events, "eigenvalue"), "eigenvalue"))],
        ),
        *(_cost(costs, name, words) for name, words in _COSTS.items()),
        *_training(events),
    ]
    return [chart for chart in charts if chart is not None]


def telling(charts: Sequence[Chart]) -> list[Chart]:
    """Those that say something of their own.

    Left out are charts whose lines do not change, and those whose lines are those of another but for a factor, of which
    the one with levels stays.
    """
    kept: list[Chart] = []
    for chart in charts:
        twin = next((place for place, other in enumerate(kept) if _same(chart, other)), None)
        if not any(_changes(line) for line in chart.lines):
            continue
        if twin is None:
            kept.append(chart)
        elif chart.levels and not kept[twin].levels:
            kept[twin] = chart
    return kept


def _changes(line: Line) -> bool:
    return any(len(set(values)) > 1 for values in (line.series.y, *(line.span or ())))


def _same(one: Chart, other: Chart) -> bool:
    """Whether all lines of one are those of the other, times the same factor."""
    if [(line.label, line.series.x) for line in one.lines] != [(line.label, line.series.x) for line in other.lines]:
        return False
    a, b = ([y for line in chart.lines for y in line.series.y] for chart in (one, other))
    most = max(map(abs, a))
    factor = most / (max(map(abs, b)) or 1.0)
    return all(abs(x - factor * y) <= _SAME * most for x, y in zip(a, b, strict=True))


def _chart(
    name: str,
    title: str,
    note: str,
    lines: Sequence[Line],
    limits: tuple[float, float] | None = None,
    levels: Mapping[str, float] = _NONE,
) -> Chart | None:
    """A chart over epochs; None where there is no number."""
    lines = tuple(line for line in lines if line.series.x)
    return Chart(name, title, note, "epoch", lines, limits, levels) if lines else None


def _truth(events: Sequence[Mapping[str, Any]]) -> Chart | None:
    truths = by_epoch(events, "truth")
    return _chart(
        "truth",
        "True test accuracy of the derived cell, %",
        "At the end of each epoch: the accuracy in NAS-Bench-201 after 200 epochs. The search never sees it.",
        [
            Line(data, role, per_epoch(truths, f"{data}_test_200", "accuracy"), steps=True)
            for data, role in (("cifar10", "sep"), ("cifar100", "pool"), ("imagenet16-120", "dil"))
        ],
    )


def _supernet(events: Sequence[Mapping[str, Any]]) -> list[Chart | None]:
    weights = by_epoch(events, "weight_epoch")
    return [
        _chart("supernet-loss", "Training loss of the supernet", "Per epoch.", [
            Line("loss", "sep", per_epoch(weights, "train_loss")),
        ]),
        _chart("supernet-accuracy", "Training accuracy of the supernet, %", "Per epoch.", [
            Line("accuracy", "pool", per_epoch(weights, "train_accuracy")),
        ]),
    ]  # fmt: skip


def _steps(events: Sequence[Mapping[str, Any]]) -> list[Chart | None]:
    """The losses of updates of alpha, and how much they say."""
    steps = alpha_steps(events)
    values = [_candidate_values(event) for event in steps]
    several = any(len(row) > 1 for row in values)
    name = next((str(event["objective"]) for event in steps if "objective" in event), "")
    title = f"{name.rpartition(':')[2]} of the candidates" if name else "Losses of the candidates"
    return [
        _band_chart(
            "candidates",
            title if several or name else "Validation loss",
            "Per update of alpha: the mean, and the span from the smallest to the largest."
            if several
            else "Per update of alpha.",
            bands(values),
            "dil",
        ),
        _band_chart(
            "esr",
            "Nₑ/N, effective share of the candidates",
            "Per update of alpha. Near 1: all candidates have the same weight, their losses hardly direct the update. "
            "Near 0: a single candidate decides.",
            bands([[event.get("esr")] for event in steps]),
            "skip",
            limits=(0.0, 1.05),
        ),
        _band_chart(
            "snr",
            "Signal to noise of the candidates’ losses",
            "Per update of alpha, from few candidates: look at the trend. Below 1, the differences between candidates "
            "come mostly from their images; at 0 and below, the estimate attributes all of them to the images.",
            bands([[event.get("snr")] for event in steps]),
            "pool",
            levels={"as much signal as noise": 1.0},
        ),
    ]


def _candidate_values(event: Mapping[str, Any]) -> list[Any]:
    """The losses of the candidates of an update of alpha, or their values of another objective."""
    return event.get("losses") or event.get("values") or []


def _band_chart(
    name: str,
    title: str,
    note: str,
    band: Band,
    role: str,
    limits: tuple[float, float] | None = None,
    levels: Mapping[str, float] = _NONE,
) -> Chart | None:
    """A chart of a mean over updates of alpha with the span around it; None where there is no number."""
    if not band.x:
        return None
    line = Line("mean", role, Series(band.x, band.mean), span=(band.low, band.high))
    return Chart(name, title, note, "update of alpha", (line,), limits, levels, span_words="from")


def _parameterless(cells: Sequence[Mapping[str, Any]]) -> Chart | None:
    kinds = list(dict.fromkeys(kind for event in cells for kind in event.get("parameterless") or {}))
    return _chart(
        "parameterless",
        "Parameterless operations in each cell",
        f"Pools and skips of the derived cell at the end of each epoch. More than {COLLAPSE} in the normal cell "
        "are a sign of collapse.",
        [
            Line(kind, role, per_epoch(cells, "parameterless", kind), steps=True)
            for kind, role in zip(kinds, ("sep", "dil", "pool", "skip"), strict=False)
        ],
        limits=(-0.3, 8.4),
        levels={"more: a collapse": float(COLLAPSE)},
    )


def _cost(events: Sequence[Mapping[str, Any]], name: str, words: str) -> Chart | None:
    limits = per_epoch(events, name, "limit").y
    return _chart(
        f"cost-{name}",
        f"{words} of the derived network, millions",
        "At the end of each epoch: the expectation under alpha, and the network of the derived cells."
        + (" Dashed: the limit." if limits else ""),
        [
            Line("expected", "sep", _millions(per_epoch(events, name, "expected"))),
            Line("derived", "dil", _millions(per_epoch(events, name, "derived")), steps=True),
        ],
        levels={"limit": limits[-1] / 1e6} if limits else _NONE,
    )


def _millions(series: Series) -> Series:
    return Series(series.x, [y / 1e6 for y in series.y])


def _training(events: Sequence[Mapping[str, Any]]) -> list[Chart | None]:
    epochs = by_epoch(events, "train_epoch")
    return [
        _chart("train-loss", "Training loss", "Per epoch.", [Line("loss", "sep", per_epoch(epochs, "train_loss"))]),
        _chart("accuracy", "Accuracy, %", "Per epoch. The result is the test accuracy of the last one.", [
            Line("train", "sep", per_epoch(epochs, "train_accuracy")),
            Line("test", "dil", per_epoch(epochs, "test_accuracy")),
        ]),
        _chart("learning-rate", "Learning rate", "Per epoch.", [
            Line("learning rate", "skip", per_epoch(epochs, "learning_rate")),
        ]),
    ]  # fmt: skip
