"""The folder of a run: its settings, events, results and checkpoint."""

from __future__ import annotations

import contextlib
import json
import math
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import yaml

from zarts.config import renamed_mapping, renamed_settings
from zarts.data import PythonData
from zarts.errors import RunError
from zarts.readers import read_json, read_yaml
from zarts.runs.checkpoint import CHECKPOINT, restored_state, save_state, saved_state
from zarts.runs.checksum import with_checksum, without_checksum
from zarts.runs.claim import UNSTARTED, claim, clear, is_free, is_started, unmark
from zarts.runtime.environment import environment
from zarts.runtime.io import WriteError, check_writable, read_events, write_atomically
from zarts.runtime.leftovers import remove_parts
from zarts.runtime.paths import existing
from zarts.runtime.processes import locked

__all__ = ["Run", "genotype_file"]


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
    """A run folder: `new` makes one, `open` opens an existing one.

    Args:
        path: the folder.
        writes: whether this process writes; of several ranks only the first one does.
        images: the images, if they are Python objects, of which the folder keeps the fingerprint alone.
    """

    def __init__(self, path: Path, *, writes: bool = True, images: PythonData | None = None) -> None:
        self.path, self._writes, self.images = path, writes, images
        self._locked = False
        self.is_alone = True
        """Whether other processes are kept out while this one has the lock: not every file system has locks."""

    @staticmethod
    @contextmanager
    def new(path: Path, command: str, *, numbered: bool = False) -> Iterator[Run]:
        """A new folder, locked inside. It counts as begun when it has `config.yaml`, which is written last.

        Args:
            path: the folder.
            command: that the run is of.
            numbered: see `claim`.

        Raises:
            SettingsError, RunError: see `claim`.
        """
        path, stack, alone = claim(path, command, numbered=numbered)
        with stack:
            run = Run(path)
            run._locked, run.is_alone = True, alone
            try:
                yield run
            finally:
                run._tidy()
                run._locked = False

    @staticmethod
    def create(path: Path, settings: Mapping[str, Any], command: str) -> Run:
        """A new folder with `config.yaml`; see `begin`.

        Raises:
            SettingsError, RunError: see `claim`.
        """
        with Run.new(path, command) as run:
            run.begin(settings, command)
        return run

    def begin(self, settings: Mapping[str, Any], command: str) -> None:
        """Write `config.yaml`, with the settings in the section of the command: now the run can be resumed.

        Raises:
            RunError: see `write`.
        """
        self.write("config.yaml", yaml.safe_dump({command: dict(settings)}, sort_keys=False))

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
        if not (self.path / "config.yaml").exists() and is_free(self.path):
            raise RunError(
                f"{self.path}: not a run folder, or one that was ended before it had begun: start it anew, with --out"
            )
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
            if name == "result.json":  # what is started by that, and has no checkpoint
                unmark(self.path)

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
        """Whether the run has a checkpoint, events or a result, or a fit has begun to train."""
        return is_started(self.path)

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
            RunError: `split.json` cannot be read, or its checksum is not that of its content.
        """
        file = self.path / "split.json"
        if not file.exists():
            return None
        split = self.read_json("split.json")
        if not isinstance(split, dict):
            raise RunError(f"{file}: not a split (contains a {type(split).__name__})")
        return without_checksum(split, file)

    def write_split(self, split: Mapping[str, Any]) -> None:
        """Write `split.json`, with its checksum.

        Raises:
            RunError: see `write`.
        """
        self.write_json("split.json", with_checksum(split))

    def discard(self) -> bool:
        """Delete the folder again, unless the run has started or another program's file is in it; whether it did."""
        if not self._writes or self.started:
            return False
        with contextlib.suppress(OSError):
            clear(self.path)
            if all(file.name == UNSTARTED for file in self.path.iterdir()):
                (self.path / UNSTARTED).unlink(missing_ok=True)
                self.path.rmdir()
                return True
        return False

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
            raise WriteError(self.path / "metrics.jsonl", error) from error

    def events(self) -> list[dict[str, Any]]:
        """All events so far; an incomplete last line is left out.

        Raises:
            RunError: see `zarts.runtime.io.read_events`.
        """
        file = self.path / "metrics.jsonl"
        return read_events(file) if file.exists() else []

    def save(self, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        """Write `checkpoint.pt`; the one before it stays, as `checkpoint.before.pt`. See `save_state`.

        Raises:
            RunError: the file cannot be written; the previous checkpoint is unchanged.
        """
        if not self._writes:
            return
        save_state(self.path, state, settings)
        self.remove(UNSTARTED)

    def checkpoint(self) -> bytes:
        """The content of `checkpoint.pt`, which this process has written or restored."""
        return (self.path / CHECKPOINT).read_bytes()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Inside, no other process on this system writes into the folder; what killed ones have left is deleted.

        Raises:
            RunError: another process is writing now, or the folder cannot be written.
        """
        if not self._writes or self._locked:
            yield
            return
        message = f"{self.path}: another process is at work on this run: wait for its end"
        with locked(self.path, message) as self.is_alone:
            check_writable(self.path)  # before hours of work
            self._locked = True
            try:
                self._tidy()
                yield
            finally:
                self._tidy()
                self._locked = False

    def _tidy(self) -> None:
        """Delete temporary files of processes that are gone, and the mark of a folder whose run has started."""
        if self.path.is_dir():
            remove_parts(self.path)
            unmark(self.path)

    @property
    def lock_note(self) -> str:
        """What to say where the lock keeps no other process out; empty where it does."""
        alone = self.is_alone or sys.platform == "win32"
        return "" if alone else f"{self.path}: its file system has no locks: see that no other process uses this folder"

    def saved(self, settings: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
        """Read `checkpoint.pt`; no file is changed.

        Raises:
            RunError: see `saved_state`.
        """
        return saved_state(self.path, settings, device)

    def restore(self, settings: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
        """Read `checkpoint.pt`, and delete the events that came after it.

        Raises:
            RunError: see `restored_state`.
        """
        return restored_state(self.path, settings, device)
