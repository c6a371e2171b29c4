"""Files of published data sets: download, completeness, checksums, and arrays of images with their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zarts.data.dataset import ImageSet
from zarts.errors import DataError

__all__ = ["array_set", "downloaded", "note_on_others", "numbered"]


def downloaded(get: Callable[[], object], *, name: str, file: str, url: str, folder: Path) -> None:
    """Let torchvision download a file and check it.

    Args:
        get: calls torchvision.
        name: the data set, for messages.
        file: name of the file.
        url: where it is published.
        folder: where it goes.

    Raises:
        DataError: the download or the check failed.
    """
    try:
        get()
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{name}: {file} is missing or damaged in {folder} and cannot be downloaded "
            f"({str(error).splitlines()[0]}); get {url} and put it into {folder}"
        ) from error


def numbered(folder: Path, pattern: str) -> list[Path]:
    """The files `pattern.format(1)`, `pattern.format(2)` … of a folder.

    Raises:
        DataError: the first file is missing, or one between two others.
    """
    found = sorted(int(rest) for path in folder.glob(pattern.format("*")) if (rest := _number(path, pattern)))
    if found != list(range(1, len(found) + 1)) or not found:
        missing = next(i for i in range(1, len(found) + 2) if i not in found)
        raise DataError(f"{folder}: {pattern.format(missing)} is missing; get the data set again, or remove the folder")
    return [folder / pattern.format(i) for i in found]


def _number(path: Path, pattern: str) -> str:
    before, after = pattern.split("{}")
    rest = path.name.removeprefix(before).removesuffix(after)
    return rest if rest.isdecimal() else ""


def note_on_others(name: str, files: Iterable[Path], published: Mapping[str, str]) -> tuple[str, ...]:
    """A note for the user if files differ from the published ones by MD5; the test file is read for it, not decoded.

    No checksum is needed for safety, because no code in the files is run. A user's own images in the format of a
    published data set are welcome, but results on them cannot be compared with published results.
    """
    files = list(files)
    others = [
        f.name for f in files if hashlib.md5(f.read_bytes(), usedforsecurity=False).hexdigest() != published.get(f.name)
    ]
    others += sorted(set(published) - {f.name for f in files})
    if not others:
        return ()
    return (f"{name}: not the published files ({', '.join(others)} differ or are missing); they are used as they are",)


def array_set(
    pixels: Any, labels: Any, classes: int, where: Path, *, shape: tuple[int, ...] = (3, 32, 32), first: int = 0
) -> ImageSet:
    """The image set of arrays as they are in a file.

    Args:
        pixels: (n, c * h * w), one image in each row.
        labels: (n,), whole numbers.
        classes: number of classes.
        where: the file, for messages.
        shape: (c, h, w) of an image.
        first: the label of the first class.

    Raises:
        DataError: shapes, types or labels do not fit.
    """
    each = int(np.prod(shape))
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != each:
        got = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DataError(f"{where}: images are {got}, expected uint8 (n, {each}); get the file again")
    found: Tensor = torch.as_tensor(np.asarray(labels, dtype=np.int64))
    if found.shape != (len(pixels),):
        raise DataError(
            f"{where}: has {len(pixels)} images and {found.numel()} labels, expected as many; get the file again"
        )
    if len(found) == 0:
        raise DataError(f"{where}: has no images; get the file again")
    if found.min() < first or found.max() >= first + classes:
        bad = int(found.min() if found.min() < first else found.max())
        raise DataError(
            f"{where}: label {bad}, but there are {classes} classes, numbered from {first}; get the file again"
        )
    images = torch.from_numpy(pixels.copy()).view(-1, *shape)
    return ImageSet(images.contiguous(memory_format=torch.channels_last), found - first)
