"""Settings in a form of their own: lists (`5,3`), times (`10m`, `2ms`), numbers and sizes with units (`100k`)."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, PlainSerializer
from pydantic_core import PydanticCustomError

__all__ = [
    "FORMS",
    "Bytes",
    "Cells",
    "Channels",
    "Count",
    "Counts",
    "Duration",
    "Images",
    "Jitter",
    "Milliseconds",
    "Number",
    "Pixels",
    "Processes",
    "Samples",
    "Seed",
    "Shares",
    "Whole",
    "written",
]

Number = Annotated[float, Field(le=1e6)]
"""A rate, strength or factor; larger ones leave the range of float32 after a few products."""

Whole = Annotated[int, Field(le=10**6)]
"""A number of epochs, steps, batches or of images in a batch."""

Images = Annotated[int, Field(le=10**9)]
"""A number of images of a data set."""

Samples = Annotated[int, Field(le=10**4)]
"""A number of candidates that are drawn, and kept, at a time."""

Channels = Annotated[int, Field(le=4096)]
"""The channels of the first cells."""

Cells = Annotated[int, Field(le=200)]
"""A number of cells."""

Pixels = Annotated[int, Field(le=8192)]
"""A side."""

Processes = Annotated[int, Field(le=1024)]
"""A number of processes or threads."""

Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Of random draws; generators take 64 bits."""

_MOST_LISTED = 100


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


Counts = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1000)], ...], BeforeValidator(_listed), Field(max_length=_MOST_LISTED)
]
"""Whole numbers from 1: operations or cells, for each phase."""

Shares = Annotated[
    tuple[Annotated[float, Field(ge=0, lt=1)], ...], BeforeValidator(_listed), Field(max_length=_MOST_LISTED)
]
"""Numbers from 0, below 1."""

Jitter = Annotated[tuple[Annotated[float, Field(ge=0, le=100)], ...], BeforeValidator(_listed), AfterValidator(_four)]
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

_THOUSANDS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_COUNT = re.compile(r"(\d{1,19}(?:\.\d{1,9})?(?:e\d{1,2})?) ?([kmg]?)")


def _count(value: Any) -> Any:
    if isinstance(value, str):
        found = _COUNT.fullmatch(value.strip().lower().replace("_", ""))
        value = Decimal(found[1]) * _THOUSANDS[found[2]] if found else None
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if not number or not (isinstance(value, int) or math.isfinite(value)) or value != int(value):
        raise PydanticCustomError("count", "expected a whole number, such as 100000, 100k or 1.5M")
    return int(value)


Count = Annotated[int, BeforeValidator(_count), Field(ge=1, le=10**18)]
"""A whole number from 1; also as text in thousands, millions or thousands of millions: `100k`, `1.5M`, `2G`."""


def _bytes(value: Any) -> Any:
    if isinstance(value, str) and len(value) > 40:
        raise PydanticCustomError("bytes", "expected a number of bytes, such as 500000, 64KiB or 1.5GB")
    return value


Bytes = Annotated[ByteSize, BeforeValidator(_bytes), Field(gt=0, le=10**18)]
"""A number of bytes; also as text with units: `1MB` is 1,000,000 bytes, `64KiB` is 65,536."""

_MILLISECONDS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3}
_SHORT_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,20})?(?:e-?\d{1,2})?) ?(ns|us|µs|μs|ms|s)")


def _milliseconds(value: Any) -> float:
    found = _SHORT_TIME.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if not found:
        raise PydanticCustomError("milliseconds", "expected a time with its unit, such as 2ms, 500us or 0.01s")
    return float(found[1]) * _MILLISECONDS[found[2]]


Milliseconds = Annotated[
    float,
    BeforeValidator(_milliseconds),
    Field(gt=0, le=86400e3),
    PlainSerializer(lambda value: f"{value!r}ms", return_type=str),
]
"""A short time in milliseconds, given as text with its unit; a bare number could be seconds as well, and is refused.

It is written as it is read: `2.0ms`.
"""

FORMS = {Duration: "TIME", Milliseconds: "TIME", Count: "NUMBER", Bytes: "SIZE"}
"""What stands for a value of a type on help pages."""


def written(value: Any, kind: Any) -> str:
    """A value as one types it: `30m` for 1800 seconds, `1MB` for 1,000,000 bytes; otherwise as it prints.

    Args:
        value: the value of a setting.
        kind: its type.
    """
    kinds = (kind, *get_args(kind))
    units = {} if isinstance(value, str) else _LONG_UNITS if Duration in kinds else _SIZES if Bytes in kinds else {}
    for unit, size in units.items():
        if value >= size and value % size == 0:
            return f"{value / size:.0f}{unit}"
    return str(value)


_LONG_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_SIZES = {"GB": 10**9, "MB": 10**6, "KB": 10**3}
