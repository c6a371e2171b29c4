"""From the time of a fit to the lengths of its trainings, and to the number of networks at each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["LENGTHS", "MOST", "SLACK", "Measured", "TimePlan", "plan_time"]

LENGTHS = {f"T/{part}": part for part in (27, 9, 3)}
"""Lengths of trainings before the finals, by name, as parts of a final one; shortest first."""
USABLE = 40.0
"""Seconds of the shortest training that networks are compared by: below, accuracy is mostly how fast they train."""
ENOUGH = 50
"""Epochs after which a shorter training is as good."""
MOST = 150
"""Epochs of a final training: more bring nothing."""
_FLAT = 20.0
"""Epochs without crops from which a longer training brings nothing: 17 still did, 40 did not, see docs/fit.md."""
_CROPPED = 60.0
"""Epochs from which images are padded and cropped at random; 44 with crops still cost accuracy on Fashion-MNIST."""
_QUICK = 30.0
"""Epochs below which depthwise convolutions and dropout were never worth it: docs/fit.md."""
_DWARFED = 8.0
"""As many weights and multiply-adds as a network with another stride are reason enough not to try that one."""
SEARCHED = 8
"""Fewest searched networks that a search is worth its time for."""
_RULES = {"cropped": _CROPPED, "flat": _FLAT, "quick": _QUICK, "dwarfed": _DWARFED}
"""Of a plan that is made now."""
_FINALISTS = 4
"""Networks at a third of the final length."""
_MIDDLE = 9
"""Networks at a ninth of it, where there is a shorter length."""
_CONTINUED = 0.3
"""Share of a shorter training that a longer one need not repeat."""
SLACK = 0.96
"""Share of the time that trainings get: the rest is for loading and validating."""
_FINALS, _MOST_FINALS = 0.333, 0.6
"""Share of the time of finals; and where more than two networks are trained to the end, but only beside a search."""
_MANY = 400
"""Networks of a search, at most."""


class Measured(NamedTuple):
    """What a first training tells.

    Args:
        epoch: seconds of an epoch.
        image: seconds of answering an image.
        pace: seconds of the reference of `zarts.planner.clock.Clock`; None: not known.
    """

    epoch: float
    image: float
    pace: float | None


@dataclass(frozen=True)
class TimePlan:
    """The trainings of a fit.

    Args:
        final: seconds of a final training, T.
        lengths: name and seconds of the shorter ones that are used, shortest first; the last is `T/3`.
        handmade: hand-made networks at the shortest length, at most.
        searched: networks that the search tries there; 0: no search.
        seeds: seeds of each finalist.
        second_seeds: networks that are trained with a second seed at T/3: 0, 1 or 2.
        why: the reason for no search, a phrase; empty: there is one.
        cropped: epochs of a final training from which images are cropped.
        flat: epochs of images that are not cropped from which a longer training promises nothing more.
        quick: epochs of a final training below which no network is proposed that is slow to train.
        dwarfed: as many times the weights and multiply-adds of ResNet-8 at another stride are reason not to try that.
    """

    final: float
    lengths: tuple[tuple[str, float], ...]
    handmade: int
    searched: int
    seeds: int
    second_seeds: int
    why: str
    cropped: float = 30.0  # from here on as plans of earlier versions, which do not name them
    flat: float = math.inf
    quick: float = 0.0
    dwarfed: float = math.inf

    @staticmethod
    def read(decided: Mapping[str, Any]) -> tuple[TimePlan, Measured]:
        """The plan, and what it was made from, as a fit's file has them."""
        own = {name: value for name, value in decided.items() if name not in Measured._fields}
        own["lengths"] = tuple((str(name), float(seconds)) for name, seconds in own["lengths"])
        pace = decided.get("pace")  # plans of earlier versions have none
        pace = None if pace is None else float(pace)
        return TimePlan(**own), Measured(float(decided["epoch"]), float(decided["image"]), pace)

    @property
    def shortest(self) -> tuple[str, float]:
        """Name and seconds."""
        return self.lengths[0]


def plan_time(
    left: float, processes: int, epoch: float, others: int = 0, *, search: bool = True, beside: float = 0.0
) -> TimePlan:
    """Divide the time that is left.

    Finals get at least a third of it: the best found and the best hand-made network, with as many seeds as there are
    processes for. About four networks are trained for a third of a final training, the best two with a second seed.
    Hand-made networks get at most a third of what is left before the finals; the rest is the search's.

    Args:
        left: seconds until the files are to be written.
        processes: trainings at a time.
        epoch: seconds of an epoch of a hand-made network.
        others: networks that are trained as long as the finalists, beside them.
        search: whether a search is wanted.
        beside: seconds of the whole time that are not for trainings.
    """
    plan, known = None, (left, processes, epoch, others)
    if search:
        plan = _with_search(*known, min(_MOST_FINALS, _FINALS * (2 + others) / 2)) or _with_search(*known, _FINALS)
    if plan is not None:
        return plan
    why = "it was not asked for"
    if search:
        enough = max(60.0, left)
        while _with_search(enough, processes, epoch, others, _FINALS) is None:
            enough *= 1.05
        why = f"that takes {_minutes(enough + beside)} or more"
    return _handmade_only(left, processes, epoch, why, others)


def _with_search(left: float, processes: int, epoch: float, others: int, share: float) -> TimePlan | None:
    """The plan with a search, if that has enough networks; fewer hand-made ones and second seeds make room."""
    trained = SLACK * left
    seeds = max(1, min(3, processes // 2))
    rounds = math.ceil((2 + others) * seeds / processes)
    final = min(share * trained / rounds, MOST * epoch)
    budget = processes * (trained - rounds * final)
    least = min(USABLE, ENOUGH * epoch)
    lengths = tuple((name, final / part) for name, part in LENGTHS.items() if final / part >= least * (1 - 1e-9))
    if not lengths:
        return None
    short = lengths[0][1]
    top = _FINALISTS * (final / 3 - _CONTINUED * lengths[-2][1]) if len(lengths) > 1 else 0.0
    middle = _MIDDLE * (lengths[1][1] - _CONTINUED * short) if len(lengths) > 2 else 0.0
    most = min(12, int(budget / 3 / short))
    for second_seeds, handmade in [*((2, count) for count in range(most, 2, -1)), (1, 3)]:
        searched = int((budget - top - middle - second_seeds * final / 3 - handmade * short) / short)
        if searched >= SEARCHED and handmade <= most:
            return TimePlan(final, lengths, handmade, min(searched, _MANY), seeds, second_seeds, "", **_RULES)
    return None


def _handmade_only(left: float, processes: int, epoch: float, why: str, others: int) -> TimePlan:
    """A few hand-made networks for a third of the final length, the best one to the end."""
    trained = SLACK * max(1.0, left)
    rounds = math.ceil((1 + others) / processes)
    final = min(trained / (rounds + math.ceil(_FINALISTS / processes) / 3), MOST * epoch)
    count = int(processes * (trained - rounds * final) / (final / 3) + 1e-6)
    return TimePlan(final, (("T/3", final / 3),), max(1, min(12, count)), 0, 1, 0, why, **_RULES)


def _minutes(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{math.ceil(minutes / 60)} hours"
