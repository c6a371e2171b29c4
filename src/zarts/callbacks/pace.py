"""How fast work goes on, how long the rest takes, and times in words."""

from __future__ import annotations

import time
from collections import deque

__all__ = ["Pace", "span", "words_left"]

_WINDOW_SECONDS, _SHARE = 60.0, 0.1
"""The pace is that of the last minute or, where that is longer, of the last tenth of the work's time."""
_LOOK_SECONDS = 0.5
"""Shortest time between two marks."""


class Pace:
    """The pace of work, from marks of how much is done; work that begins anew begins a new pace."""

    def __init__(self) -> None:
        self._marks: deque[tuple[float, float]] = deque()  # time, and what was done then
        self._now = (0.0, 0.0)
        self._start = 0.0

    def mark(self, done: int | float, now: float | None = None) -> None:
        """Keep how much is done.

        Args:
            done: in any unit, more each time; less than before: it is other work.
            now: seconds, by `time.perf_counter`; None: now.
        """
        now = time.perf_counter() if now is None else now
        if not self._marks or done < self._now[1]:
            self._marks.clear()
            self._marks.append((now, done))
            self._start = now
        self._now = (now, done)
        if now - self._marks[-1][0] >= _LOOK_SECONDS:
            self._marks.append(self._now)
        window = max(_WINDOW_SECONDS, _SHARE * (now - self._start))
        while len(self._marks) > 1 and now - self._marks[1][0] >= window:
            self._marks.popleft()

    def left(self, total: int | float) -> float | None:
        """Seconds until `total` is done, at the present pace, from the last mark on; None: not known yet."""
        if not self._marks:
            return None
        (begun, before), (now, done) = self._marks[0], self._now
        return None if done <= before else (now - begun) * (total - done) / (done - before)


def span(seconds: int | float) -> str:
    """Seconds in words of at most 10 characters: `45 s`, `2 min 5 s`, `12 min`, `3 h 20 min`, `2 d 3 h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return _two(minutes // 60, "h", minutes % 60, "min")
    hours = round(seconds / 3600)
    return _two(hours // 24, "d", hours % 24, "h")


def words_left(until: float | None) -> str:
    """The time left in words: `12 min left`; empty if it is not known.

    Args:
        until: when all will be done, by `time.perf_counter`; None: not known.
    """
    return "" if until is None else f"{span(max(0.0, until - time.perf_counter()))} left"


def _two(large: int, unit: str, small: int, small_unit: str) -> str:
    return f"{large} {unit} {small} {small_unit}" if small and large < 10 else f"{large} {unit}"
