"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch

from zarts.errors import RunError

__all__ = ["load_checkpoint", "save_checkpoint", "write_atomically"]


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace `path` by a file with `content`; whatever happens, the old or the new file is there, whole.

    Raises:
        RunError: it could not be written (a full disk, say); the old file is as it was.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise RunError(f"{path}: cannot be written ({error.strerror or error}); what was there is as it was") from error


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain data so that they can be read without unpickling code.

    Raises:
        RunError: see `write_atomically`.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save_checkpoint` wrote.

    Raises:
        RunError: the file is missing, cut short, damaged, or holds anything but tensors and plain data.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"{path}: there is no checkpoint; start the run again with another --out") from error
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RunError(f"{path}: cut short, damaged, or not a checkpoint of zarts ({reason})") from error
    if not isinstance(state, dict):
        raise RunError(f"{path}: not a checkpoint of zarts (holds a {type(state).__name__})")
    return state
