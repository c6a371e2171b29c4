"""Data sets by name, path or as Python objects, their splits, and batches of images with their transforms.

Outside, use the names in `__all__`: `load_data` returns a `DataSet`, and `Batches` yields its images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from zarts.data.batch_transforms import Augment, Draws
from zarts.data.builtin import load_cifar10, load_cifar100, load_cifar100_p_darts, load_digits, load_svhn
from zarts.data.config import ImageCache, Request
from zarts.data.csv_list import is_csv, load_csv
from zarts.data.dataset import DataSet, Images, ImageSet, channel_statistics
from zarts.data.image_folder import load_folder
from zarts.data.imagenet import load_imagenet, load_imagenet16
from zarts.data.in_memory import from_arrays
from zarts.data.loader import Batches
from zarts.data.prefetch import default_workers
from zarts.data.python_data import PYTHON, ImageParts, PythonData, python_data
from zarts.data.split import halves
from zarts.data.streaming import StreamedSet
from zarts.errors import DataError, SettingsError, did_you_mean

__all__ = [
    "DATA_SETS",
    "DEFAULT_DATA_DIR",
    "PYTHON",
    "Augment",
    "Batches",
    "DataSet",
    "Draws",
    "ImageCache",
    "ImageParts",
    "ImageSet",
    "Images",
    "PythonData",
    "StreamedSet",
    "channel_statistics",
    "check_data",
    "halves",
    "load_data",
    "load_test_images",
    "python_data",
]

DATA_SETS: dict[str, Callable[[str, Request], DataSet]] = {
    "digits": partial(from_arrays, load_digits),
    "cifar10": partial(from_arrays, load_cifar10),
    "cifar100": partial(from_arrays, load_cifar100),
    "cifar100-p-darts": partial(from_arrays, load_cifar100_p_darts),
    "svhn": partial(from_arrays, load_svhn),
    "imagenet": load_imagenet,
    "imagenet16": partial(from_arrays, load_imagenet16),
    "imagenet16-120": partial(from_arrays, partial(load_imagenet16, classes=120)),
}

DEFAULT_DATA_DIR = "~/.cache/zarts"


def load_data(
    data: str | Path | PythonData,
    *,
    image_size: int | None = None,
    subset: int | float | None = None,
    seed: int = 0,
    data_dir: Path | str = DEFAULT_DATA_DIR,
    manifest: Mapping[str, Any] | None = None,
    image_cache: ImageCache = "auto",
    copies: int = 1,
    workers: int | None = None,
    crop: Literal["pad", "resized"] = "pad",
    bits: Mapping[str, int] | None = None,
) -> DataSet:
    """Load the training images of a data set; `DataSet.test()` loads its test images.

    Args:
        data: a name in `DATA_SETS`, or the path of a folder of images (see `load_folder`) or of a CSV file that
            lists them (see `load_csv`), or Python objects (see `python_data`). A name wins over a folder of the same
            name; give that folder as `./NAME`.
        image_size: height and width, a multiple of 4 and at least 8; None is the set's own size, 32 for a folder and
            224 for `imagenet`.
        subset: number of training images to take, or, as a float below 1, their share; stratified. None is all.
        seed: of the subset and, for a folder without `train/` and `test/`, of the split.
        data_dir: where downloaded sets are kept.
        manifest: `manifest` of an earlier load. It gives the same split of a folder again; training images that have
            changed since are an error.
        image_cache: where the images of a folder are kept: all in `memory`, or `streamed` from their files, batch by
            batch. `auto` streams images that would take more than `MEMORY_SHARE`, a quarter, of the free memory.
        copies: number of processes of this machine that keep images in memory.
        workers: threads of each process that decode streamed images and transform images one by one; None: one for
            each processor, 8 at most.
        crop: how training images are cropped. With `resized`, a test image is the centre that is 224 / 256 of
            the shorter side; with `pad`, it is the whole central square.
        bits: of whole numbers of more than 8 bits in image files, from a model card; None: as the training images use
            them.

    Raises:
        SettingsError: the name is unknown, or the networks cannot use the size.
        DataError: the images cannot be used.
    """
    if image_size is not None and (image_size < 8 or image_size % 4):
        raise SettingsError(f"image_size is {image_size}; it needs to be 8 or more and a multiple of 4")
    if not isinstance(data, PythonData):
        check_data(data)
    request = Request(
        image_size,
        subset,
        seed,
        Path(data_dir).expanduser(),
        manifest,
        image_cache=image_cache,
        copies=copies,
        workers=workers or default_workers(copies),
        resized=crop == "resized",
        bits=bits,
    )
    if isinstance(data, PythonData):
        return data.load(request)
    if str(data) in DATA_SETS:
        return DATA_SETS[str(data)](str(data), request)
    path = Path(data).expanduser()
    return load_csv(path, request) if is_csv(path) else load_folder(path, request)


def load_test_images(
    data: PythonData,
    classes: Sequence[str],
    *,
    image_size: int,
    channels: int,
    workers: int | None = None,
    crop: Literal["pad", "resized"] = "pad",
    bits: Mapping[str, int] | None = None,
) -> Images:
    """Test images for a trained network, out of Python objects.

    Args:
        data: the part `test`, or the only one.
        classes: the network's; an integer label that is the name of none of them is an index into them.
        image_size: height and width.
        channels: 1 or 3.
        workers: see `load_data`.
        crop: see `load_data`.
        bits: see `load_data`.

    Raises:
        DataError: the images cannot be used, or have other classes.
    """
    threads, resized = workers or default_workers(), crop == "resized"
    request = Request(image_size, None, 0, Path(), None, "auto", 1, threads, resized, bits)
    return data.load_test(classes, request, image_size, channels)


def check_data(data: str | Path) -> None:
    """Check that `data` is the name of a data set, or an existing folder or CSV file; no image is read.

    Raises:
        SettingsError: the name is unknown.
        DataError: there is no folder at the path.
    """
    folder = Path(data).expanduser()
    if str(data) == PYTHON:
        raise SettingsError(
            "data = python: the images are Python objects, which only a call can give, as in `zarts.search(data=...)`: "
            "name a data set, a folder or a CSV file"
        )
    if str(data) in DATA_SETS or folder.is_dir() or is_csv(folder):
        return
    if isinstance(data, str) and not any(sep in data for sep in ("/", os.sep)):
        raise SettingsError(
            f"{did_you_mean('data set', data, DATA_SETS)}, or a folder of images with one sub-folder a class, or a "
            "file .csv"
        )
    found = "is a file" if folder.exists() else "not found"
    raise DataError(f"{folder}: {found}; expected a folder of images with one sub-folder a class, or a file .csv")
