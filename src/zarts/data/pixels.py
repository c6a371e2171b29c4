"""Images and labels of Python objects, one by one, as 8-bit pixels and names of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from zarts.data.preprocess import Pixels, eight_bits
from zarts.errors import DataError

__all__ = ["as_array", "deepest_level", "label_of", "pixels_of"]

_CHANNELS = (1, 3)


def pixels_of(value: object, where: str) -> Pixels:
    """The pixels of the image that an object is, (h, w) or (h, w, 3).

    Args:
        value: a PIL image, or an array or tensor of shape (h, w), (h, w, c) or (c, h, w), where c is 1 or 3: whole
            numbers from 0 to 255, floats from 0 to 1, or booleans.
        where: names it in messages.

    Raises:
        DataError: it is no image, its shape has two meanings, or its values are out of range or not finite.
    """
    if isinstance(value, Image.Image):
        try:
            return np.asarray(eight_bits(value))
        except Exception as error:  # on damaged files Pillow's readers raise nearly anything
            raise DataError(f"{where}: cannot be read ({str(error) or type(error).__name__})") from error
    if not isinstance(value, np.ndarray | torch.Tensor):
        raise DataError(f"{where}: is a {type(value).__name__}; expected a PIL image, an array or a tensor")
    return _levels(_channels_last(as_array(value), where), where)


def deepest_level(value: object) -> int:
    """The largest value of an image of Pillow of 16 bits; -1 for all others."""
    deep = isinstance(value, Image.Image) and value.mode.startswith("I;16")
    return int(np.asarray(value).max()) if deep else -1


def as_array(value: np.ndarray[Any, np.dtype[Any]] | torch.Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    """An array, or a tensor on any device as one."""
    if isinstance(value, np.ndarray):
        return value
    value = value.detach().cpu()
    return (value.double() if value.dtype.is_floating_point else value).numpy()


def _channels_last(array: np.ndarray[Any, np.dtype[Any]], where: str) -> np.ndarray[Any, np.dtype[Any]]:
    """Shape (h, w) or (h, w, 3)."""
    shape = array.shape
    if array.ndim == 3:
        first, last = shape[0] in _CHANNELS, shape[2] in _CHANNELS
        if first and last:
            raise DataError(f"{where}: shape {shape} may have its channels first or last; give (h, w, channels) larger")
        if first or last:
            array = array if last else array.transpose(1, 2, 0)
            return array[:, :, 0] if array.shape[2] == 1 else array
    if array.ndim != 2 or 0 in shape:
        raise DataError(
            f"{where}: has shape {shape}; expected (h, w), (h, w, c) or (c, h, w) with 1 or 3 channels: reshape it, or "
            "drop an alpha channel"
        )
    return array


def _levels(array: np.ndarray[Any, np.dtype[Any]], where: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Levels from 0 to 255; a float x is level 255 x, rounded."""
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == np.bool_:
        return np.ascontiguousarray(array.astype(np.uint8) * 255)
    if not np.issubdtype(array.dtype, np.floating) and not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{where}: is of type {array.dtype}; expected uint8, or floats from 0 to 1")
    whole = np.issubdtype(array.dtype, np.integer)
    if not whole and not np.isfinite(array).all():
        raise DataError(f"{where}: has values that are not finite (NaN or infinite); replace them, or drop the image")
    levels = array if whole else np.rint(array.astype(np.float64) * 255)
    if levels.min() < 0 or levels.max() > 255:
        expected = "whole numbers from 0 to 255" if whole else "floats from 0 to 1"
        raise DataError(
            f"{where}: has values from {array.min():.4g} to {array.max():.4g}; expected {expected}: give the pixels as "
            "uint8, without a normalization, which zarts does itself"
        )
    return np.ascontiguousarray(levels.astype(np.uint8))


def label_of(value: object, classes: Sequence[str] | None, where: str) -> int | str:
    """The class of an image: its name, or an integer that is its name.

    Args:
        value: a label: an integer or a string, perhaps in an array or a tensor of one element without dimensions.
        classes: the names that integers are indices into; None: an integer names its class itself.
        where: names the image in messages.

    Raises:
        DataError: it is no such label, or no index or name of the classes.
    """
    if isinstance(value, np.ndarray | np.generic | torch.Tensor) and value.ndim == 0:
        value = value.item()
    if isinstance(value, str):
        if classes is not None and value not in classes:
            raise DataError(f"{where}: its label {value!r} is none of the {len(classes)} classes")
        return str(value)
    if not isinstance(value, int):
        shape = f" of shape {tuple(value.shape)}" if isinstance(value, np.ndarray | torch.Tensor) else ""
        raise DataError(f"{where}: its label is a {type(value).__name__}{shape}; expected one integer or string")
    if classes is None:
        return int(value)
    if not 0 <= value < len(classes):
        raise DataError(
            f"{where}: its label is {value}; the {len(classes)} classes have labels 0 to {len(classes) - 1}"
        )
    return classes[value]
