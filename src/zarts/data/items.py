"""Labelled images out of Python objects: arrays, torch and Hugging Face data sets, and torchvision's ImageFolder."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset

from zarts.data.pixels import as_array, pixels_of
from zarts.data.preprocess import Fit, Mode, Pixels, central_square, fitted
from zarts.errors import DataError

__all__ = ["ItemSource", "Items", "items_of"]

_FORMS = (
    "a torch Dataset, (images, labels), an ImageFolder, a Hugging Face data set, a path or a name; parts by name: "
    '{"train": ..., "val": ..., "test": ...}'
)
_READING = threading.Lock()
"""Held while an object of the user's gives an item: few are made for several threads."""

_IMAGES, _LABELS = ("image", "img"), ("label", "labels")


@dataclass(frozen=True, eq=False)
class Items:
    """The labelled images of one part, each read when it is asked for.

    Args:
        where: names the part in messages.
        count: number of images.
        item: the image and the label at an index, as the object has them.
        classes: the names that integer labels are indices into; None: there are none.
        files: file and label of each image, if the images are those of these files, unchanged.
    """

    where: str
    count: int
    item: Callable[[int], tuple[Any, Any]]
    classes: tuple[str, ...] | None
    files: tuple[tuple[Path, int], ...] | None = None

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and the label at an index.

        Raises:
            DataError: the object fails, or its item is no pair.
        """
        try:
            with _READING:
                found = self.item(index)
        except Exception as error:  # the user's code
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise DataError(f"{self.where}[{index}]: cannot be read ({reason})") from error
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise DataError(f"{self.where}[{index}]: is a {type(found).__name__}; expected a pair (image, label)")
        return found[0], found[1]


@dataclass(frozen=True, eq=False)
class ItemSource:
    """Reads images by names like `train[17]`: the part, and the index in the object.

    Args:
        parts: the parts by name.
    """

    parts: Mapping[str, Items]

    def read(self, name: str, size: int, mode: Mode | None = None, fit: Fit = central_square) -> Pixels:
        """One image, brought to `size`; see `zarts.data.image_io.read_image`."""
        part, index = name.removesuffix("]").split("[")
        image, _ = self.parts[part][int(index)]
        pixels = pixels_of(image, name)
        if fit is central_square and pixels.shape[:2] == (size, size) and mode in (None, _mode(pixels)):
            return pixels
        return fitted(Image.fromarray(pixels), size, mode, fit)


def _mode(pixels: Pixels) -> Mode:
    return "L" if pixels.ndim == 2 else "RGB"


def items_of(part: Any, where: str) -> Items:
    """The labelled images of one part; none is read yet.

    Args:
        part: one of the forms that `zarts.search` takes for `data`, but no path or name.
        where: names it in messages.

    Raises:
        DataError: it is of no such form, or images and labels differ in number.
    """
    if isinstance(part, tuple):
        return _of_arrays(part, where)
    if isinstance(part, DataLoader):
        raise DataError(f"{where}: is a DataLoader, whose batches zarts makes itself: give its `dataset`")
    huggingface = any(kind.__module__.split(".")[0] == "datasets" for kind in type(part).__mro__)
    if isinstance(part, IterableDataset) or (huggingface and not hasattr(part, "__len__")):
        raise DataError(
            f"{where}: is a stream without length and index: give a data set with both (Hugging Face: load it without "
            "streaming=True)"
        )
    if isinstance(part, np.ndarray | torch.Tensor | str | bytes | Mapping) or not (
        hasattr(part, "__getitem__") and hasattr(part, "__len__")
    ):
        raise DataError(f"{where}: is a {type(part).__name__}; expected {_FORMS}")
    if huggingface:
        return _of_huggingface(part, where)
    folder = sys.modules.get("torchvision.datasets.folder")
    if folder is not None and isinstance(part, folder.ImageFolder):
        plain = part.transform is None and part.target_transform is None and part.loader is folder.default_loader
        if plain:
            files = tuple((Path(path).absolute(), label) for path, label in part.samples)
            return Items(where, len(files), part.__getitem__, tuple(part.classes), files)
    return Items(where, len(part), part.__getitem__, _classes_of(part))


def _of_arrays(pair: tuple[Any, ...], where: str) -> Items:
    """The items of (images, labels)."""
    if len(pair) != 2 or all(isinstance(half, tuple) for half in pair):
        raise DataError(f"{where}: is a tuple of {len(pair)}; expected (images, labels), or {_FORMS}")
    images, labels = pair
    labels = as_array(labels) if isinstance(labels, torch.Tensor) else np.asarray(labels)
    if labels.ndim != 1:
        way_out = "give labels[:, 0]" if labels.ndim == 2 and labels.shape[1] == 1 else "give one class an image"
        raise DataError(f"{where}: labels have shape {labels.shape}; expected (n,): {way_out}")
    if not hasattr(images, "__getitem__") or not hasattr(images, "__len__") or isinstance(images, str | Mapping):
        raise DataError(f"{where}: images are a {type(images).__name__}; expected an array, a tensor or a list")
    shape = getattr(images, "shape", None)
    if shape is not None and len(shape) not in (3, 4):
        raise DataError(
            f"{where}: images have shape {tuple(shape)}; expected (n, h, w), (n, h, w, c) or (n, c, h, w): reshape them"
        )
    if len(images) != len(labels):
        raise DataError(f"{where}: has {len(images)} images but {len(labels)} labels; give one label for each image")
    return Items(where, len(labels), partial(_row, images, labels), None)


def _row(images: Any, labels: np.ndarray[Any, np.dtype[Any]], index: int) -> tuple[Any, Any]:
    return images[index], labels[index]


def _classes_of(part: object) -> tuple[str, ...] | None:
    """The names of the classes of a torch data set, or of the one that it is a subset of."""
    while not hasattr(part, "classes") and hasattr(part, "dataset"):
        part = part.dataset
    names = getattr(part, "classes", None)
    if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return None


def _of_huggingface(part: Any, where: str) -> Items:
    """The items of a `datasets.Dataset`, which has a column of images and one of labels."""
    image = _column(part, where, "image", "Image", _IMAGES)
    label = _column(part, where, "label", "ClassLabel", _LABELS)
    names = getattr(part.features[label], "names", None)
    return Items(where, len(part), partial(_cells, part, image, label), None if names is None else tuple(names))


def _column(part: Any, where: str, what: str, kind: str, usual: tuple[str, ...]) -> str:
    """The column of a feature class, or else the one with a usual name."""
    features = dict(part.features)
    found: list[str] = [name for name, feature in features.items() if type(feature).__name__ == kind]
    found = found or [name for name in usual if name in features]
    if len(found) != 1:
        listed = f"columns {', '.join(found)} could be it" if found else f"there are {', '.join(features)}"
        raise DataError(
            f"{where}: which column has the {what}? {listed}: keep two columns with `select_columns`, or rename one"
        )
    return found[0]


def _cells(part: Any, image: str, label: str, index: int) -> tuple[Any, Any]:
    row = part[index]
    return row[image], row[label]
