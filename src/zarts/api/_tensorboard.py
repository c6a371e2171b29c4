"""The setting `logger`: a callback that also logs to TensorBoard, into the run folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from zarts.callbacks.metrics import scalars
from zarts.config import CommonSettings
from zarts.errors import SettingsError
from zarts.runs import Run
from zarts.training.trainer import Callback

__all__ = ["logged"]


@contextmanager
def logged(settings: CommonSettings, run: Run, callback: Callback | None) -> Iterator[Callback]:
    """The callback; with `logger: tensorboard` one that also logs into the folder `tensorboard` of the run.

    A resumed run writes this folder anew from its events: it may have lost some that the folder shows.

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

    def write(event: Mapping[str, Any]) -> None:
        for name, value in scalars(event).items():
            writer.add_scalar(name, value, event.get("update", event.get("epoch")))

    def write_and_pass_on(event: Mapping[str, Any]) -> None:
        write(event)
        if event["event"] in ("weight_epoch", "train_epoch"):
            writer.flush()
        callback(event)

    try:
        for event in run.events():
            write(event)
        yield write_and_pass_on
    finally:
        writer.close()
