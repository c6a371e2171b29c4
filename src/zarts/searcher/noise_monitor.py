"""Noise monitor: one warning when updates of alpha follow the noise of losses rather than their differences."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

__all__ = ["NoiseMonitor"]

_WINDOW = 20
"""Updates that are averaged: the mean of 20 ratios of pure noise lies within 0.25 of 0 (8 candidates)."""

_FAR_BELOW = 0.25


class NoiseMonitor:
    """Watches the signal-to-noise ratio of updates, see `ZeroOrderArchOptimizer.step`."""

    def __init__(self) -> None:
        self._last: list[float] = []
        self._warned = False

    def add(self, outcome: Mapping[str, Any]) -> str | None:
        """Add the record of an update; returns the warning when the mean ratio is far below 1 for the first time."""
        if self._warned or "snr" not in outcome:
            return None
        self._last = [*self._last, outcome["snr"]][-_WINDOW:]
        ratio = fmean(self._last)
        if len(self._last) < _WINDOW or ratio >= _FAR_BELOW:
            return None
        self._warned = True
        return (
            f"alpha follows noise: the signal-to-noise ratio of candidates' losses in the last {_WINDOW} updates is "
            f"{max(0.0, ratio):.2f} (good: 1 or more): take more --val-batches, a larger --sigma or more --samples; "
            "`zarts diagnose` of this run shows which"
        )

    def state_dict(self) -> dict[str, Any]:
        """The state, as plain data."""
        return {"last": list(self._last), "warned": self._warned}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._last, self._warned = list(state["last"]), state["warned"]
