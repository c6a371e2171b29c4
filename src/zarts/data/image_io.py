"""Read image files of any kind into one uint8 tensor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from zarts.data import preprocess
from zarts.data.file_index import on_disk
from zarts.data.preprocess import Bits, Fit, LimitError, Mode, NotReadable, Pixels, central_square
from zarts.errors import DataError, SettingsError

__all__ = ["SUFFIXES", "FileSource", "ImageSource", "check_image", "decode", "levels_of", "prepared", "read_image"]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})

_CHUNK = 64
_MAX_THREADS = 8


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
        bits: of whole numbers of more than 8 bits, see `levels_of`.
    """

    root: Path
    bits: Bits = field(default_factory=dict, hash=False)

    def read(self, name: str, size: int, mode: Mode | None = None, fit: Fit = central_square) -> Pixels:
        """The image in one file; see `read_image`."""
        return read_image(on_disk(self.root, name), size, mode, fit, self.bits)


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
        failed: takes the names of the images that cannot be read, with the reason, in the order of `names`; the
            result is without them. None: the first one is an error.

    Returns:
        (n, c, size, size), channels_last, in the order of `names`.

    Raises:
        DataError: an image cannot be read and `failed` is None; the message names the first one.
        SettingsError: see `read_image`.
    """
    mode: Mode | None = None if channels is None else "L" if channels == 1 else "RGB"
    pixels = np.empty((len(names), size, size, channels or 3), dtype=np.uint8)

    def fill(start: int) -> tuple[bool, dict[int, str]]:
        """Read one chunk; True if a colour image is among them, and the reasons of those that cannot be read."""
        colour, reasons = False, {}
        for i in range(start, min(start + _CHUNK, len(names))):
            try:
                image = source.read(names[i], size, mode, fit)
            except DataError as error:
                if failed is None:
                    raise
                reasons[i] = _reason(error)
                continue
            pixels[i] = image if image.ndim == 3 else image[:, :, None]
            colour = colour or (image.ndim == 3 and bool((image != image[:, :, :1]).any()))
        return colour, reasons

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        chunks = list(pool.map(fill, range(0, len(names), _CHUNK)))
    reasons = {i: reason for _, found in chunks for i, reason in found.items()}
    if failed is not None and reasons:
        failed.update({names[i]: reason for i, reason in reasons.items()})
        pixels = np.delete(pixels, list(reasons), axis=0)
    if channels is None and not any(colour for colour, _ in chunks):
        pixels = pixels[:, :, :, :1].copy()
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _reason(error: DataError) -> str:
    """Why an image cannot be read, in few words that are the same for all images of a kind."""
    cause = error.__cause__
    if isinstance(cause, NotReadable):
        return cause.reason
    return (getattr(cause, "strerror", None) or str(cause or error) or type(cause).__name__).splitlines()[0]


def read_image(
    path: Path | str, size: int, mode: Mode | None = None, fit: Fit = central_square, bits: Bits | None = None
) -> Pixels:
    """One image file, upright, brought to `size`; see `zarts.data.preprocess.read`.

    Raises:
        DataError: the file is not an image, is of a kind that is not read, is damaged, or cannot be opened.
        SettingsError: the environment variable ZARTS_MAX_PIXELS is no number.
    """
    try:
        return preprocess.read(path, size, mode, fit, bits)
    except Exception as error:
        raise _translated(error, f"the image {path}") from error


def prepared(image: Path | Image.Image, config: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """One image as the network takes it, (channels, size, size) in [0, 1]; see `zarts.data.preprocess.prepare`.

    Raises:
        DataError, SettingsError: see `read_image`.
    """
    try:
        images: np.ndarray[Any, np.dtype[np.float32]] = preprocess.prepare([image], config)[0]
    except Exception as error:
        raise _translated(error, "the image" if isinstance(image, Image.Image) else f"the image {image}") from error
    return images


def _translated(error: Exception, which: str) -> Exception:
    """What went wrong with an image as an error of zarts."""
    if isinstance(error, LimitError):
        return SettingsError(str(error))
    if isinstance(error, NotReadable):
        return DataError(f"cannot read {which} ({error})")
    reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
    return DataError(f"cannot read {which} ({reason}); repair or remove it")


def check_image(content: bytes, name: str) -> None:
    """Check by its header that a file is an image that is read; see `zarts.data.preprocess.check_image`.

    Raises:
        NotReadable: it is not; `reason` says why in few words.
        SettingsError: the environment variable ZARTS_MAX_PIXELS is no number.
    """
    try:
        preprocess.check_image(content, name)
    except LimitError as error:
        raise SettingsError(str(error)) from error


def levels_of(source: ImageSource, names: Sequence[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """The bits that images of whole numbers of 16 or 32 bits use, where not all, and notes for the user.

    Cameras and scanners of 10 or 12 bits write such files. Other images are opened, not decoded.

    Args:
        source: files; the images of other sources have 8 bits.
        names: the training images.

    Returns:
        The fewest of 8, 10, 12 and 14 (of 32 bits also 16, 24 and 31) that hold the largest value of each kind, see
        `zarts.data.preprocess.Bits`.

    Raises:
        DataError: colour images of 16 bits use a small part of them.
        SettingsError: see `read_image`.
    """
    if not isinstance(source, FileSource):
        return {}, ()

    def largest(start: int) -> list[tuple[str, int]]:
        """The kinds and largest values in one chunk."""
        some = [on_disk(source.root, name) for name in names[start : start + _CHUNK]]
        try:
            values = [preprocess.largest_level(path) for path in some]
        except LimitError as error:
            raise SettingsError(str(error)) from error
        return [value for value in values if value is not None]

    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        found = [value for chunk in pool.map(largest, range(0, len(names), _CHUNK)) for value in chunk]
    bits: dict[str, int] = {}
    notes = []
    for kind in sorted({kind for kind, _ in found}):
        values = [largest for of, largest in found if of == kind]
        used, whole = preprocess.fewest_bits(kind, max(values)), 16 if kind == "I;16" else 32
        if used is not None and kind == "RGB;16":
            raise DataError(
                f"{len(values)} training images have 16 bits a channel and reach only {max(values)} of 65535: of "
                "colours the upper 8 bits are read, which would be dark: save them with 8 bits, or from 0 to 65535"
            )
        if used is not None:
            bits[kind] = used
            notes.append(
                f"{len(values)} training images have whole numbers of {whole} bits that reach {max(values)}: "
                f"0 to {2**used - 1} ({used} bits) is black to white"
            )
    return bits, tuple(notes)
