"""Registered data sets at their original size: scikit-learn's digits and the data sets of the papers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from zarts.data.cifar import CIFAR10, CIFAR100, Cifar
from zarts.data.dataset import ImageSet
from zarts.data.download import array_set, downloaded, note_on_others
from zarts.data.split import split_test
from zarts.errors import DataError

__all__ = ["NamedSet", "load_cifar10", "load_cifar100", "load_cifar100_p_darts", "load_digits", "load_svhn"]


@dataclass(frozen=True, eq=False)
class NamedSet:
    """A data set as published.

    Args:
        classes: names of the classes.
        train: all training images.
        load_test: loads all test images.
        flip: whether a horizontal flip keeps the class.
        test_count: test images.
        mean: per channel, of images scaled to [0, 1]; None: computed from the training images that are used.
        std: likewise.
        notes: messages to the user.
    """

    classes: tuple[str, ...]
    train: ImageSet
    load_test: Callable[[], ImageSet]
    flip: bool
    test_count: int
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()


def load_digits(data_dir: Path) -> NamedSet:
    """1,797 grey 8×8 digits, which come with scikit-learn: 1,438 to train and 359 to test.

    The split is stratified and the same for every seed, because a benchmark has one test set.

    Args:
        data_dir: ignored.
    """
    return NamedSet(
        tuple("0123456789"), _read_digits(train=True), partial(_read_digits, train=False), flip=False, test_count=359
    )


def load_cifar10(data_dir: Path) -> NamedSet:
    """CIFAR-10: 50,000 and 10,000 colour images, 32×32 (Krizhevsky, 2009)."""
    return _cifar(CIFAR10, data_dir, (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def load_cifar100(data_dir: Path) -> NamedSet:
    """CIFAR-100: 50,000 and 10,000 colour images, 32×32 (Krizhevsky, 2009)."""
    return _cifar(CIFAR100, data_dir, (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762))


def load_cifar100_p_darts(data_dir: Path) -> NamedSet:
    """CIFAR-100 with mean and standard deviation of the released code of P-DARTS (Chen et al., ICCV 2019)."""
    return _cifar(CIFAR100, data_dir, (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))


def load_svhn(data_dir: Path) -> NamedSet:
    """SVHN: 73,257 and 26,032 street numbers, 32×32 (Netzer et al., 2011), without the `extra` images.

    The images are flipped, although a mirrored digit is another sign. The code of ZARTS and of its peers does so, and
    only the same images give comparable numbers.

    Raises:
        DataError: a file is missing and cannot be downloaded, or it cannot be read.
    """
    from torchvision import datasets

    files, published = [], datasets.SVHN.split_list
    for part in ("train", "test"):
        url, file, md5 = published[part]
        if not (data_dir / file).is_file():
            get = partial(datasets.utils.download_url, url, data_dir, file, md5)
            downloaded(get, name="SVHN", file=file, url=url, folder=data_dir)
        files.append(data_dir / file)
    notes = note_on_others("SVHN", files, {published[part][1]: published[part][2] for part in ("train", "test")})
    return NamedSet(
        tuple("0123456789"),
        _read_svhn(files[0]),
        partial(_read_svhn, files[1]),
        flip=True,
        test_count=26_032,
        mean=(0.4377, 0.4438, 0.4728),
        std=(0.1980, 0.2010, 0.1970),
        notes=notes,
    )


def _read_digits(*, train: bool) -> ImageSet:
    from sklearn import datasets

    digits = datasets.load_digits()
    images = torch.from_numpy((digits.images * (255 / 16)).round().astype(np.uint8))[:, None]  # levels 0 to 16
    labels = torch.from_numpy(digits.target.astype(np.int64))
    return ImageSet(images, labels).take(split_test(labels, "digits")[0 if train else 1])


def _cifar(kind: Cifar, data_dir: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> NamedSet:
    parts = kind.open(data_dir)
    return NamedSet(parts.classes, parts.train_images(), parts.test_images, True, 10_000, mean, std, parts.notes)


def _read_svhn(file: Path) -> ImageSet:
    """A MATLAB file with `X`, (32, 32, 3, n), and `y`, 1 to 10, where 10 is the digit 0."""
    from scipy.io import loadmat

    try:
        content = loadmat(file, variable_names=["X", "y"])
    except Exception as error:  # on damaged files scipy's reader raises nearly anything
        raise DataError(f"{file}: cannot be read ({str(error).splitlines()[0]}); get the file again") from error
    if missing := {"X", "y"} - set(content):
        raise DataError(f"{file}: has no {min(missing)!r}, expected X (images) and y (labels); get the file again")
    pixels, labels = content["X"], content["y"].reshape(-1).astype(np.int64)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:3] != (32, 32, 3):
        raise DataError(
            f"{file}: X is {pixels.dtype} {pixels.shape}, expected uint8 (32, 32, 3, n); get the file again"
        )
    rows = pixels.transpose(3, 2, 0, 1).reshape(pixels.shape[3], -1)
    return array_set(rows, np.where(labels == 10, 0, labels), 10, file)
