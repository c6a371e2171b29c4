"""Data sets that are arrays in files of the user's: NumPy `.npz`, and folders of IDX files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zarts.data.config import Request
from zarts.data.dataset import DataSet
from zarts.data.idx import idx_parts, is_idx
from zarts.data.python_data import ImageParts, PythonData, python_data
from zarts.errors import DataError
from zarts.runtime.system_memory import free_memory

__all__ = ["arrays_in", "is_arrays", "load_arrays"]

Array = np.ndarray[Any, np.dtype[Any]]

_FORMS: tuple[Mapping[str, tuple[str, str]], ...] = (
    {"train": ("x_train", "y_train"), "val": ("x_val", "y_val"), "test": ("x_test", "y_test")},
    {part: (f"{part}_images", f"{part}_labels") for part in ("train", "val", "test")},
    {"train": ("images", "labels")},
)
"""The keys of each part, as files of Keras, of MedMNIST, and plain ones have them."""


def is_arrays(path: Path) -> bool:
    """Whether a path is that of a `.npz` file that exists, or of a folder of IDX files."""
    return (path.suffix.lower() == ".npz" and path.is_file()) or is_idx(path)


def load_arrays(path: Path, request: Request) -> DataSet:
    """Load the training images of a `.npz` file or of a folder of IDX files.

    Without test images a stratified fifth is set aside, drawn by the request's seed. Images keep their size if networks
    can have it and none is asked for: square, a multiple of 4, at least 8 pixels. Those of IDX files are not flipped.

    Args:
        path: the file or folder.
        request: see `zarts.data.image_list.load_list`.

    Raises:
        DataError: the file is damaged or has other keys, images and labels differ in number, or an image cannot be
            used.
    """
    characters, parts = is_idx(path), _parts(path)  # characters, as a rule: a mirrored one is another or none
    height, width = _size(parts.train[0], path)
    if request.image_size is None and height == width and height % 4 == 0 and height >= 8:
        request = replace(request, image_size=height)
    try:
        data = python_data(parts).load(request)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    manifest = {**data.manifest, "source": str(path)}
    return replace(data, name=str(path), manifest=manifest, flip=data.flip and not characters)


def arrays_in(path: Path) -> PythonData:
    """The parts of a `.npz` file or of a folder of IDX files.

    Raises:
        DataError: see `load_arrays`.
    """
    return python_data(_parts(path))


def _parts(path: Path) -> ImageParts:
    return idx_parts(path) if is_idx(path) else _npz_parts(path)


def _size(images: Array, path: Path) -> tuple[int, int]:
    """Height and width of images (n, h, w), (n, h, w, c) or (n, c, h, w)."""
    shape = images.shape
    if len(shape) not in (3, 4):
        raise DataError(f"{path}: images have shape {shape}; expected (n, h, w), (n, h, w, c) or (n, c, h, w)")
    first = len(shape) == 4 and shape[1] in (1, 3)
    return (shape[2], shape[3]) if first else (shape[1], shape[2])


def _npz_parts(path: Path) -> ImageParts:
    """The parts in a `.npz` file, whose objects are not unpickled.

    Raises:
        DataError: it is damaged or needs unpickling, has other keys, or images and labels differ in number.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            _check_memory(stream, path)
            keys = list(file.files)
            known = _known(keys, path)
            parts = {part: (file[images], file[labels]) for part, (images, labels) in known.items()}
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        MemoryError,
        TypeError,
        zlib.error,
        zipfile.BadZipFile,
    ) as error:
        raise DataError(f"{path}: cannot be read as NumPy's .npz ({' '.join(str(error).split())})") from error
    found = {part: (images, _flat(labels, images, part, path)) for part, (images, labels) in parts.items()}
    return ImageParts(found["train"], found.get("val"), found.get("test"))


def _check_memory(stream: BinaryIO, path: Path) -> None:
    """Check that there is memory for all arrays: a packed megabyte can unpack to a thousand.

    Raises:
        DataError: there is not.
    """
    with zipfile.ZipFile(stream) as archive:
        whole = sum(member.file_size for member in archive.infolist())
    if whole > (free_memory() or whole):
        raise DataError(f"{path}: has {whole:,} bytes unpacked, more than there is memory")


def _known(keys: list[str], path: Path) -> dict[str, tuple[str, str]]:
    """The keys of each part that the file has."""
    for form in _FORMS:
        found = {part: pair for part, pair in form.items() if set(pair) & set(keys)}
        if "train" in found:
            for images, labels in found.values():
                if missing := {images, labels} - set(keys):
                    raise DataError(f"{path}: has no {missing.pop()!r} beside {', '.join(keys)}; add it")
            return found
    expected = "; ".join(", ".join(key for pair in form.values() for key in pair) for form in _FORMS)
    raise DataError(f"{path}: has the keys {', '.join(keys) or '(none)'}; expected those of one of: {expected}")


def _flat(labels: Array, images: Array, part: str, path: Path) -> Array:
    """Labels (n,) out of (n,) or (n, 1), as many as images."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(
            f"{path}: {part}: labels have shape {labels.shape}; expected (n,) or (n, 1), one class an image"
        )
    if images.shape[:1] != labels.shape:
        count = len(images) if images.ndim else 0
        raise DataError(f"{path}: {part}: has {count} images but {len(labels)} labels; give one label for each image")
    return labels
