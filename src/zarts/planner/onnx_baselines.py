"""ONNX files that the user has named as baselines: tested as they are, on the test images of a fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Num, UInt8
from torch import Tensor

from zarts.data import DataSet, Images
from zarts.errors import RunError, SettingsError
from zarts.exports import onnx_answers, onnx_input
from zarts.planner.evidence import paired_difference
from zarts.runtime.io import write_atomically
from zarts.runtime.paths import existing, path_of

__all__ = ["OnnxBaseline", "onnx_files"]

_FOLDER = "baselines"
_SOME = 500
"""Training images that tell what a file takes."""
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Form = Callable[[UInt8[Tensor, "n c h w"]], Num[Tensor, "n c h w"]]
"""From levels to what a file takes."""


def onnx_files(texts: str | None, folder: Path) -> list[Path]:
    """The ONNX files among the baselines: the copies of a fit, or the files themselves where there are none yet.

    Args:
        texts: the setting `baselines`.
        folder: of the fit.

    Raises:
        DataError: a file is missing.
    """
    found = []
    for text in [] if texts is None else map(str.strip, texts.split(",")):
        if text.endswith(".onnx"):
            copy = folder / _FOLDER / path_of(text).name
            found.append(copy if copy.exists() else existing(text, "ONNX file (baselines)"))
    return found


@dataclass(frozen=True)
class OnnxBaseline:
    """A file that classifies images, with what it takes.

    Args:
        file: takes (n, channels, height, width); its first output is (n, classes), logits or probabilities.
        data: some training images at its size, with a way to the test images.
        takes: what it takes, in words: what made most of these right.
        form: from levels to that.
        seconds: of answering an image.
    """

    file: Path
    data: DataSet
    takes: str
    form: Form
    seconds: float

    @staticmethod
    def open(file: Path, size: int, load: Callable[[int, int], DataSet]) -> OnnxBaseline:
        """Find out what a file takes, by some of the training images.

        Args:
            file: the file.
            size: of the images, in pixels, where the file takes any.
            load: loads a number of training images at a size.

        Raises:
            SettingsError: it cannot be run, or does not take such images, or has other classes.
        """
        where = f"baselines: {file.name}"
        try:
            shape = onnx_input(file)
        except RunError as error:
            raise SettingsError(f"{where}: {error}") from None
        if len(shape) != 4 or shape[1] not in (1, 3) or shape[2] != shape[3] or shape[0] not in (1, None):
            said = "×".join("n" if side is None else str(side) for side in shape)
            raise SettingsError(
                f"{where}: takes {said}; a baseline takes n×1×h×h or n×3×h×h, with one image or any number at a time"
            )
        data = load(shape[2] or size, _SOME)
        if shape[1] < data.channels:
            raise SettingsError(f"{where}: takes grey images, and these have colours")
        found: dict[str, tuple[int, Form]] = {}
        begun = time.perf_counter()
        for takes, form in _forms(data).items():
            try:
                answers = onnx_answers(file, data.train, form=form)
            except RunError:  # whole numbers where it takes fractions, or the other way round
                continue
            if answers.logits.shape[1:] != (len(data.classes),):
                said = "×".join(map(str, answers.logits.shape[1:]))
                raise SettingsError(
                    f"{where}: gives {said} numbers an image, and there are {len(data.classes)} classes"
                )
            right = int((answers.predicted == _labels(data.train)).sum())
            found[takes] = right, form
        if not found:
            raise SettingsError(f"{where}: cannot be run on images of {data.image_size}×{data.image_size} pixels")
        seconds = (time.perf_counter() - begun) / len(found) / len(data.train)
        takes = max(found, key=lambda one: found[one][0])
        return OnnxBaseline(file, data, takes, found[takes][1], seconds)

    def kept(self, folder: Path) -> OnnxBaseline:
        """The same with a copy of its file in the folder of a fit, which then goes on without the file itself.

        Raises:
            WriteError: the copy cannot be written.
        """
        copy = folder / _FOLDER / self.file.name
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            write_atomically(copy, self.file.read_bytes())
        return replace(self, file=copy)

    def compared(self, name: str, right: Bool[Tensor, " n"]) -> tuple[str, Mapping[str, Any]]:
        """Test it: what came of it beside another network, in words and in numbers.

        Args:
            name: of the other network.
            right: whether that one's answers to the test images are right.
        """
        images = self.data.test()
        own = onnx_answers(self.file, images, form=self.form).predicted == _labels(images)
        difference = paired_difference(np.asarray(right), np.asarray(own))
        accuracy = 100 * own.double().mean().item()
        words = "no difference could be shown"
        if difference.shown:
            words = f"{name} is {'better' if difference.mean > 0 else 'worse'}"
        text = (
            f"Your {self.file.name}, as it is: {accuracy:.1f} % of the same test images, {self.takes}; {words}, "
            f"{name} minus yours {difference.mean:+.1f} points (95 % interval {difference.low:+.1f} to "
            f"{difference.high:+.1f}). If yours was trained on some of them, its accuracy is too high."
        )
        facts = {"name": self.file.name, "takes": self.takes, "test_accuracy": accuracy}
        return text, {**facts, "difference": difference._asdict()}


def _labels(images: Images) -> Tensor:
    labels: Tensor = images.labels.cpu()
    return labels


def _forms(data: DataSet) -> dict[str, Form]:
    """What files may take, in words."""
    return {
        "scaled to [0, 1]": _scaled,
        "normalized by their mean and deviation": partial(_normalized, data.mean, data.std),
        "normalized as ImageNet is": partial(_normalized, *_IMAGENET),
        "as levels from 0 to 255": Tensor.float,
        "as whole numbers from 0 to 255": _levels,
    }


def _levels(levels: UInt8[Tensor, "n c h w"]) -> UInt8[Tensor, "n c h w"]:
    return levels


def _scaled(levels: UInt8[Tensor, "n c h w"]) -> Num[Tensor, "n c h w"]:
    return levels / 255


def _normalized(mean: Any, std: Any, levels: UInt8[Tensor, "n c h w"]) -> Num[Tensor, "n c h w"]:
    middle, deviation = (torch.tensor(one)[:, None, None] for one in (mean, std))
    return (levels / 255 - middle) / deviation
