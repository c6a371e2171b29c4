"""Defaults < preset < configuration file < options: how settings are put together and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from zarts.config.axes import members, resolve_axes, used, used_by
from zarts.config.common import CommonSettings
from zarts.config.files import Layer, config_layer, preset_layers
from zarts.config.retraining import RetrainSettings, check_recipe
from zarts.config.schedule import check_schedule
from zarts.config.settings import SearchSettings
from zarts.errors import SettingsError, unknown
from zarts.methods import LIBRARIES, ZERO_ORDER, member

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

    Shared settings that the row does not use are left out.

    Args:
        row: the row's name, for messages.
        own: its settings, the method among them.
        shared: what all rows are given.
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
    where: str = "options",
) -> RetrainSettings:
    """The settings of a retraining: defaults < preset < what a search hands down < configuration file < options.

    Raises:
        SettingsError: unknown names or values out of range; or the preset or file cannot be read.
    """
    *below, file = _files("retrain", preset, config)
    settings = _build(RetrainSettings, [*below, Layer("the search", inherited), file, Layer(where, options)])
    check_recipe(settings, options if where == "options" else ())
    return settings


def _files(command: str, preset: str | None, config: Path | None) -> list[Layer]:
    """Those of the preset, and one of the configuration file above them, which may be empty."""
    below = [] if preset is None else preset_layers(preset, command)
    return [*below, Layer("no file", {}) if config is None else config_layer(config, command)]


def resolve_search(*layers: Layer) -> SearchSettings:
    """The settings of a search from layers, later ones first.

    The layers that name the method or one of its axes divide them: what lies below the last of these was written for
    another combination (a preset for ZARTS, say), so that what this one does not use is dropped from there; in that
    layer and above, a setting that is not used is refused. The defaults of the method and of its axes (see
    `zarts.methods`) go right below the layers that name them. A warm-up among the method's is of the default number
    of epochs, and the same share of another number.

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
    if settings.warmup_epochs >= settings.epochs and settings.stages == "one" and settings.update != "none":
        raise SettingsError(
            f"warmup_epochs = {settings.warmup_epochs} leaves no epoch of {settings.epochs} in which alpha moves: "
            f"take --warmup-epochs below {settings.epochs}"
        )
    if settings.control != "none" and not _tries(settings):
        raise SettingsError(
            f"control = {settings.control}: update = {settings.update} judges no candidates whose losses could be left "
            f"out: choose one of {', '.join(ZERO_ORDER)}, or --select local-search"
        )
    if settings.control != "none" and member(settings.update) in LIBRARIES:
        raise SettingsError(
            f"control = {settings.control}: update = {settings.update} goes by the order of the losses, and without "
            "them by the order of its points: choose mgs, rs or gld"
        )
    if settings.control != "none" and settings.update == "mgs" and settings.weights != "softmax":
        raise SettingsError(
            f"control = {settings.control}: weights = {settings.weights} weighs by more than the losses: take softmax"
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
    if settings.space == "nasbench201" and settings.supernet not in ("mixed", "none"):
        raise SettingsError(
            f"supernet = {settings.supernet}: is made of cells of DARTS' kind, not of those of space 'nasbench201': "
            "take another space, or --supernet mixed --edges plain"
        )
    if settings.compile and settings.update == "unrolled" and settings.hessian == "exact":
        raise SettingsError(
            "compile = True: compiled networks have no second derivatives, which hessian = exact needs: "
            "take --hessian central, or leave --compile out"
        )
    if settings.select_recalibration and settings.select_batch_norm == "train":
        raise SettingsError(
            f"select_recalibration = {settings.select_recalibration} is of running statistics, which "
            "select_batch_norm = train does not look at: take --select-batch-norm eval, or leave it out"
        )
    check_schedule(settings)
    for key in layers[-1].values if layers else ():
        if key in _CONDITIONS and not _CONDITIONS[key][1](settings):
            raise SettingsError(f"{key} ({layers[-1].where}) is used with {_CONDITIONS[key][0]} only: leave it out")
    return settings


def _last(layers: list[Layer], key: str) -> str:
    """Where the last layer with a setting is."""
    return next((layer.where for layer in reversed(layers) if key in layer.values), "")


def _fine_tunes(settings: SearchSettings) -> bool:
    return settings.inner_steps > 0 and settings.control == "none"


def _tries(settings: SearchSettings) -> bool:
    return member(settings.update) in ZERO_ORDER or settings.select == "local-search"


def _judged(settings: SearchSettings) -> bool:
    return settings.control == "none"


def _limited(settings: SearchSettings) -> bool:
    return settings.max_params is not None or settings.max_macs is not None


def _counted(settings: SearchSettings) -> bool:
    return _limited(settings) or settings.cost_weight > 0


_CONDITIONS: dict[str, tuple[str, Callable[[SearchSettings], bool]]] = {
    "crop_padding": ("crop = pad", lambda settings: settings.crop == "pad"),
    "control": ("a zero-order update or select = local-search", _tries),
    "tau": ("control = none", _judged),
    "esr_target": ("tau = auto", lambda settings: settings.tau == "auto" and settings.control == "none"),
    "inner_steps": ("control = none", _judged),
    "inner_learning_rate": ("inner_steps above 0", _fine_tunes),
    "inner_momentum": ("inner_steps above 0", _fine_tunes),
    "warmup_epochs": ("stages = one or prune", lambda settings: settings.stages != "renew"),
    "reduction": ("space = nasbench201", lambda settings: settings.space == "nasbench201"),
    "limit_penalty": ("max_params or max_macs", _limited),
    "cost": ("cost_weight above 0", lambda settings: settings.cost_weight > 0),
    "final_cells": ("a limit or a cost_weight", _counted),
    "final_channels": ("a limit or a cost_weight", _counted),
    "eigenvalue_growth": ("eigenvalue_every above 0", lambda settings: settings.eigenvalue_every > 0),
    "eigenvalue_after": ("eigenvalue_growth", lambda settings: settings.eigenvalue_growth is not None),
    "select_tune_steps": ("select_order = progressive", lambda settings: settings.select_order == "progressive"),
    **dict.fromkeys(
        ("select_rounds", "select_cells", "select_screen_steps", "select_finalists", "select_early_steps"),
        ("control = none", _judged),
    ),
}
"""Settings that mean something only beside a certain value of another one."""


def dump(settings: CommonSettings) -> dict[str, Any]:
    """Plain data for YAML, without the settings that the method or the other settings leave unused."""
    data = settings.model_dump(mode="json")
    if isinstance(settings, SearchSettings):
        idle = {key for key, (_, holds) in _CONDITIONS.items() if not holds(settings)}
        data = {key: value for key, value in data.items() if used(key, members(settings)) and key not in idle}
    return data


def _build(kind: type[_S], layers: list[Layer]) -> _S:
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in layers:
        for key, value in layer.values.items():
            if key not in kind.model_fields:
                raise SettingsError(f"{layer.where}: {unknown('setting', key, kind.model_fields)}")
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
    """Refuse what no command can do."""
    if settings.compile and settings.checkpoint_activations:
        raise SettingsError(
            "compile = True: a compiled graph decides for itself what it keeps for the backward pass: leave "
            "--checkpoint-activations out, or --compile"
        )
    return settings
