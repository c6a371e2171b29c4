"""Curves over epochs in the pictures of a comparison and in its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from zarts.comparison.results import TrialResult
from zarts.comparison.scorer import Picture

__all__ = ["Curve", "curves_of"]


@dataclass(frozen=True)
class Curve:
    """A number for every epoch.

    Args:
        key: where `TrialResult` has it: `history`, or a name in `TrialResult.curves`.
        title: what the number is.
        picture: name of the picture that shows the curve.
        levels: horizontal lines by name.
        from_zero: whether the axis starts at 0.
    """

    key: str
    title: str
    picture: str
    levels: Mapping[str, float] = field(default_factory=dict)
    from_zero: bool = True

    def of(self, found: TrialResult) -> list[float]:
        """The numbers of a trial, nan for an epoch without one; empty if no epoch has one."""
        numbers = found.history if self.key == "history" else found.curves.get(self.key, ())
        return [math.nan if number is None else number for number in numbers]


def curves_of(picture: Picture) -> list[Curve]:
    """All curves; `picture` describes `TrialResult.history`."""
    return [
        Curve("history", picture.title, "curves", picture.levels, from_zero=False),
        Curve("identities", "Identities in the derived normal cell", "curves"),
        Curve("ess", "Effective sample size N_e, mean of an epoch", "sampling"),
        Curve("esr", "Effective sample rate R_e = N_e / N", "sampling", {"all count alike": 1.0}),
        Curve("test_accuracy", "Test accuracy of the network while it trains, %", "training", from_zero=False),
    ]
