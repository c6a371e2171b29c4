"""What a comparison says: which row is best, how sure that is, and what it gains over random and hand-made networks."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import fmean, stdev
from typing import Literal, NamedTuple

from scipy.special import stdtrit

__all__ = ["Conclusion", "Difference", "Entry", "conclude", "difference", "gap_words"]

_LEAST = 3
"""Seeds below which no difference is shown, as in the verdict of a fit."""
_CHANCE = 0.05
"""Of two rows, that an interval fails; of more rows shared by all intervals of one."""
_LETTERS = 50
"""Length of the names in a headline, at most."""


class Entry(NamedTuple):
    """A row: its accuracy for each seed, in percent. Of a row without seeds the mean is known exactly.

    A `reference` is none of the other kinds.
    """

    name: str
    kind: Literal["found", "random", "hand-made", "reference"]
    seeds: Mapping[str, float]
    mean: float


class Difference(NamedTuple):
    """Accuracy of one row minus that of another over `n` shared seeds, in points, with its interval.

    The interval is infinite for fewer than three seeds.
    """

    mean: float
    low: float
    high: float
    n: int


class Conclusion(NamedTuple):
    """What a table says.

    Args:
        headline: in a few words.
        sentences: with numbers; the first belongs to the headline.
        best: name of the row with the highest mean; empty: there is none.
        level: of the intervals, in percent.
        gaps: how far each other row is from the best one, in words.
        few: whether there are too few seeds to show any difference.
    """

    headline: str
    sentences: list[str]
    best: str
    level: float
    gaps: Mapping[str, str]
    few: bool


def difference(one: Entry, other: Entry, confidence: float) -> Difference | None:
    """Of two rows, paired over their seeds; a row without seeds is paired with each. None without shared seeds.

    Student's interval: mean -+ t(n - 1) s / sqrt(n), where s is the standard deviation of the n differences.

    Args:
        one: a row with seeds.
        other: another row.
        confidence: in (0, 1).
    """
    theirs = dict.fromkeys(one.seeds, other.mean) if not other.seeds else other.seeds
    values = [one.seeds[seed] - theirs[seed] for seed in one.seeds if seed in theirs]
    if not values:
        return None
    n, mean = len(values), fmean(values)
    if n < _LEAST:
        return Difference(mean, -math.inf, math.inf, n)
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * stdev(values) / math.sqrt(n)
    return Difference(mean, mean - reach, mean + reach, n)


def conclude(entries: Sequence[Entry]) -> Conclusion:
    """Find the best row, and those that may be as good.

    A row is worse than another if the interval of their difference excludes 0. With k rows each interval has the level
    1 - 0.05 / (k - 1): then the best row is among those that no other beats with a chance of 97.5 % or more, because
    it is not only if one of the k - 1 intervals around it fails to one side.

    Args:
        entries: the rows; of two with the same mean the first counts as better.

    Source: Hsu, Constrained simultaneous confidence intervals for multiple comparisons with the best (1984), with
        Bonferroni's bound in place of Dunnett's constants, because pairs need not have one variance.
    """
    rows = sorted((one for one in entries if one.seeds), key=lambda one: -one.mean)
    if not rows:
        return Conclusion("No accuracies to compare", [], "", 95.0, {}, few=False)
    confidence = 1 - _CHANCE / max(1, len(rows) - 1)
    beaten = {one.name for one in rows if any(_better(other, one, confidence) for other in rows if other is not one)}
    leading = [one for one in rows if one.name not in beaten] or rows[:1]
    best = leading[0]
    found = {one.name: difference(best, one, confidence) for one in entries if one is not best}
    differences = {name: one for name, one in found.items() if one is not None}
    most = max((differences[one.name].n for one in rows if one.name in differences), default=0)
    gaps = {name: gap_words(one, 100 * confidence) for name, one in differences.items()}
    headline, first = _said(rows, leading, gaps, most)
    unsure = {name for name, one in differences.items() if one.low <= 0} - beaten
    sentences = [first, *_against(best, entries, gaps, unsure)]
    return Conclusion(headline, sentences, best.name, 100 * confidence, gaps, few=len(rows) > 1 and most < _LEAST)


def gap_words(best: Difference, level: float) -> str:
    """How far another row is from the best one: `−0.25 points (95 % interval −0.62 to +0.11)`.

    Args:
        best: accuracy of the best row minus that of the other.
        level: of the interval, in percent; there is none for fewer than three seeds.
    """
    words = f"{-best.mean:+.2f} points"
    if math.isfinite(best.low):
        words += f" ({level:.3g} % interval {-best.high:+.2f} to {-best.low:+.2f})"
    return words.replace("-", "\N{MINUS SIGN}")


def _better(one: Entry, other: Entry, confidence: float) -> bool:
    found = difference(one, other, confidence)
    return found is not None and found.low > 0


def _said(rows: Sequence[Entry], leading: Sequence[Entry], gaps: Mapping[str, str], most: int) -> tuple[str, str]:
    """The headline and the sentence below it."""
    best, *rivals = leading
    seeds = sorted({len(one.seeds) for one in rows})
    times = f"{seeds[0]} seed{'s' if seeds[-1] > 1 else ''}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    mean = f"{best.mean:.2f} %" + (f" on average over {len(best.seeds)} seeds" if len(best.seeds) > 1 else "")
    if len(rows) == 1:
        return f"{best.name} reaches {best.mean:.2f} %", f"It is the only row: its test accuracy is {mean}."
    second = next((one.name for one in rows if one is not best and one.name in gaps), None)
    gap = "" if second is None else f"; {second} is next: {gaps[second]}"
    highest = f"{best.name} has the highest test accuracy, {mean}{gap}."
    if not rivals:
        return f"{best.name} is best", highest
    if most < _LEAST:
        return _apart(times, rows), f"{highest} An interval needs three seeds or more."
    if len(leading) == len(rows):
        return _apart(times, rows), f"{highest} That may be chance."
    worse = len(rows) - len(leading)
    rest = "the other row is" if worse == 1 else f"the other {worse} rows are"
    named = _names(leading)
    lead = named if len(named) <= _LETTERS else f"{len(leading)} of {len(rows)} rows"
    return (
        f"{lead} lead; {times} cannot tell them apart",
        f"{highest} More than chance: {rest} worse than one of these.",
    )


def _apart(times: str, rows: Sequence[Entry]) -> str:
    return f"{times} cannot tell {_names(rows) if len(rows) == 2 else f'the {len(rows)} rows'} apart"


def _names(rows: Sequence[Entry]) -> str:
    *first, last = [one.name for one in rows]
    return f"{', '.join(first)} and {last}" if first else last


def _against(best: Entry, entries: Sequence[Entry], gaps: Mapping[str, str], unsure: Collection[str]) -> list[str]:
    """What the best row gains over random networks, and over those made by hand."""
    if best.kind == "random":
        return ["It draws networks at random: no gain by a search is shown."]
    if best.kind == "hand-made":
        return ["It was made by hand: no search is shown to find better ones."]
    said = []
    others = sorted((one for one in entries if one.name in gaps), key=lambda one: -one.mean)
    second = next((one.name for one in others if one.seeds), "")
    for kind, words in (("random", "drawn at random"), ("hand-made", "made by hand")):
        one = next((one for one in others if one.kind == kind), None)
        if one is not None:
            name = one.name.removesuffix(" (hand-made)")
            chance = " That they are worse may be chance." if one.name in unsure else ""
            gap = (
                f"Networks {words} ({name}): {gaps[one.name]}."
                if one.name != second
                else f"{name} has networks {words}."
            )
            said.append(f"{gap}{chance}")
    return said
