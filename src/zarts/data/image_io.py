"""Read image files of any kind into one uint8 tensor."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageOps
from torch import Tensor

from zarts.errors import DataError

__all__ = ["SUFFIXES", "Fit", "central_square", "centre_of_larger", "decode", "read_image"]

Fit = Callable[[Image.Image, int], Image.Image]
"""Brings an image of any size to a square of the given side in pixels."""

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


def decode(
    paths: Sequence[Path], size: int, channels: int | None = None, fit: Fit = central_square
) -> UInt8[Tensor, "n c size size"]:
    """Read image files, in a pool of threads (Pillow decodes outside the interpreter's lock).

    Args:
        paths: the files.
        size: height and width of the result, see `read_image`.
        channels: 1 or 3; None is 1 if every image is grey, else 3.
        fit: brings them to that size.

    Returns:
        (n, c, size, size), channels_last, in the order of `paths`.

    Raises:
        DataError: a file cannot be read; the message names the first one.
    """
    mode: Literal["L", "RGB"] | None = None if channels is None else "L" if channels == 1 else "RGB"
    pixels = np.empty((len(paths), size, size, channels or 3), dtype=np.uint8)

    def fill(start: int) -> bool:
        """Read one chunk; True if a colour image is among them."""
        colour = False
        for i in range(start, min(start + _CHUNK, len(paths))):
            image = read_image(paths[i], size, mode, fit)
            pixels[i] = image if image.ndim == 3 else image[:, :, None]
            colour = colour or (image.ndim == 3 and bool((image != image[:, :, :1]).any()))
        return colour

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        colour = any(list(pool.map(fill, range(0, len(paths), _CHUNK))))
    if channels is None and not colour:
        pixels = pixels[:, :, :, :1].copy()
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def read_image(
    path: Path, size: int, mode: Literal["L", "RGB"] | None = None, fit: Fit = central_square
) -> np.ndarray[Any, np.dtype[np.uint8]]:
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
            image = _eight_bits(ImageOps.exif_transpose(opened))
        if mode is not None and image.mode != mode:
            image = image.convert(mode)
        image = fit(image, size)
    except Exception as error:  # on damaged files Pillow's readers raise nearly anything
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"cannot read the image {path} ({reason}); repair or remove it") from error
    return np.asarray(image)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB; transparent pixels become white, 16 bits become 8."""
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers; save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64).clip(0, 65535)
        return Image.fromarray(((levels + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
