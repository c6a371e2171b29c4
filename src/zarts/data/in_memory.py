"""Data sets that are published as arrays, which are always in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from zarts.data.builtin import NamedSet
from zarts.data.config import Request
from zarts.data.dataset import DataSet, ImageSet, channel_statistics
from zarts.data.known_split import check_unchanged
from zarts.data.preprocess import centre_of_larger
from zarts.data.split import subset_indices
from zarts.errors import SettingsError

__all__ = ["from_arrays"]


def from_arrays(load: Callable[[Path], NamedSet], name: str, request: Request) -> DataSet:
    """A data set in memory, resized, and perhaps a subset of it.

    Raises:
        SettingsError: the request asks for streamed images.
        DataError: the images cannot be used.
    """
    if request.image_cache == "streamed":
        raise SettingsError(f"image_cache = streamed: {name} has few large files, not one for each image: leave it out")
    if request.group_by is not None:
        raise SettingsError(f"group_by = {request.group_by}: {name} is published without file names: leave it out")
    published = load(request.data_dir)
    train = replace(published.train, workers=request.workers)
    written = {"source": name, "classes": len(published.classes), "train_images": len(train)}
    if request.manifest is not None:
        check_unchanged(request.manifest, written)
    counts = {"train": len(train), "test": published.test_count}
    if request.subset is not None:
        train = train.take(subset_indices(train.labels, request.subset, request.seed))
    train = _resized(train, request.image_size)
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
        load_test=partial(_load_test, published.load_test, request.image_size, request.resized),
        notes=published.notes,
        counts=counts,
    )


def _load_test(load: Callable[[], ImageSet], image_size: int | None, resized: bool) -> ImageSet:
    images = load()
    return _centres(images, image_size or images.size) if resized else _resized(images, image_size)


def _resized(images: ImageSet, size: int | None) -> ImageSet:
    if size is None or images.images.shape[-2:] == (size, size):
        return images
    pixels: UInt8[Tensor, "n c h w"] = interpolate(images.images, (size, size), mode="bilinear", antialias=True)
    return replace(images, images=pixels)


def _centres(images: ImageSet, size: int) -> ImageSet:
    """The centres of test images, for networks that are trained on resized crops."""
    pixels = np.empty((len(images), size, size, images.channels), dtype=np.uint8)
    for i in range(len(images)):
        image = images.read(i)
        centre = centre_of_larger(Image.fromarray(image.squeeze(2) if images.channels == 1 else image), size)
        pixels[i] = np.asarray(centre).reshape(pixels.shape[1:])
    return replace(images, images=torch.from_numpy(pixels).permute(0, 3, 1, 2))
