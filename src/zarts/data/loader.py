"""Endless batches of images, each a pure function of (seed, stream, index)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from zarts.data.batch_transforms import Augment, Draws
from zarts.data.dataset import Images, ImageSet
from zarts.data.prefetch import Job, Prefetcher
from zarts.errors import DataError, SettingsError
from zarts.runtime.seed import keyed_generator

__all__ = ["Batches"]


class Batches:
    """Normalised batches of images, numbered from 0 without end.

    Batch `index` is step `index % len` of epoch `index // len`. The order of an epoch and the
    augmentation of a batch come from generators seeded by a hash of (seed, stream, epoch) and of
    (seed, stream, index). So any batch can be made again, and a checkpoint only keeps the next index.

    Threads make images that are streamed or transformed one by one ahead of time, on the CPU. The result does not
    depend on these threads, nor on the order in which batches are requested.

    With `shuffle`, the last batch of an epoch may be smaller, as in DARTS; it is left out if it would be a single
    image, which batch norm cannot use. Without, all images are kept.

    Args:
        images: the images; if in memory, moved to `device` once, as uint8.
        indices: which of them, or None for all.
        batch_size: images of a batch.
        seed: a batch depends on it, on `stream` and on its index, and on nothing else.
        stream: a name for the use of the batches; two streams have independent orders.
        mean: per channel, of images scaled to [0, 1].
        std: likewise.
        augment: the augmentation, or None.
        device: where the batches are made and stay.
        shuffle: False takes `indices` in their order, for testing.
        shard: maps the number of images of a batch to those that this process uses; None: all. Others are
            not decoded: their pixels are black.

    Raises:
        SettingsError: the batch size is below 1, or the augmentation does not fit the images.
        DataError: there are no images, or fewer than `batch_size` to shuffle.
    """

    def __init__(
        self,
        images: Images,
        indices: Int64[Tensor, " m"] | None = None,
        *,
        batch_size: int,
        seed: int,
        stream: str,
        mean: Sequence[float],
        std: Sequence[float],
        augment: Augment | None = None,
        device: torch.device | str = "cpu",
        shuffle: bool = True,
        shard: Callable[[int], slice] | None = None,
    ) -> None:
        height, width = images.images.shape[-2:] if isinstance(images, ImageSet) else (images.size, images.size)
        channels = images.channels
        count = len(images) if indices is None else len(indices)
        _check(count, batch_size, stream, shuffle, channels, mean, std)
        if augment is not None:
            augment.check(min(height, width), channels)
        self.batch_size = batch_size
        self._seed, self._stream, self._augment, self._shuffle = seed, stream, augment, shuffle
        self._device = torch.device(device)
        self._images, self._shard = images, shard
        self._pixels: Tensor | None = None
        self._one_by_one = augment is not None and augment.one_by_one
        if isinstance(images, ImageSet) and not self._one_by_one:
            self._pixels = images.images.to(self._device).permute(0, 2, 3, 1).contiguous()  # (n, h, w, c)
        self._labels = images.labels.to(self._device)
        self._indices = torch.arange(count) if indices is None else indices.cpu()
        whole, rest = divmod(count, batch_size)
        self._length = whole + (rest > 1 if shuffle else rest > 0)
        shape, last = (height, width, channels), None if shuffle else self._length
        self._ahead = Prefetcher(self._jobs, shape, batch_size, images.workers, last)
        # (x / 255 - mean) / std = x * scale + shift, tiled over a row of the image: long runs vectorise
        deviation = torch.tensor(tuple(std), dtype=torch.float64)
        scale, shift = 1 / (255 * deviation), -torch.tensor(tuple(mean), dtype=torch.float64) / deviation
        self._scale, self._shift = (t.float().repeat(width).to(self._device) for t in (scale, shift))
        self._orders: dict[int, Tensor] = {}
        self._mirrored: Tensor | None = None  # in even epochs, if flips alternate
        if augment is not None and augment.alternating:
            generator = keyed_generator(*self._key("mirrored", 0))
            self._mirrored = torch.randint(2, (len(images),), generator=generator).bool()

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._length

    @property
    def mean_size(self) -> float:
        """Images of a batch, on average over an epoch."""
        return min(len(self._indices), len(self) * self.batch_size) / len(self)

    @property
    def prefetched(self) -> bool:
        """Whether threads make the images ahead, one by one; else a batch is made whole, of images in memory."""
        return self._pixels is None

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass in order.

        Raises:
            TypeError: the batches are shuffled and have no end; take `batches[index]`.
        """
        if self._shuffle:
            raise TypeError(f"batches {self._stream!r} are shuffled and endless; take batches[index]")
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> tuple[Float32[Tensor, "b c h w"], Int64[Tensor, " b"]]:
        """Batch `index`, 0 or more: images, channels_last and normalised, and labels."""
        if index < 0:
            raise IndexError(f"batch index is {index}; batches are numbered from 0")
        rows = self._rows(index).to(self._device)
        pixels = self._ahead[index].to(self._device) if self._pixels is None else self._pixels.index_select(0, rows)
        if self._augment is None or index // len(self) < self._augment.after:
            normalised = self._normalise(pixels)
        else:
            b, h, w, _ = pixels.shape
            drawn = self._augment.draw(b, h, w, keyed_generator(*self._key("augment", index)))
            if self._mirrored is not None:
                drawn = drawn._replace(flip=self._mirrored[rows.cpu()] ^ bool(index // len(self) % 2))
            draws = Draws(*(t.to(self._device) for t in drawn))
            normalised = self._augment.cut_(self._normalise(self._augment.crop_and_flip(pixels, draws)), draws)
        return normalised.permute(0, 3, 1, 2), self._labels[rows]

    def _normalise(self, pixels: Tensor) -> Tensor:
        rows = pixels.flatten(2).to(torch.float32)  # (b, h, w * c)
        return rows.mul_(self._scale).add_(self._shift).view(pixels.shape)

    def _jobs(self, index: int) -> list[Job | None]:
        """The functions that make the images of a batch."""
        rows = self._rows(index).tolist()
        jobs: list[Job | None] = [partial(self._images.read, row) for row in rows]
        if self._augment is not None and self._one_by_one:
            changes = self._augment.changes(len(rows), keyed_generator(*self._key("samples", index)))
            jobs = [partial(self._images.read, row, change) for row, change in zip(rows, changes, strict=True)]
        if self._shard is not None:
            part = range(len(rows))[self._shard(len(rows))]
            jobs = [job if i in part else None for i, job in enumerate(jobs)]
        return jobs

    def _rows(self, index: int) -> Tensor:
        """Indices of the images of a batch."""
        epoch, step = divmod(index, len(self))
        return self._epoch_order(epoch)[step * self.batch_size : (step + 1) * self.batch_size]

    def _epoch_order(self, epoch: int) -> Tensor:
        if not self._shuffle:
            return self._indices
        if epoch not in self._orders:
            if len(self._orders) > 1:  # this epoch's and the next one's, for batches made ahead
                del self._orders[next(iter(self._orders))]
            order = torch.randperm(len(self._indices), generator=keyed_generator(*self._key("order", epoch)))
            self._orders[epoch] = self._indices[order]
        return self._orders[epoch]

    def _key(self, use: str, number: int) -> tuple[int | str, ...]:
        return self._seed, self._stream, use, number


def _check(
    count: int,
    batch_size: int,
    stream: str,
    shuffle: bool,
    channels: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> None:
    if batch_size < 1:
        raise SettingsError(f"batch_size is {batch_size}: take 1 or more")
    if count == 0:
        raise DataError(f"batches {stream!r} have no images: take more training images")
    if shuffle and count < batch_size:
        raise DataError(
            f"batches {stream!r} have {count} images, fewer than one batch of {batch_size}: "
            f"take --batch-size {count} or less"
        )
    if not len(mean) == len(std) == channels:
        raise SettingsError(
            f"mean has {len(mean)} and std {len(std)} values; images with {channels} channels need {channels}"
        )
