"""A run on several ranks from Python: the command in a process of its own, whose events this process follows."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

import yaml

from zarts.callbacks import Callbacks, StopEarly
from zarts.config import CommonSettings, dump, renamed_event
from zarts.errors import DataError, Interrupted, RunError, SettingsError
from zarts.runtime.distributed import started
from zarts.runtime.signals import stop_request

__all__ = ["check_launchable", "free_path", "launch_new", "launch_resumed"]

_POLL_SECONDS = 0.1
_ERRORS = {2: SettingsError, 3: DataError}
"""By the exit code of a command."""


def check_launchable(settings: CommonSettings) -> None:
    """Refuse to start processes below those that torchrun has started.

    Raises:
        SettingsError: torchrun has started another number of ranks.
    """
    if started() > 1:
        raise SettingsError(f"devices: torchrun has started {started()} ranks: leave it out")


def free_path(path: Path) -> Path:
    """The path, or path-2, path-3 …: the first that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def launch_new(
    command: str, settings: CommonSettings, path: Path, callbacks: Callbacks, words: Sequence[str] = ()
) -> None:
    """Run `zarts COMMAND` with these settings into a new run folder; see `_follow`.

    Args:
        command: `search` or `retrain`.
        settings: resolved settings.
        path: the run folder.
        callbacks: called with every logged event.
        words: more arguments of the command.
    """
    with TemporaryDirectory(prefix="zarts-") as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(yaml.safe_dump({command: dump(settings)}), encoding="utf-8")
        _follow([command, *words, "--config", str(config), "--out", str(path)], path, callbacks)


def launch_resumed(
    command: str, path: Path, changed: Mapping[str, Any], callbacks: Callbacks, words: Sequence[str] = ()
) -> None:
    """Run `zarts COMMAND --resume PATH`; see `_follow`.

    Args:
        command: `search` or `retrain`.
        path: the run folder.
        changed: new values of resumable settings.
        callbacks: called with every logged event from now on.
        words: more arguments of the command.
    """
    values = [f"--set={key}={json.dumps(value, default=str)}" for key, value in changed.items()]
    _follow([command, *words, "--resume", str(path), *values], path, callbacks)


def _follow(argv: Sequence[str], path: Path, callbacks: Callbacks) -> None:
    """Run `zarts ARGV` to its end, and call the callbacks with the events that it logs.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; all ranks have stopped after saving.
        SettingsError: a callback follows weight steps or asks to stop, which it cannot on several ranks.
        DataError, RunError: the command has failed; the message is its own.
    """
    if callbacks.of_steps:
        raise SettingsError("callbacks: on_step is not called from other processes: take --devices 1, or use on_epoch")
    file = path / "metrics.jsonl"
    with ExitStack() as stack:
        output, errors = (stack.enter_context(TemporaryFile("w+", encoding="utf-8")) for _ in range(2))
        request = stack.enter_context(stop_request())
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zarts", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,  # Ctrl-C of a terminal reaches this process alone, which passes it on
        )
        stack.callback(_end, process)
        tail = _Tail(file, callbacks)
        while process.poll() is None:
            if request.asked:
                _end(process)
            tail.read()
            time.sleep(_POLL_SECONDS)
        tail.read()
        _raise_for(process.returncode, errors, asked=request.asked)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the ranks to save and stop, and wait for their end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait()


class _Tail:
    """Calls the callbacks with the events that are appended to a run's log."""

    def __init__(self, file: Path, callbacks: Callable[[Mapping[str, Any]], None]) -> None:
        self._file, self._callbacks = file, callbacks
        self._read = file.stat().st_size if file.exists() else 0

    def read(self) -> None:
        """Call the callbacks with all whole lines that have come.

        Raises:
            SettingsError: a callback asks to stop.
        """
        if not self._file.exists():
            return
        size = self._file.stat().st_size
        self._read = min(self._read, size)  # a resumed run cuts off what came after its checkpoint
        with self._file.open("rb") as file:
            file.seek(self._read)
            whole = file.read().rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            try:
                self._callbacks(renamed_event(json.loads(line)))
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
    if code == Interrupted.exit_code or asked:
        raise Interrupted(message)
    raise _ERRORS.get(code, RunError)(message)
