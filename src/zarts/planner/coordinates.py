"""Coordinates of a search space: choices as logits and whole numbers as rounded ones, all of one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

__all__ = ["FLIP", "Choice", "Level", "Part", "Remainder"]

FLIP = 0.02
"""Probability of one choice to change at a standard deviation of 1 in each coordinate."""

_REMAINDER = 1e4  # coordinates of a remainder of 1


@dataclass(frozen=True)
class Choice:
    """One of some options, by a block of logits: that of the chosen one has the margin, the others are 0.

    Args:
        options: two or more.
    """

    options: tuple[Any, ...]

    @property
    def coordinates(self) -> int:
        """Their number."""
        return len(self.options)

    @property
    def margin(self) -> float:
        """Another logit is ahead with probability `FLIP`, all others together."""
        return -math.sqrt(2) * NormalDist().inv_cdf(FLIP / (len(self.options) - 1))

    def write(self, value: Any) -> list[float]:
        """Coordinates of a value."""
        return [self.margin * (option == value) for option in self.options]

    def read(self, x: Sequence[float]) -> Any:
        """The value of any coordinates."""
        return self.options[max(range(len(x)), key=x.__getitem__)]


@dataclass(frozen=True)
class Level:
    """A whole number, one coordinate; what is beyond the range is at its end.

    Args:
        low: the least.
        high: the greatest.
        flip: probability of another level at a standard deviation of 1.
    """

    low: int
    high: int
    flip: float = FLIP

    coordinates = 1

    @property
    def unit(self) -> float:
        """Coordinates of one level: half of it is passed with probability `flip`, both ways together."""
        return -2 * NormalDist().inv_cdf(self.flip / 2)

    def write(self, value: Any) -> list[float]:
        """Coordinates of a value."""
        return [self.unit * value]

    def read(self, x: Sequence[float]) -> int:
        """The value of any coordinates."""
        return min(self.high, max(self.low, round(x[0] / self.unit)))


class Remainder:
    """What rounding to a level leaves out, in levels; one coordinate, which perturbations leave as it is."""

    coordinates = 1

    def write(self, value: Any) -> list[float]:
        """Coordinates of a value."""
        return [_REMAINDER * value]

    def read(self, x: Sequence[float]) -> float:
        """The value of any coordinates."""
        return x[0] / _REMAINDER


Part = Choice | Level | Remainder
