"""The registered data sets, at their own size: scikit-learn's digits and the sets of the papers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zarts.data.images import ImageSet
from zarts.data.split import split_test
from zarts.errors import DataError

__all__ = ["NamedSet", "load_cifar10", "load_cifar100", "load_digits", "load_svhn"]


@dataclass(frozen=True, eq=False)
class NamedSet:
    """A data set as published.

    Args:
        classes: names of the classes.
        train: all training images.
        load_test: loads all test images.
        flip: whether a horizontal flip keeps the class.
        mean: per channel, of images scaled to [0, 1]; None: to be computed from the training images used.
        std: likewise.
    """

    classes: tuple[str, ...]
    train: ImageSet
    load_test: Callable[[], ImageSet]
    flip: bool
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def load_digits(data_dir: Path) -> NamedSet:
    """1,797 grey 8×8 digits, which come with scikit-learn: 1,438 to train and 359 to test.

    A benchmark has one test set: the split is stratified and always the same, whatever the seed of a run.

    Args:
        data_dir: not needed.
    """
    return NamedSet(tuple("0123456789"), _read_digits(train=True), partial(_read_digits, train=False), flip=False)


def load_cifar10(data_dir: Path) -> NamedSet:
    """CIFAR-10: 50,000 and 10,000 colour images, 32×32 (Krizhevsky, 2009)."""
    return _published("CIFAR10", data_dir, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def load_cifar100(data_dir: Path) -> NamedSet:
    """CIFAR-100: 50,000 and 10,000 colour images, 32×32 (Krizhevsky, 2009)."""
    return _published("CIFAR100", data_dir, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))


def load_svhn(data_dir: Path) -> NamedSet:
    """SVHN: 73,257 and 26,032 street numbers, 32×32 (Netzer et al., 2011), without the `extra` images.

    A mirrored digit is another sign, yet the images are flipped, as in the code of ZARTS and its peers:
    numbers to be compared with theirs need the same images.
    """
    return _published("SVHN", data_dir, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))


def _read_digits(*, train: bool) -> ImageSet:
    from sklearn import datasets

    digits = datasets.load_digits()
    images = torch.from_numpy((digits.images * (255 / 16)).round().astype(np.uint8))[:, None]  # levels 0 to 16
    labels = torch.from_numpy(digits.target.astype(np.int64))
    return ImageSet(images, labels).take(split_test(labels, "digits")[0 if train else 1])


def _published(name: str, data_dir: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> NamedSet:
    dataset = _open(name, data_dir, train=True)
    classes = tuple(getattr(dataset, "classes", "0123456789"))
    return NamedSet(classes, _to_images(dataset), partial(_read_test, name, data_dir), True, mean, std)


def _read_test(name: str, data_dir: Path) -> ImageSet:
    return _to_images(_open(name, data_dir, train=False))


def _open(name: str, data_dir: Path, *, train: bool) -> Any:
    """One part of a set of torchvision; downloaded if its files are missing or damaged.

    torchvision unpickles the CIFAR files, but only after their published MD5 sums have been checked.
    For that it reads (and does not decode) the test file of CIFAR too.

    Raises:
        DataError: the files are not there and cannot be downloaded.
    """
    from torchvision import datasets

    make = getattr(datasets, name)
    split = "train" if train else "test"
    part = {"split": split} if name == "SVHN" else {"train": train}
    url, file = make.split_list[split][:2] if name == "SVHN" else (make.url, make.filename)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")  # numpy 2.4 on CIFAR's pickles
        try:
            return make(data_dir, **part)
        except RuntimeError:  # torchvision's word for missing or damaged files
            pass
        try:
            return make(data_dir, **part, download=True)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"{name}: {file} is missing or damaged in {data_dir} and cannot be downloaded "
                f"({str(error).splitlines()[0]}); get {url} and put it into {data_dir}"
            ) from error


def _to_images(dataset: Any) -> ImageSet:
    """The arrays of a torchvision set: CIFAR is (n, h, w, c), SVHN (n, c, h, w)."""
    pixels: Tensor = torch.from_numpy(dataset.data)
    if pixels.shape[-1] == 3:
        pixels = pixels.permute(0, 3, 1, 2)
    labels = dataset.labels if hasattr(dataset, "labels") else dataset.targets
    images = pixels.contiguous(memory_format=torch.channels_last)
    return ImageSet(images, torch.as_tensor(labels, dtype=torch.int64))
