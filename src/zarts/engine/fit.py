"""What the steps of a run need in memory beside what there is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Fit"]


@dataclass(frozen=True)
class Fit:
    """What the steps of a run need, and what there is.

    Args:
        needed: bytes beyond what there is before the first one; of all processes on the machine together.
        free: bytes that they may take; None: nobody knows.
        largest: images a weight step that would fit, at least 2; None: not even these, or nobody knows.
        seconds: that it took to see, where a run would not look; else 0.
    """

    needed: int
    free: int | None
    largest: int | None
    seconds: float = 0.0
