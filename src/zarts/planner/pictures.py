"""The images of a fit at the sizes that its networks take: to train on, and to validate on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from jaxtyping import Int64
from PIL import Image
from torch import Tensor

from zarts.config.fit import FitSettings
from zarts.config.retrain import FAST
from zarts.data import DATA_SETS, PYTHON, DataSet, Images, ImageSet, reading_time
from zarts.data.csv_list import csv_files, is_csv
from zarts.data.split import split_units
from zarts.errors import DataError
from zarts.runtime.paths import path_of
from zarts.runtime.seed import keyed_generator

__all__ = ["Pictures", "Reading", "Sized", "first_size", "how_many_to_read", "sizes_of"]

_SAMPLE = 50
"""Images whose size is looked up, for the sizes that networks may take."""
_SIZES = (64, 32)
"""Sides of larger images, in pixels, that networks may take."""

_SHARE = 0.1
"""Of the training images that validate where the user has named none."""
_FEW, _MORE = 3000, 0.2
"""Below so many training images, a larger share validates."""
_BATCHES = ((10_000, 128), (3_000, 64), (0, 32))
"""Training images from which on, and images of a batch."""
_READING, _LEAST_READ = 0.2, 1000
"""Share of the time for reading images, of which there are fewer where all would take more; but so many at least."""
_UNEVEN = 5
"""Times as many images of one class as of another that are worth a word."""
_MOST = 10_000
"""Images that validate."""


@dataclass(frozen=True, eq=False)
class Sized:
    """The images at one size.

    Args:
        data: the training images, without a way to the test images.
        train: (n,) indices of those that train.
        val: those that validate.
    """

    data: DataSet
    train: Int64[Tensor, " n"]
    val: Images


class Pictures:
    """Training and validation images by size; the same images are in each part at every size.

    Args:
        load: loads the data set at a size.
        sizes: pixels a side, that networks may take; the first one is loaded already.
        seed: of the part that validates.
        first: the data set at the first size.
    """

    def __init__(self, load: Callable[[int], DataSet], sizes: Sequence[int], seed: int, first: DataSet) -> None:
        self._load, self._seed = load, seed
        self.sizes = tuple(sizes)
        """Pixels a side, that networks may take."""
        own = first.val()
        count = len(first.train)
        if own is None:
            share = min(_MORE if count < _FEW else _SHARE, _MOST / count)
            units = torch.arange(count) if first.units is None else first.units
            labels = first.train.labels.cpu()
            self._val: Tensor | None
            self._train, self._val = split_units(labels, units, seed, "fit", share=share, each=False)
        else:
            self._train, self._val = torch.arange(count), None
        if len(self._train) < 2:
            raise DataError(f"{first.name}: {count} training images leave none to validate on: take more images")
        self._sized: dict[int, Sized] = {}
        self._add(first)

    def __getitem__(self, size: int) -> Sized:
        """The images at a size, loaded now if they are not yet."""
        if size not in self._sized:
            self._add(self._load(size))
        return self._sized[size]

    def _add(self, data: DataSet) -> None:
        val = data.train.take(self._val) if self._val is not None else data.val()
        assert val is not None
        if len(val) > _MOST:
            drawn = torch.randperm(len(val), generator=keyed_generator(self._seed, "fit", "val"))[:_MOST]
            val = val.take(drawn.sort().values)
        own = replace(data, load_test=_no_test, load_val=None, notes=(), manifest={})
        self._sized[data.image_size] = Sized(own, self._train, val)

    def shared(self) -> dict[int, Sized]:
        """All sizes so far, with their pixels in memory that other processes can use without a copy."""
        for one in self._sized.values():
            for images in (one.data.train, one.val):
                if isinstance(images, ImageSet):
                    images.images.share_memory_()  # type: ignore[no-untyped-call]
                    images.labels.share_memory_()  # type: ignore[no-untyped-call]
        return dict(self._sized)

    @property
    def batches(self) -> dict[str, Any]:
        """Images of a batch and the learning rate, in proportion, for so many training images."""
        count = self.train_count
        batch = min(next(batch for least, batch in _BATCHES if count >= least), max(2, count // 2))
        return {"batch_size": batch, "learning_rate": FAST["learning_rate"] * batch / FAST["batch_size"]}

    @property
    def uneven(self) -> str:
        """What uneven classes may want, in words; empty where they are even enough."""
        first = next(iter(self._sized.values())).data
        counts = torch.bincount(first.train.labels.cpu(), minlength=len(first.classes))
        least, most = int(counts.min()), int(counts.max())
        if most < _UNEVEN * max(1, least):
            return ""
        return (
            f"classes are uneven: {least} to {most} training images. If the rare ones matter as much, take "
            "--objective balanced-error to compare networks so, and --criterion balanced to train them so"
        )

    @property
    def train_count(self) -> int:
        """Images that train."""
        return len(self._train)


def _no_test() -> Images:
    """Trainings have no way to the test images."""
    raise DataError("a training of a fit asked for the test images, which are read once, at the end")


@dataclass(frozen=True)
class Reading:
    """How many files of a folder or of a list a fit reads.

    Args:
        files: in all, by their names.
        seconds: of reading one, at all sizes that networks may take.
        most: that are read; None: all.
    """

    files: int
    seconds: float
    most: int | None

    @staticmethod
    def read(decided: Mapping[str, Any] | None) -> Reading | None:
        """As a fit's file has it."""
        if decided is None:
            return None
        most = decided["most"]
        return Reading(int(decided["files"]), float(decided["seconds"]), None if most is None else int(most))

    def remark(self, counts: Mapping[str, int]) -> str:
        """That not all are read, and what time would be enough; empty: all are.

        Args:
            counts: images of each part that were read.
        """
        read = sum(counts.values())
        if self.most is None or read >= self.files:
            return ""
        minutes = math.ceil(self.files * self.seconds / _READING / 60)
        enough = f"{minutes}m" if minutes < 120 else f"{math.ceil(minutes / 60)}h"
        return (
            f"There was no time to read all {self.files:,} images: {read:,} were drawn, a like share of each class, of "
            f"the test images too. With --time {enough} all would be read."
        )


def first_size(settings: FitSettings) -> int | None:
    """The larger size that networks may take: that of the images, in steps of 4 pixels, 64 at most; None: their own."""
    place = _place_of(settings)
    if place is None:
        return None
    files = map(place.parent.joinpath, csv_files(place)) if is_csv(place) else place.rglob("*")
    sides = []
    for file in files:
        with suppress(OSError, ValueError, Image.DecompressionBombError), Image.open(file) as image:
            sides.append(min(image.size))
        if len(sides) == _SAMPLE:
            break
    return None if not sides else max(8, min(_SIZES[0], round(median(sides) / 4) * 4))


def sizes_of(settings: FitSettings, first: int) -> list[int]:
    """The sizes that networks may take, that of the first data set first."""
    if settings.image_size is not None or first < _SIZES[0]:
        return [first]
    return [first, *(size for size in _SIZES if size < first)]


def how_many_to_read(settings: FitSettings, size: int) -> dict[str, Any] | None:
    """How many files a fit has time to read, as its plan keeps it; None: few enough, or the images are in arrays.

    Args:
        settings: of the fit; one that names a subset reads all files.
        size: of the images, in pixels.
    """
    place = _place_of(settings)
    timed = None if place is None else reading_time(place, size, settings.split_seed)
    if timed is None:
        return None
    seconds = len(sizes_of(settings, size)) * timed.seconds
    most = max(_LEAST_READ, int(_READING * settings.time / seconds))
    fewer = settings.subset is None and most < timed.files
    return {"files": timed.files, "seconds": seconds, "most": most if fewer else None}


def _place_of(settings: FitSettings) -> Path | None:
    """The folder or the CSV file with the images; None: they are in arrays."""
    if settings.data == "imagenet":
        return path_of(settings.data_dir) / settings.data
    place = path_of(settings.data)
    named = settings.data in (*DATA_SETS, PYTHON)
    return place if not named and (place.is_dir() or is_csv(place)) else None
