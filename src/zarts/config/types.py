"""Settings that are lists of numbers: `5,3` on the command line, a list in YAML and in Python."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

__all__ = ["Counts", "Jitter", "Shares"]


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
