"""Schedules: pure functions of the place in a run."""

from __future__ import annotations

import math

__all__ = ["cosine"]


def cosine(start: float, end: float, progress: float) -> float:
    """From `start` at progress 0 to `end` at progress 1 along half a cosine.

    Source: Loshchilov and Hutter, SGDR (ICLR 2017), eq. 5, without restarts.
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
