"""What is drawn against epochs, in the pictures of a comparison and in its report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from zarts.comparison.results import TrialResult
from zarts.comparison.scorer import Picture

__all__ = ["Curve", "curves_of"]


@dataclass(frozen=True)
class Curve:
    """One number of an epoch.

    Args:
        key: where it is in `TrialResult`: `history`, or a name in `TrialResult.curves`.
        title: what it is.
        picture: the name of the picture that it is in.
        levels: what lies at the same height everywhere.
        from_zero: whether its axis starts at 0.
    """

    key: str
    title: str
    picture: str
    levels: Mapping[str, float] = field(default_factory=dict)
    from_zero: bool = True

    def of(self, found: TrialResult) -> list[float]:
        """The numbers of a search, nan where there is none; empty where there are none at all."""
        numbers = found.history if self.key == "history" else found.curves.get(self.key, ())
        return [math.nan if number is None else number for number in numbers]


def curves_of(picture: Picture) -> list[Curve]:
    """All that may be drawn; `picture` says what `TrialResult.history` is."""
    return [
        Curve("history", picture.title, "curves", picture.levels, from_zero=False),
        Curve("identities", "Identities in the derived normal cell", "curves"),
        Curve("ess", "Effective sample size N_e, mean of an epoch", "sampling"),
        Curve("esr", "Effective sample rate R_e = N_e / N", "sampling", {"all count alike": 1.0}),
    ]
