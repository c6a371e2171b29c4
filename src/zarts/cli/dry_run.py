"""The printed forecast of a dry run: time, memory and size."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zarts.runtime.measure import Fit
    from zarts.training.dry_run import Forecast

__all__ = ["about", "print_forecast"]


def print_forecast(forecast: Forecast) -> None:
    """Print the parts of the command with their times, and the whole."""
    width = max(len(part.name) for part in forecast.parts)
    for part in forecast.parts:
        each = part.seconds / part.count
        print(f"{part.name:{width}}  {part.count:>8,} x {each:>9.3f} s = {part.seconds:>11,.1f} s")
    print(
        f"time: {_duration(forecast.seconds)} ({forecast.seconds:,.0f} s)   memory: {forecast.peak_bytes / 1e6:,.0f} MB"
    )
    if forecast.fit is not None:
        print(_memory(forecast.fit))
    if forecast.parameters:
        print(f"parameters: {forecast.parameters:,}   MACs an image: {forecast.macs:,}")


def about(seconds: float) -> str:
    """A time in words, rounded: `about 12 minutes`."""
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 1.5 * size:
            return f"about {seconds / size:.0f} {unit}s"
    return f"about {seconds:.0f} seconds" if seconds >= 1.5 else "about a second"


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _memory(fit: Fit) -> str:
    """The memory that steps need, and the free memory."""
    from zarts.training.memory_check import readable

    if fit.free is None:
        return f"steps need {readable(fit.needed)}; the free memory of this device is not known"
    return f"steps need {readable(fit.needed)}   free: {readable(fit.free)}   largest batch that fits: {fit.largest:,}"
