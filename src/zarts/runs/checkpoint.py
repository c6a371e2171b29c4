"""Checkpoints: tensors and plain data in a file that can be read without unpickling code, with its checksum."""

from __future__ import annotations

import io
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from zarts.errors import FileError, RunError
from zarts.runs.checksum import DIGITS, digest
from zarts.runtime.io import cut, sync, write_atomically

__all__ = [
    "CHECKPOINT",
    "DamagedError",
    "load_checkpoint",
    "restored_state",
    "save_checkpoint",
    "save_state",
    "saved_state",
]

CHECKPOINT = "checkpoint.pt"
_BEFORE = "checkpoint.before.pt"
"""The checkpoint before the last one, which is there if that one is damaged."""
_FORMAT = 2

_SEAL = b"zarts blake2b "
"""Begins the comment at the end of the zip file, in which the checksum of all bytes before it follows."""
_SEALED = "sealed"
"""Key of a state that says that its file has a seal; checkpoints of 0.1.0 have none."""


class DamagedError(FileError):
    """A file whose content is not what was written."""


def save_checkpoint(path: Path, state: dict[str, Any], *, before: Path | None = None) -> None:
    """Write tensors and plain data so that they can be read without unpickling code, and that damage is found.

    Args:
        path: the file.
        state: tensors and plain data.
        before: where the old file is kept, if there is one; None: nowhere.

    Raises:
        WriteError: the file cannot be written; the old file is unchanged.
    """
    buffer = io.BytesIO()
    torch.save({**state, _SEALED: True}, buffer)
    content = buffer.getvalue()[:-2]  # without the length of the comment, which torch leaves empty
    content += (len(_SEAL) + DIGITS).to_bytes(2, "little") + _SEAL
    write_atomically(path, content + digest(content).encode(), before=before)


def load_checkpoint(file: Path | io.BytesIO, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, from its path or its content.

    Raises:
        RunError: the file is missing or cannot be read.
        DamagedError: it is cut short, damaged, or holds anything but tensors and plain data.
    """
    try:
        content = file.getvalue() if isinstance(file, io.BytesIO) else file.read_bytes()
    except FileNotFoundError as error:
        raise RunError(f"{file}: there is no checkpoint; start a new run with another --out") from error
    except OSError as error:
        raise RunError(f"{file}: cannot be read ({error.strerror or error})") from error
    sealed = content[:-DIGITS][-len(_SEAL) :] == _SEAL
    if sealed and digest(content[:-DIGITS]).encode() != content[-DIGITS:]:
        raise DamagedError(f"{file}: damaged: its checksum is not that of its content")
    try:
        state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except Exception as error:  # torch's reader raises almost anything for a damaged file
        reason = " ".join(str(error).split())[:120]
        raise DamagedError(f"{file}: cut short, damaged, or not a checkpoint of zarts ({reason})") from error
    if not isinstance(state, dict):
        raise DamagedError(f"{file}: not a checkpoint of zarts (holds a {type(state).__name__})")
    if state.pop(_SEALED, False) and not sealed:
        raise DamagedError(f"{file}: damaged: its checksum is gone")
    return state


def save_state(folder: Path, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Write the checkpoint of a run: `state`, the settings that identify the run, and the size of its events so far.

    Raises:
        WriteError: the file cannot be written; the previous checkpoint is unchanged.
    """
    file = folder / "metrics.jsonl"
    sync(file)
    size = file.stat().st_size if file.exists() else 0
    content = {"format": _FORMAT, "settings": dict(settings), "metrics_bytes": size, **state}
    save_checkpoint(folder / CHECKPOINT, content, before=folder / _BEFORE)


def saved_state(folder: Path, settings: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Read the checkpoint of a run; no file is changed.

    Raises:
        RunError: there is no checkpoint, or it is damaged or of another run; what else there is.
    """
    path = folder / CHECKPOINT
    try:
        state = load_checkpoint(path, device)
    except DamagedError as error:
        raise FileError(f"{error}{_offer(folder)}") from error
    if state.get("format") == 1:
        raise RunError(f"{path}: is of zarts 0.1.0, whose unfinished runs cannot be resumed: start a new run")
    if state.get("format") != _FORMAT or not isinstance(state.get("settings"), dict):
        raise RunError(f"{path}: not a checkpoint of this version of zarts: start a new run")
    other = {k for k in {*settings, *state["settings"]} if settings.get(k) != state["settings"].get(k)}
    if other:
        key = min(other)
        raise RunError(
            f"{path}: is of another run: it has {key} = {state['settings'].get(key)!r}, this run has "
            f"{settings.get(key)!r}"
        )
    return state


def restored_state(folder: Path, settings: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """Read the checkpoint of a run, and delete the events that came after it.

    Raises:
        RunError: see `saved_state`, or earlier events are lost.
    """
    state, file = saved_state(folder, settings, device), folder / "metrics.jsonl"
    size = file.stat().st_size if file.exists() else 0
    if size < state["metrics_bytes"]:
        raise RunError(f"{file}: is shorter than when the checkpoint was written: events are lost, start a new run")
    if file.exists():
        cut(file, state["metrics_bytes"])
    return state


def _offer(folder: Path) -> str:
    """What can be done without the last checkpoint."""
    before = folder / _BEFORE
    try:
        load_checkpoint(before)
    except RunError:
        return "; no earlier one is whole: start a new run with another --out"
    move = f"mv {shlex.quote(str(before))} {shlex.quote(str(folder / CHECKPOINT))}"
    return f"; the one before it is whole: `{move}`, then resume the run: it ends with the same bits"
