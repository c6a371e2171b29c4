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

__all__ = ["FileAnswers", "onnx_answers", "onnx_input"]


class FileAnswers(NamedTuple):
    """The answers of a file to a set of images, in their order.

    Args:
        predicted: the class of the largest logit.
        logits: of all classes.
    """

    predicted: Int64[Tensor, " images"]
    logits: Float[Tensor, "images classes"]


def onnx_answers(
    file: Path,
    images: Images | UInt8[Tensor, "n c h w"],
    batch: int = 256,
    threads: int = 1,
    form: Callable[[Tensor], Tensor] | None = None,
) -> FileAnswers:
    """The answers of an ONNX file in onnxruntime to a whole set of images.

    Args:
        file: it takes images of any number at a time, or one; grey ones also where it takes colours.
        images: of the size that the file takes; levels from 0 to 255.
        batch: images of a step.
        threads: of onnxruntime.
        form: from levels to what the file takes; None: by its type levels, or images scaled to [0, 1].

    Raises:
        SettingsError: onnxruntime is not installed.
        RunError: the file is no ONNX model, or the images do not fit it.
    """
    with _running(file):
        session = _session(file, threads)
        taken = session.get_inputs()[0]
        batch = 1 if taken.shape[0] == 1 else batch
        form = form or (_levels if taken.type == "tensor(uint8)" else _scaled)
        logits = []
        for start in range(0, len(images), batch):
            indices = torch.arange(start, min(start + batch, len(images)))
            pixels = images[indices] if isinstance(images, Tensor) else images.pixels(indices)
            given = form(pixels)
            if taken.shape[1] == 3 and given.shape[1] == 1:
                given = given.expand(-1, 3, -1, -1)
            logits.append(session.run(None, {taken.name: given.contiguous().numpy()})[0])
    found = torch.from_numpy(np.concatenate(logits))
    return FileAnswers(found.argmax(1), found)


def onnx_input(file: Path) -> tuple[int | None, ...]:
    """The shape that an ONNX file takes; None: any number.

    Raises:
        SettingsError: onnxruntime is not installed.
        RunError: the file is no ONNX model.
    """
    with _running(file):
        shape = _session(file, 1).get_inputs()[0].shape
    return tuple(side if isinstance(side, int) else None for side in shape)


def _levels(levels: Tensor) -> Tensor:
    return levels


def _scaled(levels: Tensor) -> Tensor:
    return levels / 255


@contextmanager
def _running(file: Path) -> Iterator[None]:
    """Inside, what fails is a file that cannot be run."""
    try:
        yield
    except ZartsError:
        raise
    except Exception as error:
        raise RunError(f"{file}: cannot be run ({str(error).splitlines()[0]})") from error


def _session(file: Path, threads: int) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise SettingsError("onnxruntime is not installed: pip install 'zarts[export]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
