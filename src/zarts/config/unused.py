"""Settings without an effect: refused where they are given one by one, else ignored with a note."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from zarts.config.base import SUPERNET
from zarts.config.common import CommonSettings
from zarts.config.components import Axes, resolve_axes, used, used_by
from zarts.config.preset_files import Layer
from zarts.config.settings import SearchSettings
from zarts.methods import METHODS

__all__ = ["Unused", "add_idle", "says_what_happens", "unused_by_method"]

_S = TypeVar("_S", bound=CommonSettings)

_UPPER_BOUNDS = ("epochs",)
"""Settings that hold where they are not used: a method that trains nothing trains for that many epochs at most."""


@dataclass
class Unused:
    """Settings without an effect, all of a call.

    Args:
        problems: those that are refused, a message each.
        ignored: the ignored ones by origin and reason.
    """

    problems: list[str] = field(default_factory=list)
    ignored: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, key: str, layer: Layer, reason: str, way_out: str) -> None:
        """Refuse a setting of options, ignore one of a file or a preset with a note, and others without one."""
        if layer.kind == "options" and key not in _UPPER_BOUNDS:
            self.problems.append(f"{key} ({layer.where}) is {reason}: {way_out}")
        elif layer.kind in ("options", "file", "preset"):
            self.ignored.setdefault((layer.where, reason), []).append(key)

    def tell(self, note: Callable[[str], None]) -> None:
        """One note that names all ignored settings, if there are some."""
        texts = [f"{', '.join(keys)} ({where}): {reason}" for (where, reason), keys in self.ignored.items()]
        if texts:
            note(f"ignored: {'; '.join(texts)}")


def says_what_happens(key: str, value: Any) -> bool:
    """Whether a setting of a search may have this value where it is not used: it is the default, or changes nothing."""
    return all(_says_what_happens(SearchSettings, key, read) for _, read in _validated({key: value}))


def _says_what_happens(kind: type[CommonSettings], key: str, value: Any) -> bool:
    """Whether the value of an unused setting is the default, or says what happens anyway; see `setting`."""
    one = kind.model_fields[key]
    extra = one.json_schema_extra
    assert isinstance(extra, dict)
    return bool(value == one.default or (value == extra["otherwise"] and extra["otherwise"] is not None))


def unused_by_method(layers: Sequence[Layer], axes: Axes) -> Unused:
    """The settings that no member of the axes uses and that differ from what happens anyway.

    What a preset has for its bases' methods and not for its own is no news.
    """
    found, own = Unused(), _members_of_presets(layers)
    for layer in layers:
        for key, value in _validated(layer.values):
            known = layer.kind == "preset" and not used(key, own)
            if not used(key, axes.members) and not known and not _says_what_happens(SearchSettings, key, value):
                found.add(key, layer, f"not used by {axes.title}", _way_out(key))
    return found


def _way_out(key: str) -> str:
    users = used_by(key)
    if tuple(users) == SUPERNET:
        return "leave it out, or choose a method with a supernet (see `zarts list methods`)"
    known = [name for name, method in METHODS.items() if used(key, frozenset(method.axes.values()))]
    if not known:
        return f"leave it out, or take {' or '.join(users)}"
    return f"leave it out, or take a method that uses it, as --method {known[0]} does"


def add_idle(
    unused: Unused,
    settings: _S,
    origin: Mapping[str, Layer],
    idle_because: Callable[[str, _S], str],
    happens: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Add the settings that other settings switch off and that differ from what happens anyway.

    Args:
        unused: is added to.
        settings: all settings.
        origin: the last layer that sets each setting.
        idle_because: the condition that a setting needs and that does not hold; empty: it has an effect.
        happens: the values of settings that say what happens anyway, in place of the default and `otherwise`.
    """
    values = settings.model_dump()
    for key, layer in origin.items():
        reason = idle_because(key, settings)
        value = values[key]
        same = value == happens[key] if key in happens else _says_what_happens(type(settings), key, value)
        if reason and not same:
            unused.add(key, layer, f"used with {reason} only", "leave it out")


def _members_of_presets(layers: Sequence[Layer]) -> frozenset[str]:
    return resolve_axes([layer for layer in layers if layer.kind == "preset"]).members


def _validated(values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The known settings of a layer as they are read, `8` of the command line as 8; an invalid one as it is."""
    for key, value in values.items():
        if key in SearchSettings.model_fields:
            try:
                yield key, SearchSettings(**{key: value}).model_dump(include={key})[key]
            except ValidationError:
                yield key, value
