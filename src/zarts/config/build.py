"""Settings built from layers, with all that is wrong in them at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args

from pydantic import ValidationError

from zarts.config.base import Settings
from zarts.config.preset_files import Layer
from zarts.config.renamed import unknown_setting
from zarts.errors import SettingsError, nearest, shorten, shown

__all__ = ["Built", "build", "refuse"]

_S = TypeVar("_S", bound=Settings)


_PLAIN = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "should be a whole number"),
    **dict.fromkeys(("float_parsing", "float_type"), "should be a number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "should be true or false"),
    **dict.fromkeys(("byte_size", "byte_size_unit"), "should be a size such as 64KB, 1MB or 8GiB"),
}
"""Pydantic's kinds of errors in plain words."""


@dataclass(frozen=True)
class Built(Generic[_S]):
    """Settings and the origin of each.

    Args:
        settings: the settings; None: a value is invalid.
        origin: the last layer that sets each setting.
        problems: unknown names and invalid values, a message each.
    """

    settings: _S | None
    origin: Mapping[str, Layer]
    problems: Sequence[str]


def build(kind: type[_S], layers: Sequence[Layer]) -> Built[_S]:
    """Settings from layers; later layers win."""
    values: dict[str, Any] = {}
    origin: dict[str, Layer] = {}
    problems, command = [], kind.__name__.removesuffix("Settings").lower()
    for layer in layers:
        for key, value in layer.values.items():
            if key in kind.model_fields:
                values[key], origin[key] = value, layer
            else:
                problems.append(f"{layer.where}: {unknown_setting(key, kind.model_fields, command)}")
    try:
        return Built(kind(**values), origin, problems)
    except ValidationError as error:
        reasons: dict[str, dict[str, None]] = {}  # in order, each once
        for one in error.errors():
            text = _PLAIN.get(one["type"], one["msg"]).removeprefix("Input ").removeprefix("Value error, ")
            reasons.setdefault(str(one["loc"][0]), {})[text] = None
        for key, texts in reasons.items():
            near = nearest(shown(values[key]).strip("'"), _words(kind.model_fields[key].annotation))
            hint = f": did you mean {near!r}?" if near else ""
            text = shorten(_joined(texts), 600)
            problems.append(f"{key} = {shown(values[key])} ({origin[key].where}): {text}{hint}")
        return Built(None, origin, problems)


def _joined(texts: Iterable[str]) -> str:
    """Reasons, each of which may hold for another form of the value: `should be a number or 'auto'`."""
    first, *others = texts
    return " or ".join([first, *(text.removeprefix("should be ") for text in others)])


def _words(annotation: Any) -> Iterator[str]:
    """The words that a field takes as values."""
    for part in get_args(annotation):
        if isinstance(part, str):
            yield part
        else:
            yield from _words(part)


def refuse(problems: Sequence[str]) -> None:
    """Report all problems at once.

    Raises:
        SettingsError: there are some.
    """
    if problems:
        raise SettingsError("; ".join(problems))
