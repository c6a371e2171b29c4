"""Read the pickled arrays of published data sets without running code from the pickle."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import override

from zarts.errors import DataError

__all__ = ["read_pickled"]


def read_pickled(path: Path) -> dict[str, Any]:
    """The mapping in a file: names to numbers, texts, lists of these, and arrays of numbers.

    A pickle is a program for a small machine that can import and call anything. Here it can only make arrays: the names
    that numpy's arrays and Python 2's bytes are pickled with stand for functions of this file.

    Args:
        path: a file of protocol 0 to 5, written by Python 2 or 3. Python 2's strings become text.

    Raises:
        DataError: the file is no such pickle. If it needs any other name, the message gives that name; it is not run.
    """
    try:
        with path.open("rb") as file:
            found = _ArraysOnly(file, encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # a damaged program may fail in any way
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{path}: cannot read the pickled arrays ({reason}); get the file again") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: holds a {type(found).__name__}, expected a mapping with images and labels")
    return {_text(key): value for key, value in found.items()}


class _ArraysOnly(pickle.Unpickler):
    @override
    def find_class(self, module: str, name: str) -> Any:
        modules, replacement = _KNOWN.get(name, ((), None))
        if module in modules:
            return replacement
        raise DataError(
            f"the pickle needs {module}.{name}, which images and labels do not need, so it was not run; get the file "
            "from its publisher"
        )

    @override
    def persistent_load(self, pid: Any) -> Any:
        raise DataError(f"the pickle refers to an object outside of it ({pid!r}): get the file from its publisher")


class _Array:
    """Replaces the class of arrays, which a pickle names and never calls."""


def _empty(kind: object, shape: object, dtype: object) -> np.ndarray[Any, np.dtype[np.generic]]:
    """Replaces numpy's `_reconstruct`: an empty array, which the pickle fills right afterwards."""
    return np.empty(0, dtype=np.uint8)


def _dtype(name: str | bytes, align: object = False, copy: object = False) -> np.dtype[np.generic]:
    dtype: np.dtype[np.generic] = np.dtype(_text(name))
    if dtype.hasobject:
        raise DataError("the pickle has an array of objects, expected numbers: get the file from its publisher")
    return dtype


def _from_buffer(
    buffer: Any, dtype: np.dtype[np.generic], shape: Any, order: Any
) -> np.ndarray[Any, np.dtype[np.generic]]:
    array: np.ndarray[Any, np.dtype[np.generic]] = np.frombuffer(buffer, dtype).reshape(shape, order=_text(order))
    return array


def _encode(text: str, encoding: str) -> bytes:
    """Decodes bytes that Python 3 pickled in protocol 2."""
    return text.encode("latin-1")


_KNOWN: Mapping[str, tuple[tuple[str, ...], Callable[..., Any] | type]] = {
    "_reconstruct": (("numpy.core.multiarray", "numpy._core.multiarray"), _empty),
    "_frombuffer": (("numpy.core.numeric", "numpy._core.numeric"), _from_buffer),
    "ndarray": (("numpy",), _Array),
    "dtype": (("numpy",), _dtype),
    "encode": (("_codecs",), _encode),
}


def _text(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value
