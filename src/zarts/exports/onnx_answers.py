"""The answers of ONNX files to many images, in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from zarts.data import Images
from zarts.errors import RunError, SettingsError, ZartsError

__all__ = ["FileAnswers", "as_levels", "onnx_answers", "onnx_input", "scaled"]

_FLOATS = {"tensor(float16)": np.float16, "tensor(float)": np.float32, "tensor(double)": np.float64}


class FileAnswers(NamedTuple):
    """The answers of a file to a set of images, in their order.

    Args:
        predicted: the class of the largest logit.
        logits: of all classes.
    """

    predicted: Int64[Tensor, " images"]
    logits: Float[Tensor, "images classes"]


def onnx_answers(
    model: Path | bytes,
    images: Images | UInt8[Tensor, "n c h w"],
    batch: int = 256,
    threads: int = 1,
    form: Callable[[Tensor], Tensor] | None = None,
) -> FileAnswers:
    """The answers of an ONNX file in onnxruntime to a whole set of images.

    Args:
        model: the file, or its content. It takes images of any number at a time, or one; grey ones also where it takes
            colours. Its first output has a number for each class.
        images: of the size that it takes; levels from 0 to 255.
        batch: images of a step.
        threads: of onnxruntime.
        form: from levels to what it takes; None: by the type of its input levels, or images scaled to [0, 1].

    Raises:
        SettingsError: onnxruntime is not installed.
        RunError: it is no ONNX model, the images do not fit it, or it gives no numbers of classes.
    """
    with _running(model):
        session = _session(model, threads)
        taken = session.get_inputs()[0]
        batch = 1 if taken.shape[0] == 1 else batch
        form = form or (as_levels if taken.type == "tensor(uint8)" else scaled)
        logits = []
        for start in range(0, len(images), batch):
            indices = torch.arange(start, min(start + batch, len(images)))
            pixels = images[indices] if isinstance(images, Tensor) else images.pixels(indices)
            given = form(pixels)
            if taken.shape[1] == 3 and given.shape[1] == 1:
                given = given.expand(-1, 3, -1, -1)
            array = given.contiguous().numpy()
            if array.dtype == np.float32:
                array = array.astype(_FLOATS.get(taken.type, np.float32), copy=False)
            logits.append(session.run(None, {taken.name: array})[0])
        found = torch.from_numpy(np.concatenate(logits).astype(np.float32))
        if found.ndim != 2:
            raise ValueError(f"its first output has the shape {list(found.shape)}, not [images, classes]")
    return FileAnswers(found.argmax(1), found)


def onnx_input(model: Path | bytes) -> tuple[int | None, ...]:
    """The shape that an ONNX file takes; None: any number.

    Raises:
        SettingsError: onnxruntime is not installed.
        RunError: it is no ONNX model.
    """
    with _running(model):
        shape = _session(model, 1).get_inputs()[0].shape
    return tuple(side if isinstance(side, int) else None for side in shape)


def as_levels(levels: Tensor) -> Tensor:
    """Levels from 0 to 255, as they are: a form of images."""
    return levels


def scaled(levels: Tensor) -> Tensor:
    """Levels scaled to [0, 1]: a form of images."""
    return levels / 255


@contextmanager
def _running(model: Path | bytes) -> Iterator[None]:
    """Inside, what fails is a file that cannot be run."""
    try:
        yield
    except ZartsError:
        raise
    except Exception as error:
        name = "it" if isinstance(model, bytes) else f"{model}:"
        raise RunError(f"{name} cannot be run ({(str(error) or type(error).__name__).splitlines()[0]})") from error


def _session(model: Path | bytes, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise SettingsError("onnxruntime is not installed: pip install 'zarts[export]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    content = model if isinstance(model, bytes) else model.read_bytes()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
