"""Sections of the page of a fit as plain data: difference, table, short trainings, time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from zarts.reports.fit_picture import COSTS, amount, origin_words
from zarts.reports.fit_result import FINAL, Difference, FitResult, Network, Trust, length_words
from zarts.reports.summary import duration, show

__all__ = [
    "Bar",
    "Part",
    "Value",
    "bar_of",
    "cost_words",
    "difference_of",
    "lengths_note",
    "table_head",
    "table_rows",
    "time_of",
    "trust_title",
    "trust_words",
]

_TIMES = ("dil", "sep", "pool", "skip", "other")


class Bar(NamedTuple):
    """An interval on a scale, in percent of its width: its left end, its width, its middle, and where 0 is."""

    left: float
    width: float
    middle: float
    zero: float


class Part(NamedTuple):
    """A part of the time: its share of the bar in percent and its colour."""

    name: str
    time: str
    share: float
    role: str


class Value(NamedTuple):
    """An entry of the table of networks, and the key by which it is sorted."""

    text: str
    key: str


def difference_of(fit: FitResult) -> tuple[Bar, str, str, str] | None:
    """The bar around 0, the difference in words, and the names of the networks on its two sides; None without one."""
    difference = fit.difference
    if difference is None:
        return None
    found = next((one for one in fit.finalists if one.origin in ("found", "random")), None)
    other = next((one for one in fit.finalists if one is not found), None)
    more = [
        f"{difference.seeds} training{'s' if difference.seeds > 1 else ''} of each" if difference.seeds else "",
        f"{show(difference.images)} test images" if difference.images else "",
    ]
    words = (
        f"{difference.mean:+.2f} points; 95 % interval {difference.low:+.2f} to {difference.high:+.2f}"
        f"{' (' + ', '.join(filter(None, more)) + ')' if any(more) else ''}"
    ).replace("-", "\N{MINUS SIGN}")
    bar = bar_of(
        difference.mean, difference, 1.25 * max(abs(difference.low), abs(difference.high), abs(difference.mean), 0.1)
    )
    left = "the best made by hand" if other is None else other.name
    return bar, words, left, "the best found" if found is None else found.name


def bar_of(value: float, interval: Difference | Trust, most: float) -> Bar:
    """A value with its interval on a scale from `-most` to `most`."""
    low, high, at = (50 + 50 * max(-1.0, min(1.0, one / most)) for one in (interval.low, interval.high, value))
    return Bar(low, high - low, at, 50.0)


def _columns(fit: FitResult) -> list[str]:
    return [cost for cost in COSTS if any(cost in network.costs for network in fit.networks)]


def table_head(fit: FitResult) -> list[str]:
    """The titles of the columns of the table."""
    lengths = [f"{length}, %" for length in reversed(fit.lengths)]
    return ["network", *lengths, *map(cost_words, _columns(fit)), "images"]


def table_rows(fit: FitResult) -> list[tuple[Network, bool, str, list[Value]]]:
    """The networks, whether it is the one to take, where it is from, and its entries.

    Those that trained longest come first, and of those the most accurate.
    """
    order = {length: index for index, length in enumerate(fit.lengths)}

    def rank(network: Network) -> tuple[int, float]:
        return -order.get(network.longest, -1), -(network.accuracy(network.longest) or 0.0)

    return [
        (network, network is fit.delivered, origin_words(network), _entries(fit, network))
        for network in sorted(fit.networks, key=rank)
    ]


def _entries(fit: FitResult, network: Network) -> list[Value]:
    entries = []
    for length in reversed(fit.lengths):
        mean = network.accuracy(length)
        of = f" ({len(network.validation[length])})" if mean is not None and len(network.validation[length]) > 1 else ""
        entries.append(Value("–", "") if mean is None else Value(f"{mean:.2f}{of}", repr(mean)))
    for cost in _columns(fit):
        value = network.costs.get(cost)
        entries.append(Value("–", "") if value is None else Value(amount(cost, value), repr(value)))
    size = network.image_size
    return [*entries, Value("–", "") if size is None else Value(f"{size}×{size}", str(size))]


def lengths_note(fit: FitResult) -> str:
    """How lengths are read, in a few sentences; empty where there is one alone."""
    if len(fit.lengths) < 2:
        return ""
    final = fit.time["final"]
    long = f"{FINAL} is the length of the final training" + (f", {duration(final)} of computing" if final else "")
    short = [f"{length} is {length_words(length)}" for length in reversed(fit.lengths) if length != FINAL]
    return (
        f"{'; '.join([long, *short])}. Accuracies after different lengths cannot be compared: longer trainings score "
        "higher. A click on a length hides or shows it, a double click shows it alone; faint dots are networks that "
        "trained on, after the shorter training."
    )


def trust_title(trust: Trust) -> str:
    """The two lengths, the rank correlation and its interval."""
    n = f", {trust.n} networks" if trust.n else ""
    return f"{trust.short} against {trust.long}: {trust.value:.2f} ({trust.low:.2f} to {trust.high:.2f}{n})".replace(
        "-", "\N{MINUS SIGN}"
    )


def trust_words(trust: Trust) -> str:
    """What a rank correlation says, in words."""
    short, long = length_words(trust.short), length_words(trust.long)
    if trust.low > 0.5:
        words = f"The order after {short} was much like the order after {long}."
    elif trust.high < 0.5:
        words = f"The order after {short} says little of the order after {long}."
    elif trust.low > 0:
        words = f"The order after {short} says something, not all, of the order after {long}."
    else:
        words = f"Too few networks to tell whether the order after {short} says anything of the order after {long}."
    return words


def time_of(time: Mapping[str, Any]) -> tuple[list[Part], str, str] | None:
    """The parts of the bar, how long it took, and why it ended early; None where no parts are known.

    Args:
        time: of a `FitResult`.
    """
    parts = [
        (name, seconds, _TIMES[index % len(_TIMES)]) for index, (name, seconds) in enumerate(time["parts"].items())
    ]
    known = sum(seconds for _, seconds, _ in parts)
    if not known:
        return None
    taken = max(time["taken"] or 0.0, known)
    whole = max(taken, time["asked"] or 0.0)
    parts += [(name, rest, "rule") for name, rest in (("other work", taken - known), ("not used", whole - taken))]
    shown = [
        Part(name, duration(seconds), 100 * seconds / whole, role)
        for name, seconds, role in parts
        if role != "rule" or seconds > 0.005 * whole
    ]
    words = duration(taken) + (f" of the {duration(time['asked'])} asked for" if time["asked"] else "")
    words += f", with {time['processes']} trainings side by side" if time["processes"] > 1 else ""
    return shown, words, time["ended"]


def cost_words(cost: str) -> str:
    """The name of a cost inside a sentence."""
    words = COSTS[cost].words
    return words if words[1].isupper() else words.lower()
