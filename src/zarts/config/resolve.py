"""Settings built from layers and checked: defaults < preset < configuration file < options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from zarts.config.common import CommonSettings
from zarts.config.components import resolve_axes, used, used_by
from zarts.config.preset_files import Layer, config_layer, is_transfer, preset_layers
from zarts.config.renamed import unknown_setting
from zarts.config.retrain import RetrainSettings, check_recipe
from zarts.config.settings import SearchSettings
from zarts.config.validate import check_search, idle_because, takes_part
from zarts.errors import SettingsError

__all__ = ["dump", "resolve_search", "retrain_settings", "row_settings", "search_settings"]


_S = TypeVar("_S", bound=CommonSettings)


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

    A shared setting that the row does not use is left out.

    Args:
        row: the row's name, for messages.
        own: its settings, the method among them.
        shared: settings of all rows.
        preset: see `search_settings`.
        config: see `search_settings`.

    Raises:
        SettingsError: see `search_settings`.
    """
    method = Layer(f"row {row!r}", {"method": own["method"]})
    rest = Layer(method.where, {key: value for key, value in own.items() if key != "method"})
    axes = resolve_axes([method, Layer("options", shared), rest])
    common = {k: v for k, v in shared.items() if k not in SearchSettings.model_fields or used(k, axes.members)}
    return resolve_search(*_files("search", preset, config), method, Layer("options", common), rest)


def retrain_settings(
    options: Mapping[str, Any],
    *,
    preset: str | None = None,
    config: Path | None = None,
    inherited: Mapping[str, Any] = MappingProxyType({}),
    form: Mapping[str, Any] = MappingProxyType({}),
    where: str = "options",
) -> RetrainSettings:
    """The settings of a retraining: defaults < preset < inherited ones < form < file < options.

    A preset that is for retraining alone and names images transfers the cell to those: its settings are above
    the inherited ones.

    Args:
        options: settings by name.
        preset: name of a preset.
        config: a YAML file with settings.
        inherited: settings of the search whose cell is retrained.
        form: channels and cells of the network whose weights the retraining starts from.
        where: what messages call the options.

    Raises:
        SettingsError: unknown names or values out of range; or the preset or file cannot be read.
    """
    *below, file = _files("retrain", preset, config)
    layers = [*below, Layer("the search", inherited)]
    if preset is not None and is_transfer(preset):
        layers = layers[-1:] + below
    layers.append(Layer("the network of weights_from", form))
    settings = _build(RetrainSettings, [*layers, file, Layer(where, options)])
    check_recipe(settings, options if where == "options" else ())
    return settings


def _files(command: str, preset: str | None, config: Path | None) -> list[Layer]:
    """The layers of the preset and, above them, one of the configuration file, which may be empty."""
    below = [] if preset is None else preset_layers(preset, command)
    return [*below, Layer("no file", {}) if config is None else config_layer(config, command)]


def resolve_search(*layers: Layer) -> SearchSettings:
    """The settings of a search from layers; later layers win.

    Consider the last layer that names the method or sets one of its axes. The layers below it may be written for
    another combination (a preset for ZARTS, say): their settings that this combination does not use are dropped. In
    that layer and above it, a setting that is not used is refused. The defaults of the method and of its axes (see
    `zarts.methods`) go right below the layers that name them. A warm-up among the method's defaults is for the
    default number of epochs; another number of epochs has the same share of them.

    Raises:
        SettingsError: unknown names, values out of range, axes that do not go together, a setting that is not used.
    """
    axes = resolve_axes(layers)
    kept: list[Layer] = list(axes.defaults(-1))
    for i, layer in enumerate(layers):
        idle = [key for key in layer.values if key in SearchSettings.model_fields and not used(key, axes.members)]
        if idle and i >= axes.last:
            raise SettingsError(
                f"{idle[0]} ({layer.where}) is not used by method {axes.method.name!r}{axes.changes}: leave it out, or "
                f"choose a method with {' or '.join(used_by(idle[0]))} (see `zarts list methods`)"
            )
        kept += axes.defaults(i)
        kept.append(Layer(layer.where, {k: v for k, v in layer.values.items() if k not in idle}))
    kept.append(Layer("method", axes.values))
    settings = _build(SearchSettings, kept)
    if _last(kept, "warmup_epochs") == axes.own:
        paper = SearchSettings.model_fields["epochs"].default
        settings = settings.model_copy(update={"warmup_epochs": settings.warmup_epochs * settings.epochs // paper})
    check_search(settings)
    for key in layers[-1].values if layers else ():
        if reason := idle_because(key, settings):
            raise SettingsError(f"{key} ({layers[-1].where}) is used with {reason} only: leave it out")
    return settings


def _last(layers: list[Layer], key: str) -> str:
    """The origin of the last layer that has a setting; empty if none has."""
    return next((layer.where for layer in reversed(layers) if key in layer.values), "")


def dump(settings: CommonSettings) -> dict[str, Any]:
    """Plain data for YAML, without the settings that the method or the other settings leave unused."""
    data = settings.model_dump(mode="json")
    if isinstance(settings, SearchSettings):
        data = {key: value for key, value in data.items() if takes_part(key, settings)}
    return data


def _build(kind: type[_S], layers: list[Layer]) -> _S:
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in layers:
        for key, value in layer.values.items():
            if key not in kind.model_fields:
                raise SettingsError(f"{layer.where}: {unknown_setting(key, kind.model_fields)}")
            values[key], origin[key] = value, layer.where
    try:
        return _checked(kind(**values))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        reason = " or ".join(
            dict.fromkeys(e["msg"].removeprefix("Input ") for e in error.errors() if e["loc"][0] == key)
        )
        raise SettingsError(f"{key} = {values.get(key)!r} ({origin.get(key, 'default')}): {reason}") from None


def _checked(settings: _S) -> _S:
    """Refuse settings that neither searching nor retraining can combine."""
    if settings.compile and settings.checkpoint_activations:
        raise SettingsError(
            "compile = True with checkpoint_activations = True: a compiled graph itself decides what it keeps for the "
            "backward pass: leave one of them out"
        )
    return settings
