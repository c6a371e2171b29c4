"""Predictions of trained networks for images in files and in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from zarts.api._architecture import model_file
from zarts.data.file_index import on_disk
from zarts.data.image_folder import image_files
from zarts.data.image_io import prepared
from zarts.data.left_out import EXPECTED, left_out_note
from zarts.data.pixels import pixels_of
from zarts.errors import DataError, SettingsError
from zarts.exports import OpenedModel, model_in, open_model
from zarts.runs import Run, trained_in
from zarts.runs.user_files import use_operations
from zarts.runtime.device import choose_device
from zarts.runtime.paths import PathLike, path_of
from zarts.training.trainer import Callback, no_callback

__all__ = ["ImageLike", "Prediction", "iter_predictions", "predict"]

_BATCH = 64
_RUN_ONLY = "--operations belongs to a run: name the folder of the run, or leave it out"

ImageLike = PathLike | Image.Image | np.ndarray | Tensor
"""A file or a folder of files, an image of Pillow, or an array or tensor of one or several images."""


@dataclass(frozen=True)
class Prediction:
    """The prediction of a network for one image.

    Args:
        image: the file; of an image in memory its place among all images that were given, from 0.
        classes: the likeliest classes in descending order, with their probabilities; empty where the image failed.
        error: why the image could not be read; None where it could.
    """

    image: Path | int
    classes: list[tuple[str, float]]
    error: str | None = None

    @property
    def label(self) -> str:
        """The likeliest class.

        Raises:
            DataError: the image could not be read.
        """
        return self._best()[0]

    @property
    def probability(self) -> float:
        """The probability of the likeliest class, in [0, 1].

        Raises:
            DataError: the image could not be read.
        """
        return self._best()[1]

    def _best(self) -> tuple[str, float]:
        if self.error is not None:
            raise DataError(self.error)
        return self.classes[0]


def predict(
    model: PathLike,
    images: ImageLike | Iterable[ImageLike],
    *,
    top: int = 1,
    device: str = "auto",
    operations: PathLike | None = None,
    trust: bool = False,
) -> list[Prediction]:
    """Predict the classes of images.

    Every image goes the way of the network's own test images: upright, the central square, resized, with the colours
    that the network knows.

    Args:
        model: a retraining or fit (its result or its folder), its `model.safetensors`, a folder that `export` wrote, or
            its file `.onnx`, `.safetensors` or TorchScript `.pt`.
        images: a file (a text is one path, `~` the home directory) or a folder of files at any depth; an image of
            Pillow; an array or tensor of one image, (h, w), (h, w, c) or (c, h, w), or of several, with n in front of
            the last two, where c is 1 (grey) or 3 (RGB): whole numbers from 0 to 255 such as `uint8`, or floats in
            [0, 1], which are rounded to 8 bits, of any size and not normalized; or a list of any of these.
        top: number of classes in each prediction.
        device: see the setting of that name.
        operations: the file of user-defined operations, if the run has such; its code is run.
        trust: whether an exported Python file or TorchScript, which are code, may be run.

    Returns:
        One prediction for each image, in the order of `images`, and of the names in a folder. An image that cannot be
        read has an `error` instead of classes. In a folder, debris of other systems, hidden files and files of other
        kinds, such as texts, are no images.

    Raises:
        RunError, SettingsError: the model cannot be used.
        DataError: a folder has no images, or `images` has something that is no image.
    """
    return list(iter_predictions(model, images, top=top, device=device, operations=operations, trust=trust))


def iter_predictions(
    model: PathLike,
    images: ImageLike | Iterable[ImageLike],
    *,
    top: int = 1,
    device: str = "auto",
    operations: PathLike | None = None,
    trust: bool = False,
    callback: Callback = no_callback,
) -> Iterator[Prediction]:
    """The predictions of `predict`, one after the other.

    The callback is called with events `note`, of what is left out of folders, `doing` and `part`, of how much is done.
    """
    where = choose_device(device)
    callback({"event": "doing", "text": "loading the network"})
    opened = _opened(model, operations=operations, trust=trust)
    callback({"event": "doing", "text": "listing images"})
    given = list(_images_in(images, lambda text: callback({"event": "note", "text": text})))
    module = opened.module.to(where) if opened.movable else opened.module
    for start in range(0, len(given), _BATCH):
        callback({"event": "part", "text": "predicting", "done": start, "of": len(given)})
        yield from _predict_batch(opened, module, given[start : start + _BATCH], top)


def _opened(model: PathLike, *, operations: PathLike | None = None, trust: bool = False) -> OpenedModel:
    """Open a trained network of any kind; see `predict`.

    Raises:
        RunError, SettingsError: the model cannot be used.
    """
    path = trained_in(path_of(model))
    written = model_in(path) if path.is_dir() else path
    if written is None:
        file = None if operations is None else path_of(operations)
        use_operations(Run.open(path, "retrain"), file, lambda text: None)
    elif operations is not None:
        raise SettingsError(_RUN_ONLY)
    return open_model(written or model_file(path), trust=trust)


_Named = tuple[Path | int, Path | Image.Image]
"""An image and its name in a `Prediction`."""


def _images_in(images: ImageLike | Iterable[ImageLike], note: Callable[[str], None]) -> Iterator[_Named]:
    """Every single image in what was given."""
    if isinstance(images, str | os.PathLike | Image.Image | np.ndarray | Tensor):
        images = [images]
    elif not isinstance(images, Iterable):
        raise _no_image(images)
    place = 0
    for one in images:
        found = _images_of(one, note)
        yield from ((image if isinstance(image, Path) else place + i, image) for i, image in enumerate(found))
        place += len(found)


def _images_of(one: ImageLike, note: Callable[[str], None]) -> Sequence[Path | Image.Image]:
    """The images that one path, image, array or tensor holds."""
    if isinstance(one, str | os.PathLike):
        return _image_files(path_of(one), note)
    if isinstance(one, Image.Image):
        return [one]
    if isinstance(one, np.ndarray | Tensor):
        return [Image.fromarray(pixels_of(image, "images")) for image in (one if one.ndim == 4 else [one])]
    raise _no_image(one)


def _no_image(found: object) -> DataError:
    kinds = "a path, an image of Pillow, an array or a tensor"
    return DataError(f"images: {type(found).__name__} is no image; expected {kinds}, or a list of them")


def _image_files(path: Path, note: Callable[[str], None]) -> list[Path]:
    """A file, or the files below a folder but for those that are surely no images.

    Raises:
        DataError: the folder has none, or cannot be read.
    """
    if not path.is_dir():
        return [path]
    names, left_out = image_files(path)
    surely = [one for one in left_out if one.reason in EXPECTED]
    found = sorted([*names, *(one.name for one in left_out if one.reason not in EXPECTED)])
    for text in left_out_note(str(path), surely, file=None):
        note(text)
    if not found:
        raise DataError(f"{path}: has no images")
    return [Path(on_disk(path, name)) for name in found]


@torch.no_grad()
def _predict_batch(opened: OpenedModel, module: torch.nn.Module, given: list[_Named], top: int) -> Iterator[Prediction]:
    card, pixels, errors = opened.card, [], {}
    for name, image in given:
        try:
            pixels.append(torch.from_numpy(prepared(image, vars(card))))
        except DataError as error:
            errors[name] = str(error)
    device = next((tensor.device for tensor in module.buffers()), torch.device("cpu"))
    chances = iter(module(torch.stack(pixels).to(device)).softmax(1).cpu() if pixels else ())
    for name, _ in given:
        if name in errors:
            yield Prediction(name, [], errors[name])
        else:
            best = next(chances).topk(min(top, len(card.classes)))
            named = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            yield Prediction(name, [(card.classes[index], chance) for index, chance in named])
