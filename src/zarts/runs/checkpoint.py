"""Checkpoints: tensors and plain data in a file that can be read without unpickling code."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from zarts.errors import RunError
from zarts.runtime.io import write_atomically

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain data so that they can be read without unpickling code.

    Raises:
        RunError: the file cannot be written; the old file is unchanged.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load_checkpoint(file: Path | io.BytesIO, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save_checkpoint` wrote, from its path or its content.

    Raises:
        RunError: the file is missing, cut short, damaged, or holds anything but tensors and plain data.
    """
    try:
        state = torch.load(file, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise RunError(f"{file}: there is no checkpoint; start a new run with another --out") from error
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise RunError(f"{file}: cut short, damaged, or not a checkpoint of zarts ({reason})") from error
    if not isinstance(state, dict):
        raise RunError(f"{file}: not a checkpoint of zarts (holds a {type(state).__name__})")
    return state
