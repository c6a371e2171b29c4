"""ImageNet, and its downsampled copies of 16×16 pixels for NAS-Bench-201."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from zarts.data.builtin import NamedSet
from zarts.data.config import Request
from zarts.data.dataset import DataSet, ImageSet
from zarts.data.decoding import Known
from zarts.data.download import array_set, note_on_others, numbered
from zarts.data.image_folder import load_folder
from zarts.data.safe_pickle import read_pickled
from zarts.errors import DataError

__all__ = ["load_imagenet", "load_imagenet16"]


_SIZE = 224
_KNOWN = Known((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), tests=("val", "test"))


def load_imagenet(name: str, request: Request) -> DataSet:
    """The images in `data_dir/imagenet`: `train/CLASS` and, for the test, `val/CLASS`, or `test/CLASS` without `val/`.

    Its 1,281,167 training images at 224×224 would take 193 GB of memory, so most machines stream them.

    Raises:
        DataError: the folder is missing (ImageNet's licence forbids others to offer it), or lacks one of these parts.

    Source: Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge (2015); mean and deviation as in the
        code of DARTS and its peers.
    """
    folder = request.data_dir / name
    if not folder.is_dir():
        raise DataError(
            f"{folder}: not found; get ImageNet (ILSVRC 2012) from https://image-net.org and put its images there, as "
            "train/CLASS/*.JPEG and val/CLASS/*.JPEG, or set --data-dir to the folder in which `imagenet` is"
        )
    size = request.image_size or _SIZE
    return replace(load_folder(folder, replace(request, image_size=size), _KNOWN), name=name)


_FOLDER = "ImageNet16"
_CLASSES = 1000
_MEAN = tuple(level / 255 for level in (122.68, 116.66, 104.01))
_STD = tuple(level / 255 for level in (63.22, 61.26, 65.09))
_MD5 = {
    "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
    "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
    "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
    "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
    "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
    "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
    "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
    "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
    "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
    "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
    "val_data": "3410e3017fdaefba8d5073aaa65e4bd6",
}


def load_imagenet16(data_dir: Path, classes: int = _CLASSES) -> NamedSet:
    """The images of the first `classes` of 1,000 classes, from the pickled files in `data_dir/ImageNet16`.

    NAS-Bench-201's ImageNet16-120 has 151,700 training images. All 6,000 of `val_data` are test images here; its
    paper validates on 3,000 of these and tests on the others. The names of the classes are their numbers, from 1.

    Raises:
        DataError: a file is missing (ImageNet's licence forbids others to offer it) or cannot be read.
    """
    folder = data_dir / _FOLDER
    test = folder / "val_data"
    if not test.is_file():
        raise DataError(
            f"{folder}: val_data is missing; get the files of ImageNet, downsampled to 16x16, from "
            "https://image-net.org/download-images (free of charge, after registration) and put train_data_batch_1 to "
            f"10 and val_data into {folder}"
        )
    files = numbered(folder, "train_data_batch_{}")
    notes = note_on_others("ImageNet16", (*files, test), _MD5)
    parts = [_read(file, classes) for file in files]
    train = ImageSet(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))
    names = tuple(str(i + 1) for i in range(classes))
    return NamedSet(names, train, partial(_read, test, classes), True, 50 * classes, _MEAN, _STD, notes)


def _read(file: Path, classes: int) -> ImageSet:
    """The images of a file with labels 1 to `classes`, as 0 to `classes` - 1."""
    batch = read_pickled(file)
    if missing := {"data", "labels"} - set(batch):
        raise DataError(
            f"{file}: has no {min(missing)!r}, only {', '.join(map(repr, sorted(map(str, batch))))}; get it again"
        )
    found = array_set(batch["data"], batch["labels"], _CLASSES, file, shape=(3, 16, 16), first=1)
    return found.take((found.labels < classes).nonzero()[:, 0])
