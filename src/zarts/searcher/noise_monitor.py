"""Whether the moves of alpha follow the losses of candidates or their noise: a word of warning, once."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

__all__ = ["NoiseMonitor"]

_WINDOW = 20
"""Updates that are averaged: the mean of so many ratios of pure noise lies within 0.25 of 0 (8 candidates)."""

_FAR_BELOW = 0.25


class NoiseMonitor:
    """Hears the signal-to-noise ratio of each update, see `ZeroOrderArchOptimizer.step`."""

    def __init__(self) -> None:
        self._last: list[float] = []
        self._warned = False

    def add(self, outcome: Mapping[str, Any]) -> str | None:
        """Hear of an update; the warning, where the mean of the last ones is far below 1 for the first time."""
        if self._warned or "snr" not in outcome:
            return None
        self._last = [*self._last, outcome["snr"]][-_WINDOW:]
        ratio = fmean(self._last)
        if len(self._last) < _WINDOW or ratio >= _FAR_BELOW:
            return None
        self._warned = True
        return (
            f"alpha follows noise: in the last {_WINDOW} updates the signal-to-noise ratio of candidates' losses was "
            f"{max(0.0, ratio):.2f}, where 1 is wanted; more validation batches (--val-batches), a larger --sigma or "
            "more --samples help, and `zarts diagnose` of this run says which"
        )

    def state_dict(self) -> dict[str, Any]:
        """All of it, as plain data."""
        return {"last": list(self._last), "warned": self._warned}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._last, self._warned = list(state["last"]), state["warned"]
