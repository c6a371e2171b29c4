"""Live curves: the numbers of a run's events as scalars, in TensorBoard or in a logger of wandb's shape."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import fmean
from typing import Any, Protocol, runtime_checkable

from zarts.config import CommonSettings
from zarts.errors import SettingsError
from zarts.runs import Run
from zarts.training.trainer import Callback

__all__ = ["MetricsLogger", "logged", "scalars", "to_logger"]

_GROUPS = {
    "alpha_step": "alpha",
    "weight_epoch": "weights",
    "train_epoch": "train",
    "genotype": "cell",
    "selection": "selected",
    "cost": "cost",
    "eigenvalue": "sharpness",
    "truth": "truth",
}
"""Events whose numbers are shown, and the first word of their names."""

_PLACES = ("epoch", "update", "step")


def scalars(event: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of an event, by names like `cell/parameterless/normal`; of candidates' losses the mean."""
    group = _GROUPS.get(event["event"])
    if group is None:
        return {}
    found = dict(_numbers(group, {k: v for k, v in event.items() if k not in _PLACES}))
    losses = [loss for loss in event.get("losses") or () if loss is not None and math.isfinite(loss)]
    return {**found, f"{group}/loss": fmean(losses)} if losses else found


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{name}/{key}", inner)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield name, float(value)


@runtime_checkable
class MetricsLogger(Protocol):
    """Whatever takes numbers by name as `wandb.init()` does; MLflow's and Comet's clients need a line around them."""

    def log(self, data: dict[str, Any], /) -> Any:
        """Take a row of numbers."""


def to_logger(logger: MetricsLogger) -> Callback:
    """A callback that hands numbers on: `zarts.search(..., callback=zarts.to_logger(wandb.init(project="mine")))`.

    Each row has `epoch` beside its numbers, and `update` where it is of a move of alpha, to be drawn against: no step
    is named, for updates and epochs count apart. Closing the logger is left to its owner.
    """

    def listen(event: Mapping[str, Any]) -> None:
        if numbers := scalars(event):
            logger.log({key: event[key] for key in ("epoch", "update") if key in event} | numbers)

    return listen


@contextmanager
def logged(settings: CommonSettings, run: Run, callback: Callback | None) -> Iterator[Callback]:
    """The callback, and with `logger: tensorboard` the run's folder `tensorboard` as well.

    That folder is written anew from the run's events when a run goes on, which may have lost some that it had shown.

    Raises:
        SettingsError: TensorBoard is not installed.
    """
    callback = callback or (lambda event: None)
    if settings.logger == "none":
        yield callback
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SettingsError(
            f"logger = {settings.logger}: the package is not installed; pip install 'zarts[tensorboard]' ({error})"
        ) from None
    folder = run.path / "tensorboard"
    shutil.rmtree(folder, ignore_errors=True)
    writer = SummaryWriter(str(folder))

    def show(event: Mapping[str, Any]) -> None:
        for name, value in scalars(event).items():
            writer.add_scalar(name, value, event.get("update", event.get("epoch")))

    def listen(event: Mapping[str, Any]) -> None:
        show(event)
        if event["event"] in ("weight_epoch", "train_epoch"):
            writer.flush()
        callback(event)

    try:
        for event in run.events():
            show(event)
        yield listen
    finally:
        writer.close()
