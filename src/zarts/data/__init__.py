"""Data sets by name, path or as Python objects, their splits, and batches of images with their transforms.

Outside, use the names in `__all__`: `load_data` returns a `DataSet`, and `Batches` yields its images.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from zarts.data.batch_transforms import Augment, Draws
from zarts.data.builtin import load_cifar10, load_cifar100, load_cifar100_p_darts, load_digits, load_svhn
from zarts.data.config import ImageCache, Request
from zarts.data.contents import Report, no_report
from zarts.data.csv_list import is_csv, load_csv
from zarts.data.dataset import DataSet, Images, ImageSet, channel_statistics
from zarts.data.idx import load_fashion_mnist, load_mnist
from zarts.data.image_folder import load_folder
from zarts.data.imagenet import load_imagenet, load_imagenet16
from zarts.data.in_memory import from_arrays
from zarts.data.left_out import left_out_csv, left_out_note
from zarts.data.loader import Batches
from zarts.data.npz import arrays_in, is_arrays, load_arrays
from zarts.data.prefetch import default_workers
from zarts.data.python_data import PYTHON, ImageParts, PythonData, python_data
from zarts.data.reading import ReadingTime, reading_time
from zarts.data.split import halves
from zarts.data.streaming import StreamedSet
from zarts.data.tested import Tested, tested_in, tested_objects, tested_set
from zarts.errors import DataError, SettingsError, did_you_mean, nearest
from zarts.runtime.paths import path_of

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
    "ReadingTime",
    "StreamedSet",
    "Tested",
    "channel_statistics",
    "check_data",
    "halves",
    "left_out_csv",
    "left_out_note",
    "load_data",
    "load_test_images",
    "python_data",
    "reading_time",
]

DATA_SETS: dict[str, Callable[[str, Request], DataSet]] = {
    "digits": partial(from_arrays, load_digits),
    "cifar10": partial(from_arrays, load_cifar10),
    "cifar100": partial(from_arrays, load_cifar100),
    "cifar100-p-darts": partial(from_arrays, load_cifar100_p_darts),
    "fashion-mnist": partial(from_arrays, load_fashion_mnist),
    "mnist": partial(from_arrays, load_mnist),
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
    allow_left_out: bool = False,
    group_by: str | None = None,
    goes_on: bool = True,
    report: Report = no_report,
    bits: Mapping[str, int] | None = None,
    most: int | None = None,
) -> DataSet:
    """Load the training images of a data set; `DataSet.test()` loads its test images.

    Args:
        data: a name in `DATA_SETS`, or the path of a folder of images (see `load_folder`), of a CSV file that lists
            them (see `load_csv`) or of arrays (see `load_arrays`), or Python objects (see `python_data`). A name wins
            over a folder of the same name; give that folder as `./NAME`.
        image_size: height and width, a multiple of 4 and at least 8; None is the set's own size, 32 for a folder and
            224 for `imagenet`.
        subset: number of training images to take, or, as a float below 1, their share; stratified. None is all.
        seed: of the subset and, for a folder without `train/` and `test/`, of the split.
        data_dir: where downloaded sets are kept.
        manifest: `manifest` of an earlier load, whose images keep their parts.
        image_cache: where the images of a folder are kept: all in `memory`, or `streamed` from their files, batch by
            batch. `auto` streams images that would take more than `MEMORY_SHARE`, a quarter, of the free memory.
        copies: number of processes of this machine that keep images in memory.
        workers: threads of each process that decode streamed images and transform images one by one; None: one for
            each processor, 8 at most.
        crop: how training images are cropped. With `resized`, a test image is the centre that is 224 / 256 of
            the shorter side; with `pad`, it is the whole central square.
        allow_left_out: whether more than 5 % of the images may be left out, for example because they are damaged.
        group_by: keeps images together in one part, see `zarts.data.groups.groups_of`; None: copies only.
        goes_on: whether the manifest is that of a run that goes on: missing training images are an error, and new ones
            are left out. Otherwise new images are dealt to the parts.
        report: called while many images are listed, with a text, the number that is done, and that of all.
        bits: of whole numbers of more than 8 bits in image files, from a model card; None: as the training images use
            them.
        most: files of a folder or a CSV file that are read, drawn evenly from classes and parts by the seed; None:
            all.

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
        path_of(data_dir),
        manifest,
        image_cache=image_cache,
        copies=copies,
        workers=workers or default_workers(copies),
        resized=crop == "resized",
        allow_left_out=allow_left_out,
        group_by=group_by,
        goes_on=manifest is not None and goes_on,
        report=report,
        bits=bits,
        most=most,
    )
    if isinstance(data, PythonData):
        return data.load(request)
    if str(data) in DATA_SETS:
        return DATA_SETS[str(data)](str(data), request)
    path = path_of(data)
    if is_arrays(path):
        return load_arrays(path, request)
    return load_csv(path, request) if is_csv(path) else load_folder(path, request)


def load_test_images(
    data: str | Path | PythonData,
    classes: Sequence[str],
    *,
    image_size: int,
    channels: int,
    manifest: Mapping[str, Any] | None = None,
    own: bool = False,
    seed: int = 0,
    data_dir: Path | str = DEFAULT_DATA_DIR,
    workers: int | None = None,
    crop: Literal["pad", "resized"] = "pad",
    allow_left_out: bool = False,
    bits: Mapping[str, int] | None = None,
) -> Tested:
    """Test images for a trained network, brought to the size and the colours that it knows.

    Args:
        data: see `load_data`. Of a folder it is `test/`, which may be alone; of a folder of classes all images that
            are not those of the run or, of a folder with images of the run, its test images and a fifth of the new
            ones. Of Python objects it is the part `test`, or the only one.
        classes: the network's; an integer label that is the name of none of them is an index into them.
        image_size: height and width.
        channels: 1 or 3.
        manifest: of the run that trained the network, which knows its training images.
        own: whether `data` are the images of that run.
        seed: see `load_data`.
        data_dir: see `load_data`.
        workers: see `load_data`.
        crop: see `load_data`.
        allow_left_out: see `load_data`.
        bits: see `load_data`.

    Raises:
        DataError: the images cannot be used.
        SettingsError: they have other classes.
    """
    threads = workers or default_workers()
    resized = crop == "resized"
    request = Request(
        image_size, None, seed, path_of(data_dir), manifest, "auto", 1, threads, resized, allow_left_out, bits=bits
    )
    if not isinstance(data, PythonData):
        check_data(data)
    arrays = not isinstance(data, PythonData) and str(data) not in DATA_SETS and is_arrays(path_of(data))
    if own and (isinstance(data, PythonData) or arrays):
        images = load_data(data, image_size=image_size, manifest=manifest, workers=workers, crop=crop, bits=bits).test()
        return Tested(images, torch.zeros(len(images), dtype=torch.bool))
    if isinstance(data, PythonData) or arrays:
        objects = data if isinstance(data, PythonData) else arrays_in(path_of(data))
        return tested_objects(objects, classes, request, image_size, channels)
    if str(data) in DATA_SETS:
        named = DATA_SETS[str(data)](str(data), replace(request, manifest=None))
        return tested_set(named.test(), named.classes, classes, channels, str(data))
    return tested_in(path_of(data), classes, request, image_size, channels, own=own)


def check_data(data: str | Path) -> None:
    """Check that `data` is the name of a data set, or an existing folder or file; no image is read.

    Raises:
        SettingsError: the name is unknown.
        DataError: there is no folder at the path.
    """
    if str(data) == PYTHON:
        raise SettingsError(
            "data = python: the images are Python objects, which only a call can give, as in `zarts.search(data=...)`: "
            "name a data set, a folder or a file .csv or .npz"
        )
    if str(data) in DATA_SETS:
        return
    folder = path_of(data)
    if folder.is_dir() or is_csv(folder) or is_arrays(folder):
        return
    is_word = isinstance(data, str) and not any(sep in data for sep in ("/", os.sep))
    if is_word and not folder.exists() and nearest(str(data), DATA_SETS):
        raise SettingsError(
            f"{did_you_mean('data set', str(data), DATA_SETS)}, or a folder with a sub-folder for each class, or "
            "a file .csv or .npz"
        )
    found = "is a file" if folder.exists() else "not found"
    names = f", or a data set: {', '.join(DATA_SETS)}" if is_word else ""
    raise DataError(
        f"{folder}: {found}; expected a folder with a sub-folder for each class, or a file .csv or .npz{names}"
    )
