"""The request to a data set: size, subset, split and where images are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zarts.data.contents import Report, no_report
from zarts.data.preprocess import Bits, Fit, central_square, centre_of_larger
from zarts.runtime.system_memory import free_memory

__all__ = ["MEMORY_SHARE", "ImageCache", "Request"]

ImageCache = Literal["auto", "memory", "streamed"]
"""Where the images of a folder are kept."""

MEMORY_SHARE = 0.25
"""With `auto`, images that would take more than this share of the free memory are streamed."""


@dataclass(frozen=True)
class Request:
    """The request to a data set.

    Args:
        image_size: height and width; None: the set's own.
        subset: number of training images, or their share; None: all.
        seed: of the subset, of the split, and of the sample for mean and deviation.
        data_dir: folder of the registered data sets.
        manifest: manifest of an earlier load.
        image_cache: where the images of a folder are kept.
        copies: number of processes of this machine that keep images in memory.
        workers: threads of each process that decode streamed images and transform images one by one.
        resized: whether training images are random crops, resized; test images are then enlarged to match.
        allow_left_out: whether more than 5 % of the images may be left out.
        group_by: what keeps images together, see `zarts.data.groups`.
        goes_on: whether the manifest is that of a run that goes on, which needs the same training images.
        report: called with the progress of listing images.
        bits: of whole numbers of more than 8 bits in image files; None: as the training images use them, see
            `zarts.data.image_io.levels_of`.
        most: files that are read, drawn evenly from classes and parts by the seed; None: all.
    """

    image_size: int | None
    subset: int | float | None
    seed: int
    data_dir: Path
    manifest: Mapping[str, Any] | None
    image_cache: ImageCache
    copies: int
    workers: int
    resized: bool
    allow_left_out: bool = False
    group_by: str | None = None
    goes_on: bool = False
    report: Report = no_report
    bits: Bits | None = None
    most: int | None = None

    @property
    def test_fit(self) -> Fit:
        """Brings a test image to its size."""
        return centre_of_larger if self.resized else central_square

    def streams(self, count: int, size: int) -> bool:
        """Whether `count` colour images of this size are streamed."""
        if self.image_cache != "auto":
            return self.image_cache == "streamed"
        free = free_memory()
        return free is not None and count * 3 * size**2 * self.copies > MEMORY_SHARE * free
