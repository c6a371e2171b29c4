"""What short trainings promise: the value that a network would have after a final training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from zarts.planner.records import FINAL, NO_VALUE, Score

__all__ = ["Progress", "clearly_behind", "common_slope", "progress_of", "promised", "slope_of"]

_POWER = 0.8
"""How fast a value falls with the steps of a training, as measured in trainings of one to ten epochs: docs/fit.md."""
_LEAST = 0.01
_APART = 1.5
"""As many steps, at least, has a training that tells what more steps bring."""


class Progress(NamedTuple):
    """Value of the objective on validation images, and the steps of the training, or their mean over seeds."""

    value: float
    steps: float


def common_slope(pairs: Sequence[tuple[Progress, Progress]]) -> float:
    """How fast values fall with the steps of a training, from networks that were trained to two lengths.

    A value is taken to be v = u + a n^-0.8 after n steps: u is a network's own, and `a` is nearly the same for all that
    are trained on the same images, which is what makes short trainings of different networks comparable.

    Args:
        pairs: value and steps of a network after a shorter and after a longer training.

    Returns:
        The mean `a`, not below 0.
    """
    slopes = [(v - longer) / (math.pow(n, -_POWER) - math.pow(more, -_POWER)) for (v, n), (longer, more) in pairs]
    return max(0.0, sum(slopes) / len(slopes))


def promised(reached: Progress, slope: float, times: float, flat: float = math.inf) -> float:
    """The value of a network after more steps, see `common_slope`: what has taken few of them gains most.

    Args:
        reached: value and steps so far.
        slope: `a`.
        times: as many steps as that.
        flat: steps from which more bring nothing.
    """
    steps = max(reached.steps, min(flat, times * reached.steps))
    return reached.value - slope * (math.pow(reached.steps, -_POWER) - math.pow(steps, -_POWER))


def clearly_behind(value: float, best: float, share: float) -> bool:
    """Whether a value is worse than the best one by more than a share of that, and by more than 0.01."""
    return value > best + max(_LEAST, share * abs(best))


def slope_of(scores: Mapping[tuple[int, str], Iterable[Score]]) -> float:
    """The common slope of all trainings before the finals; 0 where fewer than two networks had two lengths.

    Args:
        scores: by number of the network and length.
    """
    found: dict[tuple[int, int], list[Progress]] = {}
    for (number, length), own in scores.items():
        for score in own:
            if length != FINAL and score.value < NO_VALUE:
                found.setdefault((number, score.seed), []).append(Progress(score.value, score.schedule.steps))
    pairs = [pair for curve in found.values() for pair in itertools.pairwise(sorted(curve, key=lambda c: c.steps))]
    pairs = [(short, long) for short, long in pairs if long.steps >= _APART * short.steps]
    return common_slope(pairs) if len(pairs) > 1 else 0.0


def progress_of(scores: Sequence[Score]) -> Progress | None:
    """Value and steps of a network at a length, the means over seeds.

    Seeds that were cut short do not count; None: all were, or one diverged.
    """
    known = [score for score in scores if score.value < NO_VALUE]
    if not known or any(score.seconds == 0 for score in scores):
        return None
    values, steps = [score.value for score in known], [score.schedule.steps for score in known]
    return Progress(sum(values) / len(values), sum(steps) / len(steps))
