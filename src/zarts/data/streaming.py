"""Labelled images that stay where they are and are read when a batch needs them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jaxtyping import Int64, UInt8
from torch import Tensor

from zarts.data.image_io import ImageSource, decode
from zarts.data.preprocess import Fit, Mode, Pixels, central_square
from zarts.data.transforms import Change, changed

__all__ = ["StreamedSet"]


@dataclass(frozen=True, eq=False)
class StreamedSet:
    """Labelled images in files, or in an object of the user's.

    Args:
        source: reads them.
        names: which of its images.
        labels: (n,), indices into the classes of the data set.
        size: height and width of the decoded images.
        channels: 1 or 3, of the decoded images.
        workers: threads that decode; None: one for each processor, 8 at most.
        fit: brings an image without a random crop to its size.
    """

    source: ImageSource
    names: tuple[str, ...]
    labels: Int64[Tensor, " n"]
    size: int
    channels: int
    workers: int | None = None
    fit: Fit = central_square

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Int64[Tensor, " m"]) -> StreamedSet:
        """The images at `indices`, in that order; none is opened."""
        return replace(self, names=tuple(self.names[i] for i in indices.tolist()), labels=self.labels[indices])

    def pixels(self, indices: Int64[Tensor, " m"]) -> UInt8[Tensor, "m c h w"]:
        """The images at `indices`, decoded now.

        Raises:
            DataError: an image cannot be read.
        """
        return decode(self.source, [self.names[i] for i in indices.tolist()], self.size, self.channels, self.fit)

    def read(self, row: int, change: Change | None = None) -> Pixels:
        """One image, (size, size, channels), after its change; a crop is taken from the whole image as it is stored.

        Raises:
            DataError: the image cannot be read.
        """
        name, size = self.names[row], self.size
        mode: Mode = "L" if self.channels == 1 else "RGB"
        if change is not None and change.crop is not None:
            image = self.source.read(name, size, mode, change)
        else:
            image = changed(self.source.read(name, size, mode, self.fit), change)
        return image.reshape(size, size, self.channels)
