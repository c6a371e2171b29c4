"""The folder of a fit: where it keeps what it delivers, and the run of a training in it."""

from __future__ import annotations

import shlex
from pathlib import Path

from zarts.errors import RunError
from zarts.runs.run_dir import Run
from zarts.runtime.io import read_mapping

__all__ = ["BEST", "FINALISTS", "MODEL", "fit_of", "is_fit", "trained_in"]

BEST = "best"
"""The network that the fit delivers, as the run of a training."""
FINALISTS = "finalists"
"""The trained finalists: NUMBER-SEED.safetensors and, with --int8, NUMBER-SEED.int8.onnx."""
MODEL = "model"
"""The files that are taken home."""


def is_fit(path: Path) -> bool:
    """Whether a path is the folder of a fit."""
    return path.is_dir() and "fit" in read_mapping(path / "config.yaml")


def fit_of(run: Path) -> Path | None:
    """The folder of the fit that delivers the network of a run; None: of none."""
    return run.parent if run.name == BEST and is_fit(run.parent) else None


def trained_in(path: Path) -> Path:
    """The run of the network that a fit delivers, if `path` is the folder of one; else `path`.

    Raises:
        RunError: the fit has not finished.
    """
    if not is_fit(path):
        return path
    if not Run(path).finished:
        so_far = f", or take the best network so far, {path / MODEL}" if (path / MODEL).exists() else ""
        raise RunError(
            f"{path}: the fit has not finished: go on with `zarts fit --resume {shlex.quote(str(path))}`{so_far}"
        )
    return path / BEST
