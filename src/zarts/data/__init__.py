"""Data sets by name or by folder, their splits, and batches of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate

from zarts.data.augment import Augment, Draws
from zarts.data.batches import Batches
from zarts.data.decode import read_image
from zarts.data.folder import load_folder
from zarts.data.images import DataSet, ImageSet, channel_statistics
from zarts.data.listing import check_unchanged
from zarts.data.named import NamedSet, load_cifar10, load_cifar100, load_digits, load_svhn
from zarts.data.split import halves, subset_indices
from zarts.errors import DataError, SettingsError, unknown
from zarts.seeds import keyed_generator

__all__ = [
    "DATA_SETS",
    "DEFAULT_DATA_DIR",
    "Augment",
    "Batches",
    "DataSet",
    "Draws",
    "ImageSet",
    "channel_statistics",
    "check_data",
    "halves",
    "keyed_generator",
    "load_data",
    "read_image",
]

DATA_SETS: dict[str, Callable[[Path], NamedSet]] = {
    "digits": load_digits,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "svhn": load_svhn,
}

DEFAULT_DATA_DIR = "~/.cache/zarts"


def load_data(
    data: str | Path,
    *,
    image_size: int | None = None,
    subset: int | None = None,
    seed: int = 0,
    data_dir: Path | str = DEFAULT_DATA_DIR,
    manifest: Mapping[str, Any] | None = None,
) -> DataSet:
    """Load the training images of a data set; its test images wait for `DataSet.test()`.

    Args:
        data: a name in `DATA_SETS`, or the path of a folder of images (see `load_folder`). A name wins
            over a folder of the same name, which can be given as `./NAME`.
        image_size: height and width, a multiple of 4 and at least 8; None is the set's own size, and 32
            for a folder.
        subset: how many of the training images, stratified; None is all.
        seed: of the subset and, for a folder without `train/` and `test/`, of the split.
        data_dir: where downloaded sets are kept.
        manifest: `manifest` of an earlier load, to have the same split of a folder again, or to be told that the
            training images have changed.

    Raises:
        SettingsError: an unknown name, or a size that the networks cannot use.
        DataError: the images cannot be used.
    """
    if image_size is not None and (image_size < 8 or image_size % 4):
        raise SettingsError(f"image_size is {image_size}; it needs to be 8 or more and a multiple of 4")
    check_data(data)
    name = str(data)
    if name in DATA_SETS:
        return _load_named(name, image_size, subset, seed, Path(data_dir).expanduser(), manifest)
    return load_folder(Path(data).expanduser(), image_size, subset, seed, manifest)


def check_data(data: str | Path) -> None:
    """Whether `data` is the name of a data set or an existing folder; nothing is read.

    Raises:
        SettingsError: an unknown name.
        DataError: a path where there is no folder.
    """
    folder = Path(data).expanduser()
    if str(data) in DATA_SETS or folder.is_dir():
        return
    if isinstance(data, str) and not any(sep in data for sep in ("/", os.sep)):
        raise SettingsError(
            f"{unknown('data set', data, DATA_SETS)}, or the path of a folder of images with one sub-folder a class"
        )
    found = "is a file" if folder.exists() else "not found"
    raise DataError(f"{folder}: {found}; expected a folder of images with one sub-folder a class")


def _load_named(
    name: str,
    image_size: int | None,
    subset: int | None,
    seed: int,
    data_dir: Path,
    manifest: Mapping[str, Any] | None,
) -> DataSet:
    published = DATA_SETS[name](data_dir)
    train = published.train
    written = {"source": name, "classes": len(published.classes), "train_images": len(train)}
    if manifest is not None:
        check_unchanged(manifest, written)
    if subset is not None:
        train = train.take(subset_indices(train.labels, subset, seed))
    train = _resized(train, image_size)
    mean, std = published.mean, published.std
    if mean is None or std is None:
        mean, std = channel_statistics(train.images)
    return DataSet(
        name=name,
        classes=published.classes,
        train=train,
        mean=mean,
        std=std,
        flip=published.flip,
        manifest=written,
        load_test=partial(_load_test, published.load_test, image_size),
    )


def _load_test(load: Callable[[], ImageSet], image_size: int | None) -> ImageSet:
    return _resized(load(), image_size)


def _resized(images: ImageSet, size: int | None) -> ImageSet:
    if size is None or images.images.shape[-2:] == (size, size):
        return images
    pixels: UInt8[Tensor, "n c h w"] = interpolate(images.images, (size, size), mode="bilinear", antialias=True)
    return ImageSet(pixels, images.labels, images.names)
