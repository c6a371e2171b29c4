"""Settings that are written in a form of their own: lists of numbers (`5,3`) and times (`10m`)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

__all__ = ["Counts", "Duration", "Jitter", "Shares"]


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return [value] if isinstance(value, int | float) else value


def _four(values: tuple[float, ...]) -> tuple[float, ...]:
    if len(values) not in (0, 4):
        raise PydanticCustomError(
            "four", "expected four numbers, of brightness, contrast, saturation and hue: 0.4,0.4,0.4,0.2"
        )
    if values and values[3] > 0.5:
        raise PydanticCustomError("hue", "hue, the last one, is a share of the colour circle: 0.5 or less")
    return values


Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(_listed)]
"""Whole numbers from 1."""

Shares = Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], BeforeValidator(_listed)]
"""Numbers from 0, below 1."""

Jitter = Annotated[tuple[Annotated[float, Field(ge=0)], ...], BeforeValidator(_listed), AfterValidator(_four)]
"""None, or strengths of random brightness, contrast, saturation and hue."""

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,6})?) ?(s|m|min|h|d)? ?")


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = list(_TIME.finditer(value.strip().lower()))
    if not parts or "".join(part.group() for part in parts) != value.strip().lower():
        raise PydanticCustomError("time", "expected a time such as 90s, 10m, 2h or 1h30m")
    return sum(float(part[1]) * _UNITS[part[2] or ""] for part in parts)


Duration = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=365 * 86400)]
"""A time in seconds; also as text with units."""
