"""A run on several ranks from Python: the command in a process of its own, whose events this process follows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import yaml

from zarts.api._ranks import ranks_here
from zarts.callbacks.base import OF_EPOCH, Callbacks, StopEarly
from zarts.config import CommonSettings, RetrainSettings, SearchSettings, dump, renamed_event
from zarts.data import PYTHON
from zarts.errors import DataError, Interrupted, RunError, SettingsError
from zarts.runs.claim import is_free
from zarts.runs.user_functions import user_functions
from zarts.runtime.distributed import started
from zarts.runtime.leftovers import temporary_folder
from zarts.runtime.processes import PARENT
from zarts.runtime.signals import stop_request

__all__ = ["check_launchable", "free_path", "launch_new", "launch_resumed"]

_POLL_SECONDS = 0.1
_PAUSES = 5
"""Looks at the log without a new event after which an epoch is taken to be complete."""
_ERRORS = {2: SettingsError, 3: DataError}
"""By the exit code of a command."""


def check_launchable(settings: SearchSettings | RetrainSettings) -> None:
    """Refuse ranks that would have nothing to do, that cannot be sent the images, or below those of torchrun.

    Raises:
        SettingsError: images or a function are Python objects, torchrun has started another number of ranks, or there
            are more than pieces of work.
    """
    if settings.data == PYTHON:
        raise SettingsError(
            f"devices = {settings.devices}: images that are Python objects are not sent to other processes: run "
            f"`torchrun --standalone --nproc-per-node={settings.devices} SCRIPT`, where each process makes its own, or "
            "name a folder or a CSV file"
        )
    for key, function in user_functions(settings).items():
        if function.is_object:
            raise SettingsError(
                f"devices = {settings.devices}: other processes do not have the object {key} = {function.attribute}: "
                f'put it into a file and pass {key}="FILE.py:{function.attribute}", or leave devices out'
            )
    if started() > 1:
        raise SettingsError(f"devices: torchrun has started {started()} ranks: leave it out")
    ranks_here(settings)


def free_path(path: Path) -> Path:
    """The path, or path-2, path-3 …: the first in which no run has begun."""
    number, free = 1, path
    while not is_free(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def launch_new(settings: CommonSettings, path: Path, callbacks: Callbacks, words: Sequence[str] = ()) -> None:
    """Run `zarts COMMAND` with these settings into a new run folder; see `_follow`.

    Args:
        settings: resolved settings, of a search or of a retraining.
        path: the run folder.
        callbacks: called with every logged event.
        words: more arguments of the command.
    """
    with temporary_folder() as folder:
        config = folder / "config.yaml"
        command = _command(settings)
        config.write_text(yaml.safe_dump({command: dump(settings)}), encoding="utf-8")
        _follow([command, *words, "--config", str(config), "--out", str(path)], path, settings.epochs, callbacks)


def launch_resumed(
    settings: CommonSettings, path: Path, changed: Mapping[str, Any], callbacks: Callbacks, words: Sequence[str] = ()
) -> None:
    """Run `zarts COMMAND --resume PATH`; see `_follow`.

    Args:
        settings: its settings, with the changed ones.
        path: the run folder.
        changed: new values of resumable settings.
        callbacks: called with every logged event from now on.
        words: more arguments of the command.
    """
    values = [f"--set={key}={json.dumps(value, default=str)}" for key, value in changed.items()]
    _follow([_command(settings), *words, "--resume", str(path), *values], path, settings.epochs, callbacks)


def _command(settings: CommonSettings) -> str:
    return "retrain" if isinstance(settings, RetrainSettings) else "search"


def _follow(argv: Sequence[str], path: Path, epochs: int, callbacks: Callbacks) -> None:
    """Run `zarts ARGV` to its end, and call the callbacks with the events that it logs.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; all ranks have stopped after saving.
        SettingsError: a callback follows weight steps or asks to stop, which it cannot on several ranks.
        DataError, RunError: the command has failed; the message is its own.
    """
    if callbacks.of_steps:
        raise SettingsError("callbacks: on_step is not called from other processes: take --devices 1, or use on_epoch")
    with ExitStack() as stack:
        output, errors = (stack.enter_context(TemporaryFile("w+", encoding="utf-8")) for _ in range(2))
        request = stack.enter_context(stop_request())
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zarts", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, PARENT: str(os.getpid())},
            start_new_session=True,  # Ctrl-C of a terminal reaches this process alone, which passes it on
        )
        stack.callback(_end, process)
        tail = _Tail(path / "metrics.jsonl", epochs, callbacks)
        while process.poll() is None:
            if request.asked:
                _end(process)
            tail.read()
            time.sleep(_POLL_SECONDS)
        tail.read()
        tail.end_epoch()
        _raise_for(process.returncode, errors, asked=request.asked)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the ranks to save and stop, and wait for their end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait()


class _Tail:
    """Calls the callbacks with the events that are appended to a run's log, and at the end of each epoch.

    The log has no event `epoch`. An epoch's last event is followed by one of the next epoch, or by a pause.

    Args:
        file: the log.
        epochs: number of epochs of the run.
        callbacks: called with every event.
    """

    def __init__(self, file: Path, epochs: int, callbacks: Callbacks) -> None:
        self._file, self._epochs, self._callbacks = file, epochs, callbacks
        self._read = file.stat().st_size if file.exists() else 0
        self._open: int | None = None
        self._pauses = 0

    def read(self) -> None:
        """Call the callbacks with all whole lines that have come.

        Raises:
            SettingsError: a callback asks to stop.
        """
        whole = self._new_lines()
        self._pauses = 0 if whole else self._pauses + 1
        if self._pauses == _PAUSES:
            self.end_epoch()
        for line in whole:
            event = renamed_event(json.loads(line))
            if event["event"] not in OF_EPOCH or event["epoch"] != self._open:
                self.end_epoch()
            if event["event"] in ("weight_epoch", "train_epoch"):
                self._open = event["epoch"]
            self._call(event)

    def _new_lines(self) -> list[bytes]:
        if not self._file.exists():
            return []
        self._read = min(self._read, self._file.stat().st_size)  # a resumed run cuts off what no checkpoint knows
        with self._file.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        return whole.splitlines()

    def end_epoch(self) -> None:
        """Tell the end of the present epoch, if that has not been done."""
        epoch, self._open = self._open, None
        if epoch is not None:
            self._call({"event": "epoch", "epoch": epoch, "epochs": self._epochs})

    def _call(self, event: Mapping[str, Any]) -> None:
        try:
            self._callbacks(event)
        except StopEarly as stop:
            raise SettingsError(
                f"callbacks: one asked to stop ({stop}), which it cannot on several ranks: take --devices 1"
            ) from None


def _raise_for(code: int, errors: IO[str], *, asked: bool) -> None:
    """Raise the error of a command that has failed."""
    if code == 0:
        return
    errors.seek(0)
    lines = errors.read().strip().splitlines() or [f"the ranks ended with exit code {code}"]
    message = lines[-1].removeprefix("zarts: ")
    if code in (128 + signal.SIGINT, 128 + signal.SIGTERM) or asked:
        raise Interrupted(message)
    raise _ERRORS.get(code, RunError)(message)
