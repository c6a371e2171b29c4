"""Settings that scale with the number of epochs where they are not given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from zarts.config.common import CommonSettings
from zarts.config.phases import first_epochs
from zarts.config.preset_files import Layer
from zarts.config.retrain import TAIL, RetrainSettings
from zarts.config.settings import SearchSettings
from zarts.config.validate import takes_part

__all__ = ["scale_retraining", "scale_search"]

Note = Callable[[str], None]
_S = TypeVar("_S", bound=CommonSettings)


def scale_search(
    settings: SearchSettings, layers: Sequence[Layer], origin: Mapping[str, Layer], note: Note
) -> SearchSettings:
    """The settings with as many phases, warm-up epochs and epochs before early stopping as the search has room for.

    A default is for the default number of epochs, and a preset's value for the preset's: another number of epochs has
    the same share of them. What is given as an option or in a file stays. One epoch is always left to update alpha in.

    Args:
        settings: of all layers.
        layers: in order; later ones win.
        origin: the last layer that sets each setting.
        note: told of each setting that changes.
    """
    if settings.phases != "one":
        settings = _with(settings, _phases(settings, origin), note)
    if takes_part("warmup_epochs", settings) and not _given("warmup_epochs", origin):
        starts = first_epochs(settings)
        least = (starts[1] if len(starts) > 1 else settings.epochs) - 1
        share = _share(SearchSettings, settings.warmup_epochs, settings.epochs, "warmup_epochs", layers, origin)
        warmup = math.floor(share + 1e-9) if _kind("warmup_epochs", origin) == "method" else round(share)
        settings = _with(settings, {"warmup_epochs": max(0, min(warmup, least))}, _unless_preset(origin, note))
    if takes_part("eigenvalue_after", settings) and not _given("eigenvalue_after", origin):
        share = _share(SearchSettings, settings.eigenvalue_after, settings.epochs, "eigenvalue_after", layers, origin)
        settings = _with(settings, {"eigenvalue_after": max(1, round(share))}, _unless_preset(origin, note))
    return settings


def scale_retraining(
    settings: RetrainSettings, layers: Sequence[Layer], origin: Mapping[str, Layer], note: Note
) -> RetrainSettings:
    """The settings with a warm-up, and a schedule, for which the retraining has enough epochs; see `scale_search`."""
    if settings.warmup_epochs and not _given("warmup_epochs", origin):
        share = _share(RetrainSettings, settings.warmup_epochs, settings.epochs, "warmup_epochs", layers, origin)
        warmup = min(round(share), settings.epochs - 1)
        settings = _with(settings, {"warmup_epochs": warmup}, note)
    if settings.schedule == "linear-tail" and settings.epochs <= TAIL and not _given("schedule", origin):
        settings = _with(settings, {"schedule": "linear"}, note)
    return settings


def _kind(key: str, origin: Mapping[str, Layer]) -> str:
    """The kind of the layer that sets a setting; empty: it has its default."""
    return origin[key].kind if key in origin else ""


def _given(key: str, origin: Mapping[str, Layer]) -> bool:
    """Whether a setting is given as an option or in a file, and not by a preset or a method."""
    return _kind(key, origin) in ("options", "file", "shared")


def _share(
    kind: type[CommonSettings],
    value: int,
    epochs: int,
    key: str,
    layers: Sequence[Layer],
    origin: Mapping[str, Layer],
) -> float:
    """A number of epochs, scaled from the number of epochs that it was chosen for."""
    of = float(kind.model_fields["epochs"].default)
    if _kind(key, origin) == "preset":
        of = next((float(x.values["epochs"]) for x in layers[::-1] if x.kind == "preset" and "epochs" in x.values), of)
    return value * epochs / of


def _phases(settings: SearchSettings, origin: Mapping[str, Layer]) -> dict[str, Any]:
    """Phases of an epoch or more each: they start earlier, and with fewer epochs than phases some are left out."""
    count, epochs = 1 + len(settings.phase_operations), settings.epochs
    if _given("phase_starts", origin) or epochs == 1:
        return {}
    if epochs >= count:
        starts = first_epochs(settings)
        room = [min(start, epochs - count + number) for number, start in enumerate(starts)]
        return {} if room == starts else {"phase_starts": tuple(start / epochs for start in room[1:])}
    lists: dict[str, tuple[Any, ...]] = {
        "phase_operations": settings.phase_operations[count - epochs :],
        "phase_starts": tuple(number / epochs for number in range(1, epochs)),
    }
    if settings.phase_cells is not None:
        lists["phase_cells"] = _first_and_last(settings.phase_cells, epochs)
    if len(settings.skip_dropout) > 1:
        lists["skip_dropout"] = _first_and_last(settings.skip_dropout, epochs)
    if any(_given(key, origin) for key in lists):
        return {}
    return lists


def _first_and_last(values: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    return (values[0], *values[len(values) - count + 1 :])


def _unless_preset(origin: Mapping[str, Layer], note: Note) -> Note:
    """No note where a preset alone decides: nobody has asked for anything else."""
    alone = _kind("epochs", origin) == _kind("method", origin) == "preset"
    return (lambda text: None) if alone else note


def _with(settings: _S, values: Mapping[str, Any], note: Note) -> _S:
    """The settings with other values, and a note for each that changes."""
    before = settings.model_dump(include=set(values))
    changed = {key: value for key, value in values.items() if value != before[key]}
    for key, value in changed.items():
        option = "--" + key.replace("_", "-")
        note(f"{key} = {value} instead of {before[key]}, for epochs = {settings.epochs}: give {option} to set another")
    return settings.model_copy(update=changed)
