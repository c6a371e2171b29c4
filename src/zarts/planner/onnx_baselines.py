"""ONNX files that the user has named as baselines: tested as they are, on the test images of a fit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64, Num, UInt8
from torch import Tensor

from zarts.data import DataSet, Images
from zarts.errors import RunError, SettingsError, ZartsError
from zarts.exports import as_levels, onnx_answers, onnx_input, scaled
from zarts.planner.evidence import compared_words, paired_difference
from zarts.runtime.io import write_atomically
from zarts.runtime.paths import existing

__all__ = ["OnnxBaseline", "is_guess"]

_SOME, _FEW, _SECONDS = 500, 32, 3.0
"""Training images that tell what a file takes: so many, or as many as it answers in this time, but a few at least."""
_SHARE = 0.1
"""Of the time of a fit that testing a file may take."""
_GUESS = 0.05
"""Share of right answers above that of the commonest class which may be chance."""
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Form = Callable[[UInt8[Tensor, "n c h w"]], Num[Tensor, "n c h w"]]
"""From levels to what a file takes."""


@dataclass(frozen=True)
class OnnxBaseline:
    """A file that classifies images, with what it takes.

    Args:
        name: as the user has given it.
        content: of the file, with all of its weights.
        data: some training images at its size, with a way to the test images.
        takes: how images are given to it, in words: the way in which it was most often right.
        form: from levels to that.
        seconds: of answering an image.
    """

    name: str
    content: bytes
    data: DataSet
    takes: str
    form: Form
    seconds: float

    @staticmethod
    def open(name: str, copies: list[Path], size: int, load: Callable[[int, int], DataSet]) -> OnnxBaseline:
        """Read a file, and find out by some of the training images what it takes.

        Args:
            name: as the user has given it: a path.
            copies: where a fit that goes on, or the one that is repeated, may have a copy.
            size: of the images, in pixels, where the file takes any.
            load: loads the data set with a number of training images at a size.

        Raises:
            NotFoundError: there is no such file.
            SettingsError: it cannot be run, does not take such images, or has other classes.
        """
        kept = next((copy for copy in copies if copy.exists()), None)
        content = _content(existing(name, "ONNX file (baselines)") if kept is None else kept, name)
        try:
            shape = onnx_input(content)
            if len(shape) != 4 or shape[1] not in (1, 3) or shape[2] != shape[3] or shape[0] not in (1, None):
                raise SettingsError(
                    f"takes {_shape(shape)}; a baseline takes n×1×h×h or n×3×h×h, one image or any number at a time"
                )
            data = load(shape[2] or size, _SOME)
            if shape[1] < data.channels:
                raise SettingsError("takes grey images, and these have colours")
            return OnnxBaseline(name, content, data, *_what_it_takes(content, data))
        except ZartsError as error:
            raise SettingsError(f"baselines: {name}: {error}") from error

    def keep(self, copy: Path) -> None:
        """Write a copy into the folder of a fit, which then goes on without the file itself.

        Raises:
            WriteError: the copy cannot be written.
        """
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            write_atomically(copy, self.content)

    def finish(self, of: float) -> float:
        """Seconds of answering the test images.

        Raises:
            SettingsError: that is too much of the time of a fit.
        """
        count = self.data.counts.get("test", 0)
        seconds = self.seconds * count
        if seconds > _SHARE * of:
            raise SettingsError(
                f"baselines: {self.name}: would take {seconds:.0f} s for {count:,} test images, more than a tenth of "
                f"the time: take --time {10 * seconds / 60:.0f}m or more, or leave it out"
            )
        return seconds

    def compared(self, other: str, right: Bool[Tensor, " n"]) -> tuple[str, Mapping[str, Any]]:
        """Test it: what came of it beside another network, in words and in numbers.

        Args:
            other: name of the other network.
            right: whether that one's answers to the test images are right.
        """
        try:
            images = self.data.test()
            labels = _labels(images)
            own = onnx_answers(self.content, images, form=self.form).predicted == labels
        except (ZartsError, MemoryError) as error:  # the verdict is made without it
            return f"Your {self.name} could not be tested: {error}", {"name": self.name, "error": str(error)}
        difference = paired_difference(np.asarray(right), np.asarray(own))
        accuracy = 100 * own.double().mean().item()
        text = (
            f"Your {self.name}, as it is, is right on {accuracy:.1f} % of the same test images, given to it "
            f"{self.takes}; {compared_words(other, difference)}. If yours was trained on some of them, its accuracy "
            "is too high."
        )
        if is_guess(accuracy, labels):
            text += " It guesses: are its classes in the order of their names?"
        facts = {"name": self.name, "takes": self.takes, "test_accuracy": accuracy}
        return text, {**facts, "difference": difference._asdict()}


def is_guess(accuracy: float, labels: Int64[Tensor, " n"]) -> bool:
    """Whether so many percent right are hardly more than always saying the commonest class would be."""
    most = labels.bincount().max().item() / len(labels)
    return accuracy < 100 * (most + max(_GUESS, 2 * math.sqrt(most * (1 - most) / len(labels))))


def _content(file: Path, name: str) -> bytes:
    """A file with the weights that lie beside it."""
    try:
        import onnx

        content: bytes = onnx.load(file).SerializeToString()
    except ImportError:
        raise SettingsError("onnx is not installed: pip install 'zarts[export]'") from None
    except Exception as error:
        words = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise SettingsError(f"baselines: {name}: cannot be read ({words})") from error
    return content


def _what_it_takes(content: bytes, data: DataSet) -> tuple[str, Form, float]:
    """How images are given to a file, in words and as a function, and the seconds of an image.

    Raises:
        SettingsError: it has other classes, or cannot be run in any way.
    """
    found: dict[str, tuple[int, Form]] = {}
    images, seconds, problem = data.train, 0.0, ""
    for takes, form in _forms(data).items():
        begun = time.perf_counter()
        try:
            if not found:  # which tells how many there is time for
                onnx_answers(content, images.take(torch.arange(min(_FEW, len(images)))), form=form)
                each = (time.perf_counter() - begun) / min(_FEW, len(images))
                images = images.take(torch.arange(min(len(images), max(_FEW, int(_SECONDS / each)))))
            begun = time.perf_counter()
            answers = onnx_answers(content, images, form=form)
        except RunError as error:  # whole numbers where it takes fractions, or the other way round
            problem = problem or str(error)
            continue
        seconds = (time.perf_counter() - begun) / len(images)
        if answers.logits.shape[1] != len(data.classes):
            raise SettingsError(
                f"gives {answers.logits.shape[1]} numbers an image, and there are {len(data.classes)} classes"
            )
        found[takes] = int((answers.predicted == _labels(images)).sum()), form
    if not found:
        raise SettingsError(problem)
    takes = max(found, key=lambda one: found[one][0])
    return takes, found[takes][1], seconds


def _shape(sides: tuple[int | None, ...]) -> str:
    return "×".join("n" if side is None else str(side) for side in sides)


def _labels(images: Images) -> Tensor:
    labels: Tensor = images.labels.cpu()
    return labels


def _forms(data: DataSet) -> dict[str, Form]:
    """How images may be given to a file, in words."""
    return {
        "scaled to [0, 1]": scaled,
        "normalized by their mean and deviation": partial(_normalized, data.mean, data.std),
        "normalized as for ImageNet": partial(_normalized, *_IMAGENET),
        "as levels from 0 to 255": Tensor.float,
        "as whole numbers from 0 to 255": as_levels,
    }


def _normalized(mean: Any, std: Any, levels: UInt8[Tensor, "n c h w"]) -> Num[Tensor, "n c h w"]:
    middle, deviation = (torch.tensor(one)[:, None, None] for one in (mean, std))
    return (scaled(levels) - middle) / deviation
