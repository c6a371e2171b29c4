"""The folder of a run: its settings, events, results and checkpoint."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml

from zarts.config import renamed_mapping, renamed_settings
from zarts.data import PythonData
from zarts.errors import RunError, SettingsError
from zarts.readers import read_json, read_yaml
from zarts.runs.checkpoint import load_checkpoint, save_checkpoint
from zarts.runtime.environment import environment
from zarts.runtime.io import locked, read_events, remove_parts, write_atomically
from zarts.runtime.paths import existing

__all__ = ["Run", "genotype_file"]

_FORMAT = 2

_BEFORE_START = (
    *("chain.json", "config.yaml", "criterion.py", "env.json", "genotype.json", "left_out.csv", "objective.py"),
    *("operations.py", "path.json", "plan.yaml", "searched.yaml", "space.yaml", "split.json", "start.json"),
)
"""Files that a run writes before its first step."""


def _created(path: Path) -> bool:
    """Create the folder; False if a folder or a file of that name exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be created ({error.strerror}): choose another --out") from error
    try:
        path.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise RunError(f"{path}: cannot be created ({error.strerror}): choose another --out") from error
    return True


def _taken(path: Path, command: str) -> str:
    """The message for a path that exists; only a run of the same command is offered to be resumed."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if (path / "config.yaml").read_text(encoding="utf-8").startswith(f"{command}:"):
            return (
                f"{path} exists and is not overwritten: choose another --out, "
                f"or resume it with `zarts {command} --resume {shlex.quote(str(path))}`"
            )
    return f"{path} exists, is no {command} of zarts, and is not overwritten: choose another --out"


def _json(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _json(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_json(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def genotype_file(epoch: int) -> str:
    """The file of a search's folder with the genotype that it derives after an epoch, counted from 1."""
    return f"genotypes/epoch_{epoch:03d}.json"


class Run:
    """A run folder: `create` makes a new one, `open` opens an existing one.

    Args:
        path: the folder.
        writes: whether this process writes; of several ranks only the first one does.
        images: the images, if they are Python objects, of which the folder keeps the fingerprint alone.
    """

    def __init__(self, path: Path, *, writes: bool = True, images: PythonData | None = None) -> None:
        self.path, self._writes, self.images = path, writes, images

    @staticmethod
    def create(path: Path, settings: Mapping[str, Any], command: str, *, numbered: bool = False) -> Run:
        """Create a new folder with `config.yaml`.

        Args:
            path: the folder.
            settings: content of `config.yaml`.
            command: the section of `config.yaml` for these settings.
            numbered: if `path` exists, take `path-2`, `path-3` … instead: the first that no run has, not
                even one that starts at the same time.

        Raises:
            SettingsError: the folder exists, and is not to be numbered.
            RunError: the folder cannot be written.
        """
        wanted, number = path, 1
        while not _created(path):
            if not numbered:
                raise SettingsError(_taken(path, command))
            number += 1
            path = wanted.with_name(f"{wanted.name}-{number}")
        run = Run(path)
        run.write("config.yaml", yaml.safe_dump({command: dict(settings)}, sort_keys=False))
        return run

    @staticmethod
    def open(path: Path, command: str) -> Run:
        """Open an existing folder of a `command` run.

        Raises:
            NotFoundError: there is no such folder.
            RunError: it is of another command.
        """
        run = Run(existing(path, "run folder"))
        run.settings(command)
        return run

    def settings(self, command: str) -> dict[str, Any]:
        """The settings of the run, which must be one of `command`, under today's names.

        Raises:
            RunError: the run has no settings, or they are of another command.
        """
        try:
            data = read_yaml(self.path / "config.yaml")
        except RunError as error:
            raise RunError(f"{self.path}: not a run folder (config.yaml cannot be read)") from error
        if not isinstance(data, dict) or not isinstance(data.get(command), dict):
            raise RunError(f"{self.path}: not the folder of a {command} run")
        return renamed_settings({str(key): value for key, value in data[command].items()})

    def moved(self, key: str, path: str) -> None:
        """Keep the path where something is now, in place of the one in the settings of the run.

        Raises:
            RunError: see `write`.
        """
        if not self._writes:
            return
        data = read_yaml(self.path / "config.yaml")
        for settings in data.values():
            if key in settings and settings[key] != path:
                settings[key] = path
                self.write("config.yaml", yaml.safe_dump(data, sort_keys=False))

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file of the folder, whole or not at all.

        Raises:
            RunError: the file cannot be written (a full disk, say); the old file is unchanged.
        """
        if self._writes:
            write_atomically(self.path / name, content)

    def write_json(self, name: str, data: Any) -> None:
        """Write plain data as JSON; numbers that are not finite become null, because JSON lacks them.

        Raises:
            RunError: see `write`.
        """
        self.write(name, json.dumps(_json(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read plain data; keys of 0.1.0 get today's names.

        Raises:
            RunError: the file is missing or not JSON.
        """
        data = read_json(self.path / name)
        return renamed_mapping(data) if isinstance(data, dict) else data

    def remove(self, name: str) -> None:
        """Delete a file of the folder, if it exists."""
        if self._writes:
            (self.path / name).unlink(missing_ok=True)

    @property
    def started(self) -> bool:
        """Whether the run has a checkpoint or events, or a fit has begun to train."""
        return any((self.path / name).exists() for name in ("checkpoint.pt", "metrics.jsonl", "work"))

    @property
    def finished(self) -> bool:
        """Whether the run has a result."""
        return (self.path / "result.json").exists()

    def resume_hint(self, command: str) -> str:
        """End of the message of an interrupted run: how to resume it."""
        return f": saved in {self.path}; resume with `zarts {command} --resume {shlex.quote(str(self.path))}`"

    def changes(self, device: torch.device) -> dict[str, tuple[Any, Any]]:
        """Changes of the environment since the run began that may change its last bits: name to (then, now)."""
        then, now = self.read_json("env.json"), environment(device)
        names = ("torch", "threads", "device")
        return {name: (then.get(name), now[name]) for name in names if then.get(name) != now[name]}

    def split(self) -> dict[str, Any] | None:
        """The split into training and test images with which the run began; None before it began.

        Raises:
            RunError: `split.json` cannot be read.
        """
        if not (self.path / "split.json").exists():
            return None
        split = self.read_json("split.json")
        if not isinstance(split, dict):
            raise RunError(f"{self.path / 'split.json'}: not a split (contains a {type(split).__name__})")
        return split

    def discard(self) -> None:
        """Delete the folder again, unless the run has results or another program's file is in it."""
        if not self._writes or self.started or self.finished:
            return
        for name in _BEFORE_START:
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def log(self, event: Mapping[str, Any]) -> None:
        """Append one event to `metrics.jsonl`; numbers that are not finite become null, because JSON lacks them.

        Raises:
            RunError: the file cannot be written; the checkpoint is intact.
        """
        if not self._writes:
            return
        try:
            with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(_json(event), allow_nan=False) + "\n")
        except OSError as error:
            raise RunError(f"{self.path}: metrics.jsonl cannot be written ({error.strerror})") from error

    def events(self) -> list[dict[str, Any]]:
        """All events so far; an incomplete last line is left out.

        Raises:
            RunError: see `zarts.runtime.io.read_events`.
        """
        file = self.path / "metrics.jsonl"
        return read_events(file) if file.exists() else []

    def save(self, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Write `checkpoint.pt`: `state`, the settings that identify the run, and the size of its events so far.

        Raises:
            RunError: the file cannot be written; the previous checkpoint is unchanged.
        """
        if not self._writes:
            return
        file = self.path / "metrics.jsonl"
        size = file.stat().st_size if file.exists() else 0
        save_checkpoint(
            self.path / "checkpoint.pt",
            {"format": _FORMAT, "settings": dict(settings), "metrics_bytes": size, **state},
        )

    def checkpoint(self) -> bytes:
        """The content of `checkpoint.pt`, which this process has written or restored."""
        return (self.path / "checkpoint.pt").read_bytes()

    def lock(self) -> AbstractContextManager[None]:
        """Inside, no other process on this system writes into the folder; without effect on Windows.

        Raises:
            RunError: another process is writing now.
        """
        message = f"{self.path}: another process is at work on this run: wait for its end"
        return locked(self.path, message) if self._writes else nullcontext()

    def saved(self, settings: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
        """Read `checkpoint.pt`; no file is changed.

        Raises:
            RunError: there is no checkpoint, or it is damaged or of another run.
        """
        path = self.path / "checkpoint.pt"
        state = load_checkpoint(path, device)
        if state.get("format") == 1:
            raise RunError(f"{path}: is of zarts 0.1.0, whose unfinished runs cannot be resumed: start a new run")
        if state.get("format") != _FORMAT or not isinstance(state.get("settings"), dict):
            raise RunError(f"{path}: not a checkpoint of this version of zarts: start a new run")
        other = {k for k in {*settings, *state["settings"]} if settings.get(k) != state["settings"].get(k)}
        if other:
            key = min(other)
            raise RunError(
                f"{path}: is of another run: it has {key} = {state['settings'].get(key)!r}, "
                f"this run has {settings.get(key)!r}"
            )
        return state

    def restore(self, settings: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
        """Read `checkpoint.pt`, and delete the events that came after it.

        Raises:
            RunError: see `saved`, or earlier events are lost.
        """
        remove_parts(self.path)
        state = self.saved(settings, device)
        file = self.path / "metrics.jsonl"
        size = file.stat().st_size if file.exists() else 0
        if size < state["metrics_bytes"]:
            raise RunError(f"{file}: is shorter than when the checkpoint was written: events are lost, start a new run")
        if file.exists():
            os.truncate(file, state["metrics_bytes"])
        return state
