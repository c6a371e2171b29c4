"""What the setting `baselines` of a fit names: ONNX files and networks in torch; all else are networks of zarts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zarts.errors import SettingsError
from zarts.runtime.paths import existing

__all__ = ["TIMM", "check_torch", "copies_of", "onnx_names", "python_file", "torch_names"]

TIMM = "timm:"
"""Begins the name of a network of timm."""
_FOLDER = "baselines"
"""Of a fit, with copies of the ONNX files."""


def onnx_names(texts: str | None) -> list[str]:
    """The ONNX files among the baselines, as the user has named them."""
    return [] if texts is None else [text.strip() for text in texts.split(",") if text.strip().endswith(".onnx")]


def copies_of(texts: str | None, *folders: Path) -> Mapping[str, list[Path]]:
    """Where the folders of fits may have copies of the ONNX files among the baselines, by name."""
    names = onnx_names(texts)
    return {
        name: [folder / _FOLDER / f"{number}-{Path(name).name}" for folder in folders]
        for number, name in enumerate(names, start=1)
    }


def torch_names(texts: str | None, *, code: bool = False) -> list[str]:
    """The networks in torch among the baselines, as the user has named them.

    Args:
        texts: the setting.
        code: only those whose Python code is a file of the user.
    """
    named = [] if texts is None else [text.strip() for text in texts.split(",")]
    python = [text for text in named if ".py:" in text or text.endswith(".py")]
    return [text for text in named if text in python or (text.startswith(TIMM) and not code)]


def check_torch(texts: str | None) -> list[Path]:
    """The Python files among the baselines.

    Raises:
        NotFoundError: one is missing.
        SettingsError: what makes the network is not named.
    """
    names = torch_names(texts, code=True)
    for name in names:
        if name.endswith(".py"):
            raise SettingsError(
                f"baselines: {name}: name the function or class in it that makes the network, as {name}:make"
            )
    files = [python_file(name) for name in names]
    beside: dict[str, Path] = {}
    for folder in dict.fromkeys(file.resolve().parent for file in files):
        for name in (file.stem for file in folder.glob("*.py") if file.name not in [each.name for each in files]):
            if beside.setdefault(name, folder) != folder:  # an import would find the first one for both
                raise SettingsError(f"baselines: {beside[name]} and {folder} both have {name}.py: rename one of them")
    return files


def python_file(name: str) -> Path:
    """The file of a network in torch, such as `mine.py:make`.

    Raises:
        NotFoundError: there is none.
    """
    return existing(name.rpartition(":")[0], "Python file (baselines)")
