"""Curves of a run as SVG: small charts with one axis each, lines named where they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from zarts.report.palette import ROLES
from zarts.report.series import Band, Series, alpha_steps, bands, by_epoch, per_epoch
from zarts.report.svg import chart_axes, drawing, to_svg

__all__ = ["COLLAPSE", "Curve", "draw_curves"]

COLLAPSE = 4
"""More parameterless operations than this in a normal cell are the sign of a collapse."""

_COSTS = {"parameters": "Parameters", "mult_adds": "Multiply-adds"}

_SIZE = (5.0, 2.5)  # inches
_FONT = 9.5


class Curve(NamedTuple):
    """A chart: `name` is unique in a run, `title` says what and in which unit, `note` how to read it."""

    name: str
    title: str
    note: str
    svg: str


class _Line(NamedTuple):
    label: str
    role: str
    series: Series
    steps: bool = False


def draw_curves(events: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """All curves that the events have numbers for: those of a search, of a retrain, or none.

    Args:
        events: what `zarts.files.read_events` returned.
    """
    with drawing():
        found = [*_search_curves(events), *_train_curves(events)]
    return [curve for curve in found if curve is not None]


def _search_curves(events: Sequence[Mapping[str, Any]]) -> list[Curve | None]:
    weights = by_epoch(events, "weight_epoch")
    cells = by_epoch(events, "genotype")
    steps = alpha_steps(events)
    kinds = list(dict.fromkeys(kind for event in cells for kind in event.get("parameterless") or {}))
    losses = bands([event.get("losses") or [] for event in steps])
    several = any(len(event.get("losses") or []) > 1 for event in steps)
    counts = [
        _Line(kind, role, per_epoch(cells, "parameterless", kind), steps=True)
        for kind, role in zip(kinds, ("sep", "dil", "pool", "skip"), strict=False)
    ]
    truths = by_epoch(events, "truth")
    accuracies = [
        _Line(data, role, per_epoch(truths, f"{data}_test_200", "accuracy"), steps=True)
        for data, role in (("cifar10", "sep"), ("cifar100", "pool"), ("imagenet16-120", "dil"))
    ]
    costs = by_epoch(events, "cost")
    return [
        _chart(
            "truth",
            "True test accuracy of the derived cell, %",
            "At the end of each epoch: what NAS-Bench-201 has after 200 epochs of training. The search never sees it.",
            accuracies,
        ),
        _chart("supernet-loss", "Training loss of the supernet", "Per epoch.", [
            _Line("loss", "sep", per_epoch(weights, "train_loss")),
        ]),
        _chart("supernet-accuracy", "Training accuracy of the supernet, %", "Per epoch.", [
            _Line("accuracy", "pool", per_epoch(weights, "train_accuracy")),
        ]),
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
        _chart(
            "parameterless",
            "Operations without weights in each cell",
            f"Pools and skips of the architecture at the end of each epoch. More than {COLLAPSE} in the normal cell "
            "is the sign of a collapse.",
            counts,
            limits=(-0.3, 8.4),
            mark=float(COLLAPSE),
        ),
        _chart(
            "eigenvalue",
            "Dominant eigenvalue of the Hessian in alpha",
            "Of the validation loss. Where it grows, the cell that is derived loses more than the mixture lets expect.",
            [_Line("eigenvalue", "dil", per_epoch(by_epoch(events, "eigenvalue"), "eigenvalue"))],
        ),
        *(_cost_chart(costs, name, words) for name, words in _COSTS.items()),
    ]  # fmt: skip


def _cost_chart(events: Sequence[Mapping[str, Any]], name: str, words: str) -> Curve | None:
    limits = per_epoch(events, name, "limit").y
    return _chart(
        f"cost-{name}",
        f"{words} of the final network, millions",
        "At the end of each epoch: what alpha lets expect, and what the derived cell has."
        + (" Dashed: the limit." if limits else ""),
        [
            _Line("expected", "sep", _millions(per_epoch(events, name, "expected"))),
            _Line("derived", "dil", _millions(per_epoch(events, name, "derived")), steps=True),
        ],
        mark=limits[-1] / 1e6 if limits else None,
    )


def _millions(series: Series) -> Series:
    return Series(series.x, [y / 1e6 for y in series.y])


def _train_curves(events: Sequence[Mapping[str, Any]]) -> list[Curve | None]:
    epochs = by_epoch(events, "train_epoch")
    return [
        _chart("train-loss", "Training loss", "Per epoch.", [_Line("loss", "sep", per_epoch(epochs, "train_loss"))]),
        _chart("accuracy", "Accuracy, %", "Per epoch. The result is the test accuracy of the last one.", [
            _Line("train", "sep", per_epoch(epochs, "train_accuracy")),
            _Line("test", "dil", per_epoch(epochs, "test_accuracy")),
        ]),
        _chart("learning-rate", "Learning rate", "Per epoch.", [
            _Line("learning rate", "skip", per_epoch(epochs, "learning_rate")),
        ]),
    ]  # fmt: skip


def _chart(
    name: str,
    title: str,
    note: str,
    lines: Sequence[_Line],
    limits: tuple[float, float] | None = None,
    mark: float | None = None,
) -> Curve | None:
    """Lines over epochs; nothing where there is no number."""
    lines = [line for line in lines if line.series.x]
    if not lines:
        return None
    figure, axes = _axes("epoch")
    if mark is not None:
        axes.axhline(mark, color=ROLES["muted"].light, linewidth=1.0, linestyle=(0, (4.0, 3.0)), gid="mark")
    for line in lines:
        axes.plot(
            *line.series,
            color=ROLES[line.role].light,
            linewidth=1.7,
            drawstyle="steps-mid" if line.steps else "default",
            marker="o",
            markersize=4.0 if len(line.series.x) == 1 else 0.0,
            gid=f"line-{line.label}",
        )
    if limits:
        axes.set_ylim(*limits)
    _name_ends(axes, [(f"{line.label} " if len(lines) > 1 else "", line) for line in lines])
    return Curve(name, title, note, to_svg(figure))


def _band_chart(
    name: str, title: str, note: str, band: Band, role: str, limits: tuple[float, float] | None = None
) -> Curve | None:
    """A mean over architecture steps with the span around it; nothing where there is no number."""
    if not band.x:
        return None
    figure, axes = _axes("architecture step")
    axes.fill_between(band.x, band.low, band.high, color=ROLES[f"{role}-tint"].light, linewidth=0, gid="span")
    axes.plot(
        band.x, band.mean, color=ROLES[role].light, linewidth=1.5, marker="o",
        markersize=4.0 if len(band.x) == 1 else 0.0, gid="line-mean",
    )  # fmt: skip
    if limits:
        axes.set_ylim(*limits)
    _name_ends(axes, [("", _Line("mean", role, Series(band.x, band.mean)))])
    return Curve(name, title, note, to_svg(figure))


def _axes(x_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, dpi=72, facecolor="none")
    axes = chart_axes(figure, (0.1, 0.17, 0.74, 0.78), x_label, _FONT)
    axes.tick_params(axis="x", length=3)
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.01, y=0.08)
    return figure, axes


def _name_ends(axes: Axes, lines: Sequence[tuple[str, _Line]]) -> None:
    """The last value of each line to its right, moved apart where two would touch."""
    low, high = axes.get_ylim()
    apart = (high - low) * 0.085
    ends = sorted((line.series.y[-1], prefix, line) for prefix, line in lines)
    places: list[float] = []
    for value, _, _ in ends:
        places.append(max(value, places[-1] + apart) if places else value)
    overshoot = max(0.0, places[-1] - high)
    for place, (value, prefix, line) in zip(places, ends, strict=True):
        axes.annotate(
            f"{prefix}{value:.4g}",
            (1.0, place - overshoot),
            xycoords=axes.get_yaxis_transform(),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=_FONT,
            color=ROLES[line.role].light,
            gid=f"end-{line.label}",
        )
