"""Read image files of any kind into one uint8 tensor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from zarts.data.file_index import on_disk
from zarts.errors import DataError

__all__ = [
    "SUFFIXES",
    "FileSource",
    "Fit",
    "ImageSource",
    "Mode",
    "Pixels",
    "central_square",
    "centre_of_larger",
    "decode",
    "eight_bits",
    "fitted",
    "read_image",
]

Fit = Callable[[Image.Image, int], Image.Image]
"""Brings an image of any size to a square of the given side in pixels."""

Mode = Literal["L", "RGB"]
"""Grey or colour."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""(h, w) or (h, w, 3), 0 to 255."""

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})

_TEST_MARGIN = 256 / 224
_CHUNK = 64
_MAX_THREADS = 8


def central_square(image: Image.Image, size: int) -> Image.Image:
    """The central square, resized (bilinear, antialiased): the same as resizing the shorter side and cropping."""
    if image.size == (size, size):
        return image
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def centre_of_larger(image: Image.Image, size: int) -> Image.Image:
    """The centre after the shorter side was resized to `size` times 256 / 224: how ImageNet is tested.

    Source: torchvision's transforms `Resize(256)` and `CenterCrop(224)`, in the code of DARTS and its peers.
    """
    from torchvision.transforms.v2 import functional

    larger = functional.resize(image, [round(size * _TEST_MARGIN)], antialias=True)
    cropped: Image.Image = functional.center_crop(larger, [size, size])
    return cropped


@runtime_checkable
class ImageSource(Protocol):
    """Reads images by name, from several threads at once."""

    def read(self, name: str, size: int, mode: Mode | None = None, fit: Fit = central_square) -> Pixels:
        """One image, brought to `size`; see `read_image`.

        Raises:
            DataError: the image cannot be read.
        """


@dataclass(frozen=True)
class FileSource:
    """Image files, named relative to a folder.

    Args:
        root: the folder.
    """

    root: Path

    def read(self, name: str, size: int, mode: Mode | None = None, fit: Fit = central_square) -> Pixels:
        """The image in one file; see `read_image`."""
        return read_image(Path(on_disk(self.root, name)), size, mode, fit)


def decode(
    source: ImageSource,
    names: Sequence[str],
    size: int,
    channels: int | None = None,
    fit: Fit = central_square,
    failed: dict[str, str] | None = None,
) -> UInt8[Tensor, "n c size size"]:
    """Read images, in a pool of threads (Pillow decodes outside the interpreter's lock).

    Args:
        source: reads them.
        names: which of its images.
        size: height and width of the result, see `read_image`.
        channels: 1 or 3; None is 1 if every image is grey, else 3.
        fit: brings them to that size.
        failed: if given, images that cannot be read are left out, and put into it with the reasons.

    Returns:
        (n, c, size, size), channels_last, in the order of `names`.

    Raises:
        DataError: an image cannot be read; the message names the first one.
    """
    mode: Mode | None = None if channels is None else "L" if channels == 1 else "RGB"
    pixels = np.empty((len(names), size, size, channels or 3), dtype=np.uint8)

    def fill(start: int) -> bool:
        """Read one chunk; True if a colour image is among them."""
        colour = False
        for i in range(start, min(start + _CHUNK, len(names))):
            try:
                image = source.read(names[i], size, mode, fit)
            except DataError as error:
                if failed is None:
                    raise
                failed[names[i]] = str(error)
                continue
            pixels[i] = image if image.ndim == 3 else image[:, :, None]
            colour = colour or (image.ndim == 3 and bool((image != image[:, :, :1]).any()))
        return colour

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        colour = any(list(pool.map(fill, range(0, len(names), _CHUNK))))
    if channels is None and not colour:
        pixels = pixels[:, :, :, :1].copy()
    if failed:
        pixels = pixels[[name not in failed for name in names]]
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def read_image(path: Path, size: int, mode: Mode | None = None, fit: Fit = central_square) -> Pixels:
    """One image file, upright, brought to `size`. Of several frames the first is taken.

    Args:
        path: the file.
        size: height and width of the result.
        mode: grey or colour; None leaves it as it is in the file.
        fit: brings the image to that size.

    Returns:
        (size, size) or (size, size, 3).

    Raises:
        DataError: the file is not an image, is damaged, or cannot be read.
    """
    try:
        with Image.open(path) as opened:
            if fit is central_square and opened.format == "JPEG" and min(opened.size) >= 4 * size:
                opened.draft(None, (2 * size, 2 * size))  # decodes a large photo at a fraction of its size
            image = eight_bits(ImageOps.exif_transpose(opened))
        return fitted(image, size, mode, fit)
    except Exception as error:  # on damaged files Pillow's readers raise nearly anything
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"cannot read the image {path} ({reason}); repair or remove it") from error


def fitted(image: Image.Image, size: int, mode: Mode | None, fit: Fit) -> Pixels:
    """An image of mode L or RGB, in `mode` if that is given, brought to `size`."""
    if mode is not None and image.mode != mode:
        image = image.convert(mode)
    return np.asarray(fit(image, size))


def eight_bits(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB; transparent pixels become white, 16 bits become 8.

    Raises:
        ValueError: its pixels are floating-point numbers.
    """
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
