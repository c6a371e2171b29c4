"""CIFAR-10 and CIFAR-100 in both published formats: pickled batches of Python, and binary files.

Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009); https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zarts.data.dataset import ImageSet
from zarts.data.download import array_set, downloaded, note_on_others, numbered
from zarts.data.safe_pickle import read_pickled
from zarts.errors import DataError

__all__ = ["CIFAR10", "CIFAR100", "Cifar", "Parts"]

_PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Parts:
    """The files of a data set.

    Args:
        classes: names of the classes.
        files: the files with training images.
        test: the file with test images.
        read: reads one file.
        notes: messages to the user.
    """

    classes: tuple[str, ...]
    files: Sequence[Path]
    test: Path
    read: Any
    notes: tuple[str, ...]

    def train_images(self) -> ImageSet:
        """All training images, in the order of the files."""
        parts = [self.read(file) for file in self.files]
        images = torch.cat([part.images for part in parts]).contiguous(memory_format=torch.channels_last)
        return ImageSet(images, torch.cat([part.labels for part in parts]))

    def test_images(self) -> ImageSet:
        """All test images."""
        images: ImageSet = self.read(self.test)
        return images


@dataclass(frozen=True)
class Cifar:
    """File names and keys of CIFAR-10 or CIFAR-100.

    Args:
        kind: torchvision's class, which has the URL and the checksums of the pickled files.
        train: name of the files with training images, numbered where it has a `{}`; binary files end in `.bin`.
        test: name of the file with test images.
        label: key of the labels in a pickled file.
        names: in the pickled format, the file with the names of the classes, and their key.
        binary: in the binary format, the folder, the file with the names of the classes, the number of label bytes
            before the pixels (the last one counts), and the published numbers of training and test images.
    """

    kind: str
    train: str
    test: str
    label: str
    names: tuple[str, str]
    binary: tuple[str, str, int, tuple[int, int]]

    def open(self, data_dir: Path) -> Parts:
        """Open the pickled files below `data_dir`, or else the binary files; download them if there are neither.

        Raises:
            DataError: some files are missing, or all files are missing and cannot be downloaded.
        """
        from torchvision import datasets

        published = getattr(datasets, self.kind)
        folder, binary = data_dir / published.base_folder, data_dir / self.binary[0]
        if not folder.is_dir() and binary.is_dir():
            return self._open_binary(binary)
        if not folder.is_dir():
            get = partial(
                datasets.utils.download_and_extract_archive,
                published.url,
                data_dir,
                filename=published.filename,
                md5=published.tgz_md5,
            )
            downloaded(get, name=self.kind, file=published.filename, url=published.url, folder=data_dir)
        return self._open_pickled(folder, published)

    def _open_pickled(self, folder: Path, published: Any) -> Parts:
        file, key = self.names
        classes = _names(_value(read_pickled(_there(folder / file)), key, folder / file), folder / file)
        train, test = self._files(folder, "")
        checksums = dict((*published.train_list, *published.test_list))
        notes = note_on_others(self.kind, (*train, test), checksums)
        return Parts(classes, train, test, partial(self._read_pickled, len(classes)), notes)

    def _open_binary(self, folder: Path) -> Parts:
        _, file, _, published = self.binary
        classes = tuple(_there(folder / file).read_text(encoding="utf-8").split())
        train, test = self._files(folder, ".bin")
        record = self.binary[2] + _PIXELS
        counts = tuple(sum(f.stat().st_size for f in files) // record for files in (train, [test]))
        notes = (
            ()
            if counts == published
            else (
                f"{self.kind}: {folder} has {counts[0]} and {counts[1]} images, the published files {published[0]} and "
                f"{published[1]}; they are used as they are",
            )
        )
        return Parts(classes, train, test, partial(self._read_binary, len(classes)), notes)

    def _files(self, folder: Path, suffix: str) -> tuple[list[Path], Path]:
        train = (
            numbered(folder, self.train + suffix) if "{}" in self.train else [_there(folder / (self.train + suffix))]
        )
        return train, _there(folder / (self.test + suffix))

    def _read_pickled(self, classes: int, file: Path) -> ImageSet:
        batch = read_pickled(file)
        return array_set(_value(batch, "data", file), _value(batch, self.label, file), classes, file)

    def _read_binary(self, classes: int, file: Path) -> ImageSet:
        before = self.binary[2]
        content = np.frombuffer(file.read_bytes(), dtype=np.uint8)
        if len(content) % (before + _PIXELS):
            raise DataError(
                f"{file}: has {len(content)} bytes, not a multiple of {before + _PIXELS} ({before} of labels, "
                f"{_PIXELS} of pixels); get the file again"
            )
        records = content.reshape(-1, before + _PIXELS)
        return array_set(records[:, before:], records[:, before - 1], classes, file)


CIFAR10 = Cifar(
    "CIFAR10",
    "data_batch_{}",
    "test_batch",
    "labels",
    ("batches.meta", "label_names"),
    ("cifar-10-batches-bin", "batches.meta.txt", 1, (50_000, 10_000)),
)
CIFAR100 = Cifar(
    "CIFAR100",
    "train",
    "test",
    "fine_labels",
    ("meta", "fine_label_names"),
    ("cifar-100-binary", "fine_label_names.txt", 2, (50_000, 10_000)),
)


def _there(file: Path) -> Path:
    if not file.is_file():
        raise DataError(f"{file.parent}: {file.name} is missing; get the data set again, or remove the folder")
    return file


def _value(content: dict[str, Any], key: str, file: Path) -> Any:
    if key not in content:
        raise DataError(
            f"{file}: has no {key!r}, only {', '.join(map(repr, sorted(map(str, content))))}; get the file again"
        )
    return content[key]


def _names(values: Any, file: Path) -> tuple[str, ...]:
    names = [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]
    if not all(isinstance(name, str) for name in names) or len(names) < 2:
        raise DataError(f"{file}: expected the names of two or more classes; get the file again")
    return tuple(names)
