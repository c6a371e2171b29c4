"""What is asked of a data set, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from zarts.data.image_io import Fit, central_square, centre_of_larger
from zarts.runtime.system_memory import free_memory

__all__ = ["MEMORY_SHARE", "ImageCache", "Request"]

ImageCache = Literal["auto", "memory", "streamed"]
"""Where images are kept that come one a file."""

MEMORY_SHARE = 0.25
"""Images that would take more than this part of the free memory are streamed, where that is left open."""


@dataclass(frozen=True)
class Request:
    """What is asked of a data set.

    Args:
        image_size: height and width; None: the set's own.
        subset: how many of the training images, or which share of them; None: all.
        seed: of the subset, of the split, and of the sample that statistics are taken of.
        data_dir: where the named sets are.
        manifest: that of an earlier load.
        images: where images from files are kept.
        copies: how many processes of this machine keep them.
        workers: threads of each process that decode streamed images and change images one by one.
        resized: whether training images will be cropped and resized, so that test images are seen from as near.
    """

    image_size: int | None
    subset: int | float | None
    seed: int
    data_dir: Path
    manifest: Mapping[str, Any] | None
    images: ImageCache
    copies: int
    workers: int
    resized: bool

    @property
    def test_fit(self) -> Fit:
        """What of a test image is seen."""
        return centre_of_larger if self.resized else central_square

    def streams(self, count: int, size: int) -> bool:
        """Whether so many colour images of this size are streamed."""
        if self.images != "auto":
            return self.images == "streamed"
        free = free_memory()
        return free is not None and count * 3 * size**2 * self.copies > MEMORY_SHARE * free
