"""A data set and its labelled images, in memory as uint8 or in files, with statistics and test images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from zarts.data.left_out import LeftOut
from zarts.data.streaming import StreamedSet
from zarts.data.transforms import Change, changed

__all__ = ["DataSet", "ImageSet", "Images", "channel_statistics"]

_STD_FLOOR = 1 / 255
"""One grey level: images of a constant colour are not divided by 0."""


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images in memory.

    Args:
        images: (n, c, h, w), 0 to 255; the loaders lay them out channels_last.
        labels: (n,), indices into the classes of the data set.
        names: for images from a folder, their paths relative to it; for those of an object, where in it they are.
        workers: threads that transform images one by one, if the augmentation does so; None: one for each processor,
            8 at most.
        left_out: images that could not be decoded.
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    names: tuple[str, ...] | None = None
    workers: int | None = None
    left_out: tuple[LeftOut, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Int64[Tensor, " m"]) -> ImageSet:
        """The images at `indices`, in that order."""
        names = None if self.names is None else tuple(self.names[i] for i in indices.tolist())
        return ImageSet(self.images[indices], self.labels[indices], names, self.workers)

    @property
    def size(self) -> int:
        """Width of an image."""
        return self.images.shape[-1]

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self.images.shape[1]

    def pixels(self, indices: Int64[Tensor, " m"]) -> UInt8[Tensor, "m c h w"]:
        """The images at `indices`."""
        return self.images[indices]

    def read(self, row: int, change: Change | None = None) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """One image, (h, w, c), after its change."""
        pixels = self.images[row].permute(1, 2, 0).numpy()
        return changed(pixels.squeeze(2) if self.channels == 1 else pixels, change).reshape(pixels.shape)


Images = ImageSet | StreamedSet
"""Labelled images, in memory or in their files."""


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set: its training images are loaded or listed, its test images are not yet.

    Args:
        name: the registered name, or the path of the folder.
        classes: names of the classes, in the order of the labels.
        train: the training images.
        mean: per channel, of images scaled to [0, 1].
        std: likewise.
        flip: whether a horizontal flip keeps the class.
        manifest: what a run folder keeps as `split.json`. For a folder that was split here it lists
            the `train` and the `test` images by name; else it has the name and the counts.
        load_test: loads the test images; call `test()`.
        load_val: loads the validation images; call `val()`. None: the user has named none.
        notes: messages to the user, a sentence each; empty when all is as expected.
        left_out: files that are not used, and why.
        counts: number of images of each part, as far as they are known.
        units: (n,) training images of the same unit stay together in a search; None: each is one.
        bits: of whole numbers of more than 8 bits in image files, see `zarts.data.image_io.levels_of`.
    """

    name: str
    classes: tuple[str, ...]
    train: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flip: bool
    manifest: Mapping[str, Any]
    load_test: Callable[[], Images] = field(repr=False)
    notes: tuple[str, ...] = ()
    load_val: Callable[[], Images] | None = field(default=None, repr=False)
    left_out: tuple[LeftOut, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    units: Int64[Tensor, " n"] | None = None
    bits: Mapping[str, int] = field(default_factory=dict)

    @property
    def image_size(self) -> int:
        """Height and width of an image."""
        return self.train.size

    @property
    def channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self.train.channels

    @property
    def kept(self) -> Literal["memory", "streamed"]:
        """Where the training images are."""
        return "streamed" if isinstance(self.train, StreamedSet) else "memory"

    def test(self) -> Images:
        """The test images, read or listed now; nothing opens them before this call.

        Raises:
            DataError: they cannot be read, or their classes differ from those of the training images.
        """
        return self.load_test()

    def val(self) -> Images | None:
        """The validation images that a search updates alpha by; None: it takes half of the training images.

        Raises:
            DataError: they cannot be read.
        """
        return None if self.load_val is None else self.load_val()


def channel_statistics(images: UInt8[Tensor, "n c h w"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of images scaled to [0, 1].

    They come from the histogram of the 256 levels: exact, and the same for any number of threads.

    Returns:
        `(mean, std)`; std is at least one grey level, so that it is never 0.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.unbind(1):
        counts = torch.bincount(channel.reshape(-1), minlength=256)
        share = counts / counts.sum(dtype=torch.float64)
        mean = (share * levels).sum()
        means.append(float(mean))
        stds.append(max(float((share * (levels - mean).square()).sum().sqrt()), _STD_FLOOR))
    return tuple(means), tuple(stds)
