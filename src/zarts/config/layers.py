"""Defaults < preset < configuration file < options: how settings are put together and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from zarts.config.settings import CommonSettings, RetrainSettings, SearchSettings
from zarts.errors import SettingsError, unknown
from zarts.methods import get_method

__all__ = [
    "Layer",
    "dump",
    "preset_layer",
    "preset_names",
    "preset_summary",
    "resolve_search",
    "retrain_settings",
    "row_settings",
    "search_settings",
    "uses",
]

_S = TypeVar("_S", bound=CommonSettings)


@dataclass(frozen=True)
class Layer:
    """Some settings, and where they come from (for messages): `preset 'quick'`, `options`."""

    where: str
    values: Mapping[str, Any]


def preset_names() -> list[str]:
    """All presets that come with the package."""
    files = resources.files("zarts") / "presets"
    return sorted(f.name.removesuffix(".yaml") for f in files.iterdir() if f.name.endswith(".yaml"))


def preset_summary(name: str) -> str:
    """The first line of a preset's file, which is a comment that says what it is."""
    text = (resources.files("zarts") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    return text.splitlines()[0].lstrip("# ")


def preset_layer(name: str, command: str) -> Layer:
    """The part of preset `name` that is for `command` (`search` or `retrain`).

    Raises:
        SettingsError: there is no such preset.
    """
    if name not in preset_names():
        raise SettingsError(unknown("preset", name, preset_names()))
    text = (resources.files("zarts") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    return Layer(f"preset {name!r}", _section(yaml.safe_load(text), command, f"preset {name!r}"))


def _config_layer(path: Path, command: str) -> Layer:
    """Settings of a YAML file: a mapping, or one with the sections `search` and `retrain`.

    Raises:
        SettingsError: the file cannot be read or is not such a mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: cannot read settings ({' '.join(str(error).split())})") from error
    return Layer(str(path), _section(data, command, str(path)))


def _section(data: Any, command: str, where: str) -> Mapping[str, Any]:
    if isinstance(data, dict) and data and set(data) <= {"search", "retrain"}:
        data = data.get(command)
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise SettingsError(f"{where}: expected lines `setting: value`, got {type(data).__name__}")
    return data


def search_settings(
    options: Mapping[str, Any], *, preset: str | None = None, config: Path | None = None, where: str = "options"
) -> SearchSettings:
    """The settings of a search: defaults < preset < configuration file < options.

    Raises:
        SettingsError: see `resolve_search`; or the preset or file cannot be read.
    """
    return resolve_search(*_files("search", preset, config), Layer(where, options))


def row_settings(
    row: str,
    own: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    preset: str | None = None,
    config: Path | None = None,
) -> SearchSettings:
    """The settings of a row of a comparison: defaults < preset < file < the method's defaults < shared ones < its own.

    Shared settings that the method does not use are left out.

    Args:
        row: the row's name, for messages.
        own: its settings, the method among them.
        shared: what all rows are given.
        preset: see `search_settings`.
        config: see `search_settings`.

    Raises:
        SettingsError: see `search_settings`.
    """
    where, method = f"row {row!r}", str(own["method"])
    common = {key: value for key, value in shared.items() if uses(method, key)}
    return resolve_search(
        *_files("search", preset, config),
        Layer(where, {"method": method}),
        Layer("options", common),
        Layer(where, {key: value for key, value in own.items() if key != "method"}),
    )


def uses(method: str, key: str) -> bool:
    """Whether a method uses a setting of that name; a name that no setting has is not held back here.

    Raises:
        SettingsError: there is no such method.
    """
    return key not in SearchSettings.model_fields or _used(key, get_method(method).update)


def retrain_settings(
    options: Mapping[str, Any],
    *,
    preset: str | None = None,
    config: Path | None = None,
    inherited: Mapping[str, Any] = MappingProxyType({}),
    where: str = "options",
) -> RetrainSettings:
    """The settings of a retraining: defaults < preset < what a search hands down < configuration file < options.

    Raises:
        SettingsError: unknown names or values out of range; or the preset or file cannot be read.
    """
    preset_part, config_part = _files("retrain", preset, config)
    return _build(RetrainSettings, [preset_part, Layer("the search", inherited), config_part, Layer(where, options)])


def _files(command: str, preset: str | None, config: Path | None) -> tuple[Layer, Layer]:
    return (
        Layer("no preset", {}) if preset is None else preset_layer(preset, command),
        Layer("no file", {}) if config is None else _config_layer(config, command),
    )


def resolve_search(*layers: Layer) -> SearchSettings:
    """The settings of a search from layers, later ones first.

    The layer that names the method divides them: what lies below was written for another method (a preset
    for ZARTS, say), so the method's own defaults (its row of the table) go before it, and what the method
    does not use is dropped from it. In that layer and above, a setting that the method does not use is refused.

    Raises:
        SettingsError: unknown names, values out of range, a setting that the method does not use.
    """
    named = max((i for i, layer in enumerate(layers) if "method" in layer.values), default=-1)
    chosen = layers[named].values["method"] if named >= 0 else SearchSettings.model_fields["method"].default
    method = get_method(str(chosen))
    kept = []
    for i, layer in enumerate(layers):
        idle = [key for key in layer.values if key in SearchSettings.model_fields and not _used(key, method.update)]
        if idle and i >= named:
            raise SettingsError(
                f"{idle[0]} ({layer.where}) is not used by method {method.name!r}: leave it out, or choose a method "
                f"whose update is {' or '.join(_used_by(idle[0]))}"
            )
        kept.append(Layer(layer.where, {k: v for k, v in layer.values.items() if k not in idle}))
    kept.insert(max(named, 0), Layer(f"method {method.name!r}", method.defaults))
    settings = _build(SearchSettings, kept)
    if settings.warmup_epochs >= settings.epochs and method.update != "none":
        raise SettingsError(
            f"warmup_epochs = {settings.warmup_epochs} leaves no epoch of {settings.epochs} in which alpha moves: "
            f"take --warmup-epochs below {settings.epochs}"
        )
    if settings.learning_rate_min > settings.learning_rate:
        raise SettingsError(
            f"learning_rate_min = {settings.learning_rate_min:g} is above learning_rate = {settings.learning_rate:g}"
        )
    if settings.table is not None and settings.space != "nasbench201":
        raise SettingsError(
            f"table = {settings.table}: holds cells of space 'nasbench201', this search is in {settings.space!r}: "
            "leave --table out, or take --space nasbench201"
        )
    if settings.compile and method.update == "unrolled" and settings.hessian == "exact":
        raise SettingsError(
            "compile = True: compiled networks have no second derivatives, which hessian = exact needs: "
            "take --hessian central, or leave --compile out"
        )
    for key in layers[-1].values if layers else ():
        if key in _CONDITIONS and not _CONDITIONS[key][1](settings):
            raise SettingsError(f"{key} ({layers[-1].where}) is used with {_CONDITIONS[key][0]} only: leave it out")
    return settings


_CONDITIONS: dict[str, tuple[str, Callable[[SearchSettings], bool]]] = {
    "esr_target": ("tau = auto", lambda settings: settings.tau == "auto"),
    "inner_learning_rate": ("inner_steps above 0", lambda settings: settings.inner_steps > 0),
    "inner_momentum": ("inner_steps above 0", lambda settings: settings.inner_steps > 0),
}
"""Settings that mean something only beside a certain value of another one."""


def dump(settings: CommonSettings) -> dict[str, Any]:
    """Plain data for YAML, without the settings that the method or the other settings leave unused."""
    data = settings.model_dump(mode="json")
    if isinstance(settings, SearchSettings):
        update = get_method(settings.method).update
        idle = {key for key, (_, holds) in _CONDITIONS.items() if not holds(settings)}
        data = {key: value for key, value in data.items() if _used(key, update) and key not in idle}
    return data


def _used_by(key: str) -> list[str]:
    extra = SearchSettings.model_fields[key].json_schema_extra
    assert isinstance(extra, dict)
    updates = extra["used_by"]
    assert isinstance(updates, list)
    return [str(update) for update in updates]


def _used(key: str, update: str) -> bool:
    return not _used_by(key) or update in _used_by(key)


def _build(kind: type[_S], layers: list[Layer]) -> _S:
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in layers:
        for key, value in layer.values.items():
            if key not in kind.model_fields:
                raise SettingsError(f"{layer.where}: {unknown('setting', key, kind.model_fields)}")
            values[key], origin[key] = value, layer.where
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        reason = " or ".join(
            dict.fromkeys(e["msg"].removeprefix("Input ") for e in error.errors() if e["loc"][0] == key)
        )
        raise SettingsError(f"{key} = {values.get(key)!r} ({origin.get(key, 'default')}): {reason}") from None
