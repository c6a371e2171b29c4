"""Settings from layers, checked: defaults < preset < configuration file < options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from zarts.config.base import Settings
from zarts.config.build import build, refuse
from zarts.config.common import CommonSettings
from zarts.config.components import resolve_axes, used
from zarts.config.preset_files import Layer, config_layer, is_transfer, preset_layers
from zarts.config.retrain import (
    FAST,
    FAST_CELLS,
    OF_CELLS,
    OF_CHAINS,
    RetrainSettings,
    conflicts_of_recipe,
    idle_in_retraining,
)
from zarts.config.scaling import scale_retraining, scale_search
from zarts.config.settings import SearchSettings
from zarts.config.unused import Unused, add_idle, unused_by_method
from zarts.config.validate import conflicts, idle_because, takes_part

__all__ = ["dump", "resolve_search", "retrain_settings", "row_settings", "search_settings"]

Note = Callable[[str], None]


def _silent(text: str) -> None:
    """Pass no note on."""


def search_settings(
    options: Mapping[str, Any],
    *,
    preset: str | None = None,
    config: Path | None = None,
    where: str = "options",
    note: Note = _silent,
) -> SearchSettings:
    """The settings of a search: defaults < preset < configuration file < options.

    Args:
        options: settings by name; each must have an effect, or say what happens anyway.
        preset: name of a preset.
        config: a YAML file with settings.
        where: what messages call the options.
        note: called with a line of text about settings that are ignored, and about those that scale with others.

    Raises:
        SettingsError: see `resolve_search`; or the preset or file cannot be read.
    """
    return resolve_search(*_files("search", preset, config), Layer(where, options), note=note)


def row_settings(
    row: str,
    own: Mapping[str, Any],
    shared: Mapping[str, Any],
    *,
    preset: str | None = None,
    config: Path | None = None,
    note: Note = _silent,
) -> SearchSettings:
    """The settings of a row of a comparison: defaults < preset < file < the method's defaults < shared ones < its own.

    A shared setting that the row does not use is left out.

    Args:
        row: the row's name, for messages.
        own: its settings, the method among them.
        shared: settings of all rows.
        preset: see `search_settings`.
        config: see `search_settings`.
        note: see `search_settings`.

    Raises:
        SettingsError: see `search_settings`.
    """
    method = Layer(f"row {row!r}", {"method": own["method"]})
    rest = Layer(method.where, {key: value for key, value in own.items() if key != "method"})
    common = Layer("options", shared, "shared")
    return resolve_search(*_files("search", preset, config), method, common, rest, note=note)


def retrain_settings(
    options: Mapping[str, Any],
    *,
    preset: str | None = None,
    config: Path | None = None,
    inherited: Mapping[str, Any] = MappingProxyType({}),
    form: Mapping[str, Any] = MappingProxyType({}),
    handmade: bool | None = False,
    where: str = "options",
    kind: Literal["options", "file"] = "options",
    note: Note = _silent,
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
        handmade: whether the network is a chain, which has a width (1 if none is given), and none of `OF_CELLS`;
            None: it is not known yet, and settings of both are taken.
        where: what messages call the options.
        kind: `file`: the options are of a run's own file, in which some may have no effect.
        note: see `search_settings`.

    Raises:
        SettingsError: all unknown names, values out of range, settings without an effect, and settings that do not go
            together; or the preset or file cannot be read.
    """
    *below, file = _files("retrain", preset, config)
    layers = [*below, Layer("the search", inherited, "method")]
    if preset is not None and is_transfer(preset):
        layers = layers[-1:] + below
    layers += [Layer("the network of weights_from", form, "method"), file, Layer(where, options, kind)]
    layers[-2:-2] = _recipe(layers, note, handmade)
    built = build(RetrainSettings, layers)
    if built.settings is None:
        refuse(built.problems)
    assert built.settings is not None
    settings, unused = scale_retraining(built.settings, layers, built.origin, note), Unused()
    add_idle(unused, settings, built.origin, partial(idle_in_retraining, handmade=handmade), _NONE if handmade else {})
    if handmade:
        settings = settings.model_copy(update={**_NONE, "width": 1.0 if settings.width is None else settings.width})
    refuse([*built.problems, *unused.problems, *_conflicts_of_any(settings), *conflicts_of_recipe(settings)])
    unused.tell(note)
    of_sgd = [key for key in ("learning_rate", "momentum", "nesterov", "weight_decay") if _is_given(key, built.origin)]
    if of_sgd and settings.muon_rate > 0 and not _is_given("muon_rate", built.origin):
        rate = f"--muon-rate {settings.muon_rate:g} is theirs, --muon-rate 0 trains them by SGD"
        note(f"{', '.join(of_sgd)}: not of convolutions, which Muon trains by recipe = fast: {rate}")
    late = [key for key in ("crop_padding", "cutout", "alternating_flip") if _is_given(key, built.origin)]
    if late and settings.augment_after and not _is_given("augment_after", built.origin):
        first = settings.augment_after + 1
        note(f"{', '.join(late)}: from epoch {first} on, by recipe = fast: --augment-after 0 changes all epochs")
    return settings


def _is_given(key: str, origin: Mapping[str, Layer]) -> bool:
    return key in origin and origin[key].kind in ("options", "file")


def _recipe(layers: Sequence[Layer], note: Note, handmade: bool | None) -> list[Layer]:
    """The defaults of the recipe that the layers name; a time without a recipe or a schedule takes the fast one."""
    named = [layer.values["recipe"] for layer in layers if "recipe" in layer.values]
    if not named and any(layer.values.get("time") is not None for layer in layers):
        if any("schedule" in layer.values for layer in layers if layer.kind in ("options", "file")):
            return []
        note("recipe = fast, because of time: give --schedule trapezoid to train by the paper's recipe in that time")
        named = ["fast"]
    if named[-1:] != ["fast"]:
        return []
    of_cells = FAST_CELLS if handmade is False else {}
    return [Layer("recipe 'fast'", {"recipe": "fast", **FAST, **of_cells}, "method")]


_NONE = {"auxiliary_weight": 0.0, "drop_path": 0.0}
"""Regularization that chains have not."""


def _files(command: str, preset: str | None, config: Path | None) -> list[Layer]:
    """The layers of the preset and, above them, one of the configuration file, which may be empty."""
    below = [] if preset is None else preset_layers(preset, command)
    return [*below, Layer("no file", {}, "file") if config is None else config_layer(config, command)]


def resolve_search(*layers: Layer, note: Note = _silent) -> SearchSettings:
    """The settings of a search from layers; later layers win.

    The defaults of the method and of its axes (see `zarts.methods`) go right below the layers that name them. A setting
    that the combination does not use is refused if it is given as an option, unless it says what happens anyway. Those
    of files and presets, which may be written for another combination, are dropped with a note. What is not given
    scales with the number of epochs, see `scale_search`.

    Args:
        layers: in order.
        note: see `search_settings`.

    Raises:
        SettingsError: axes that do not go together; else all unknown names, values out of range, settings without an
            effect, and settings that do not go together.
    """
    axes = resolve_axes(layers)
    kept: list[Layer] = list(axes.defaults(-1))
    for i, layer in enumerate(layers):
        kept += axes.defaults(i)
        known = {k: v for k, v in layer.values.items() if k not in SearchSettings.model_fields or used(k, axes.members)}
        kept.append(Layer(layer.where, known, layer.kind))
    built = build(SearchSettings, [*kept, Layer("method", axes.values, "method")])
    unused = unused_by_method(layers, axes)
    if built.settings is None:
        refuse([*built.problems, *unused.problems])
    assert built.settings is not None
    settings = scale_search(built.settings, kept, built.origin, note)
    if (
        settings.objective != "loss"
        and "select_metric" in built.origin
        and built.origin["select_metric"].kind == "method"
    ):
        settings = settings.model_copy(update={"select_metric": "objective"})  # above the default of a selection
    add_idle(unused, settings, built.origin, idle_because)
    refuse([*built.problems, *unused.problems, *_conflicts_of_any(settings), *conflicts(settings)])
    unused.tell(note)
    return settings


def dump(settings: Settings) -> dict[str, Any]:
    """Plain data for YAML, without the settings that the method or the other settings leave unused."""
    data = settings.model_dump(mode="json")
    if isinstance(settings, SearchSettings):
        data = {key: value for key, value in data.items() if takes_part(key, settings)}
    elif isinstance(settings, RetrainSettings):
        others = OF_CHAINS if settings.width is None else OF_CELLS
        data = {key: value for key, value in data.items() if key not in others}
    return data


def _conflicts_of_any(settings: CommonSettings) -> Iterator[str]:
    """What neither searching nor retraining can combine, a message each."""
    if settings.compile and settings.checkpoint_activations:
        yield (
            "compile = True with checkpoint_activations = True: a compiled graph itself decides what it keeps for the "
            "backward pass: leave one of them out"
        )
