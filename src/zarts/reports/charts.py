"""What the charts of a run show: described once, drawn still by `curves` and interactive by `interactive`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from zarts.reports.collapse import COLLAPSE
from zarts.reports.series import Band, Series, alpha_steps, bands, by_epoch, per_epoch

__all__ = ["Chart", "Line", "charts_of"]

_COSTS = {"parameters": "Parameters", "macs": "MACs"}
_NONE: Mapping[str, float] = MappingProxyType({})


class Line(NamedTuple):
    """A line of a chart.

    Args:
        label: its name.
        role: its colour, of `palette.ROLES`.
        series: its points.
        steps: whether a value holds around its place, and jumps between two.
        span: lower and upper ends of a band around the line, of the same length; none: no band.
        dashes: on and off, in points; none: solid.
    """

    label: str
    role: str
    series: Series
    steps: bool = False
    span: tuple[Sequence[float], Sequence[float]] | None = None
    dashes: tuple[float, float] | None = None


class Chart(NamedTuple):
    """A chart with one axis each way.

    Args:
        name: unique in a page; letters, digits and hyphens.
        title: what it shows, and in which unit.
        note: how to read it.
        x_label: what runs to the right.
        lines: at least one, with at least a point each.
        limits: of the y axis; none: as the lines need.
        levels: what lies at the same height everywhere, by name.
        span_words: what a band says of a value: "4.2 (span_words 3.9 to 4.6)".
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
    """All charts that the events have numbers for: those of a search, of a retrain, or none.

    Args:
        events: what `zarts.runtime.io.read_events` returned.
    """
    cells, costs = by_epoch(events, "genotype"), by_epoch(events, "cost")
    found = [
        _truth(events),
        *_supernet(events),
        *_steps(events),
        _parameterless(cells),
        _chart(
            "eigenvalue",
            "Dominant eigenvalue of the Hessian in alpha",
            "Of the validation loss. Where it grows, the cell that is derived loses more than the mixture lets expect.",
            [Line("eigenvalue", "dil", per_epoch(by_epoch(events, "eigenvalue"), "eigenvalue"))],
        ),
        *(_cost(costs, name, words) for name, words in _COSTS.items()),
        *_training(events),
    ]
    return [chart for chart in found if chart is not None]


def _chart(
    name: str,
    title: str,
    note: str,
    lines: Sequence[Line],
    limits: tuple[float, float] | None = None,
    levels: Mapping[str, float] = _NONE,
) -> Chart | None:
    """Lines over epochs; nothing where there is no number."""
    lines = tuple(line for line in lines if line.series.x)
    return Chart(name, title, note, "epoch", lines, limits, levels) if lines else None


def _truth(events: Sequence[Mapping[str, Any]]) -> Chart | None:
    truths = by_epoch(events, "truth")
    return _chart(
        "truth",
        "True test accuracy of the derived cell, %",
        "At the end of each epoch: what NAS-Bench-201 has after 200 epochs of training. The search never sees it.",
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
    """What architecture steps are made of."""
    steps = alpha_steps(events)
    losses = bands([event.get("losses") or [] for event in steps])
    several = any(len(event.get("losses") or []) > 1 for event in steps)
    return [
        _band_chart(
            "candidates",
            "Losses of the candidates" if several else "Validation loss",
            "Per architecture step: the mean, and the span from the best candidate to the worst."
            if several
            else "Per architecture step.",
            losses,
            "dil",
        ),
        _band_chart(
            "esr",
            "Nₑ/N, effective share of the candidates",
            "Per architecture step. Near 1: all candidates weigh the same, their losses have little say in the move. "
            "Near 0: one candidate decides alone.",
            bands([[event.get("esr")] for event in steps]),
            "skip",
            limits=(0.0, 1.05),
        ),
        _band_chart(
            "snr",
            "Signal to noise of the candidates’ losses",
            "Per architecture step, from few candidates: look at the trend. Below 1 the differences between candidates "
            "are mostly those of their images; below 0 they are estimated to be nothing else.",
            bands([[event.get("snr")] for event in steps]),
            "pool",
            levels={"as much signal as noise": 1.0},
        ),
    ]


def _band_chart(
    name: str,
    title: str,
    note: str,
    band: Band,
    role: str,
    limits: tuple[float, float] | None = None,
    levels: Mapping[str, float] = _NONE,
) -> Chart | None:
    """A mean over architecture steps with the span around it; nothing where there is no number."""
    if not band.x:
        return None
    line = Line("mean", role, Series(band.x, band.mean), span=(band.low, band.high))
    return Chart(name, title, note, "architecture step", (line,), limits, levels, span_words="from")


def _parameterless(cells: Sequence[Mapping[str, Any]]) -> Chart | None:
    kinds = list(dict.fromkeys(kind for event in cells for kind in event.get("parameterless") or {}))
    return _chart(
        "parameterless",
        "Operations without weights in each cell",
        f"Pools and skips of the architecture at the end of each epoch. More than {COLLAPSE} in the normal cell "
        "is the sign of a collapse.",
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
        f"{words} of the final network, millions",
        "At the end of each epoch: what alpha lets expect, and what the derived cell has."
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
