"""The settings of a run for its page: those that were changed, and the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from zarts.config import dump, retrain_settings, search_settings
from zarts.config.fit import fit_settings
from zarts.errors import SettingsError
from zarts.reports.summary import show

__all__ = ["ShownSettings", "shown_settings"]

_GIVEN = {
    "search": ("method", "epochs", "time"),
    "retrain": ("recipe", "epochs", "time"),
}
"""Settings that other defaults depend on."""

_ALWAYS = ("data", "method", "space", "epochs", "time", "seed")
"""Settings that are shown in any case."""


class ShownSettings(NamedTuple):
    """Names and values as text: those that differ from the defaults of the method, and those that do not."""

    changed: list[tuple[str, str]]
    rest: list[tuple[str, str]]


def shown_settings(command: str, settings: Mapping[str, Any]) -> ShownSettings:
    """Part the settings of a run.

    Args:
        command: `search`, `retrain` or `fit`; of another one all settings count as changed.
        settings: of the run, under their present names.
    """
    defaults = _defaults(command, settings)
    known = {key for key, value in defaults.items() if key in settings and _same(settings[key], value)}
    rest = known - set(_ALWAYS)
    return ShownSettings(
        [(key, show(value)) for key, value in settings.items() if key not in rest],
        [(key, show(value)) for key, value in settings.items() if key in rest],
    )


def _defaults(command: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    given = {key: settings[key] for key in _GIVEN.get(command, ()) if settings.get(key) is not None}
    try:
        if command == "search":
            return dump(search_settings(given))
        if command == "retrain":
            return dump(retrain_settings(given, handmade=settings.get("width") is not None))
        return dump(fit_settings({"data": "digits"})) if command == "fit" else {}
    except SettingsError:  # of another version, or of a user's own
        return {}


def _same(value: Any, default: Any) -> bool:
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)
