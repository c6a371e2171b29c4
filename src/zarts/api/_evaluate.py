"""Testing trained networks, and naming what is on images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from zarts.api._architecture import model_file
from zarts.api._retrain import retrained_settings
from zarts.data import DataSet, load_data
from zarts.data.image_io import SUFFIXES, central_square, centre_of_larger, read_image
from zarts.errors import DataError, RunError, SettingsError
from zarts.exports import OpenedModel, model_in, open_model
from zarts.runs import Run
from zarts.runs.new_run import same_images
from zarts.runs.user_files import use_operations
from zarts.runtime.device import choose_device
from zarts.training import ModelCard, answers, error_details, load_model, test_batches

__all__ = ["Prediction", "evaluate", "examine", "predict"]

_BATCH = 64
_OF_A_RUN = "operations belong to a run: name its folder, or leave --operations out"


def examine(
    path: Path | str,
    *,
    data: str | None = None,
    run: Path | str | None = None,
    device: str = "auto",
    operations: Path | str | None = None,
    trust: bool = False,
) -> dict[str, Any]:
    """How good a trained network is, and where it errs: the data of `zarts.training.error_details`.

    Args:
        path: folder of a `retrain` run, its `model.safetensors`, or what `export` wrote: the folder, or in it the
            `.onnx`, `.safetensors` or TorchScript `.pt`.
        data: the images; None takes those that a run was trained for.
        run: of a file that has left its run: that run, whose test images it is tested on.
        device: see the setting of that name.
        operations: see `resume_retrain`.
        trust: whether an exported Python file may be run.

    Raises:
        RunError: the folder or the model file cannot be used.
        DataError: the images cannot be used.
        SettingsError: the images have other classes than the network, or are not named.
    """
    path, where = Path(path), choose_device(device)
    if not path.exists():
        raise RunError(f"{path}: no such run folder or model file")
    written = model_in(path) if path.is_dir() else path
    if written is None:
        if run is not None:
            raise SettingsError(f"{path} is a run itself: leave --run out")
        return _of_run(path, data, where, operations)
    if operations is not None:
        raise SettingsError(_OF_A_RUN)
    if data is not None and run is not None:
        raise SettingsError(f"the run {run} says on which images to test: leave --data or --run out")
    if data is None and run is None:
        raise SettingsError(
            f"{path} does not say on which images to test it: name them, --data, or the run that it comes from, --run"
        )
    model = open_model(written, trust=trust)
    if run is not None:
        images = _images_of(Path(run), model.card, None)
    else:
        images = load_data(str(data), image_size=model.card.image_size, crop=model.card.crop)
    _check(images, model.card)
    module = model.module.to(where) if model.movable else model.module
    test = images.test()
    batches = test_batches(test, _unnormalised(model.card), where if model.movable else torch.device("cpu"))
    return error_details(answers(module, batches), model.card.classes, test.names)


def evaluate(path: Path | str, **options: Any) -> float:
    """Test accuracy, in percent, of a trained network; see `examine` for the options and errors."""
    found: float = examine(path, **options)["accuracy"]
    return found


def _of_run(path: Path, data: str | None, where: torch.device, operations: Path | str | None) -> dict[str, Any]:
    retrained_settings(path)
    use_operations(Run(path), _named(operations), lambda text: None)
    network, card = load_model(model_file(path))
    images = _images_of(path, card, data)
    _check(images, card)
    network = network.to(where).to(memory_format=torch.channels_last)
    test = images.test()
    return error_details(answers(network, test_batches(test, card, where)), card.classes, test.names)


def _named(operations: Path | str | None) -> Path | None:
    return None if operations is None else Path(operations)


def _images_of(path: Path, card: ModelCard, data: str | None) -> DataSet:
    """The images that a run was trained for, in the two parts that it had them in, or others."""
    settings, run = retrained_settings(path), Run(path)
    own, split = data is None or same_images(data, settings.data), run.split() or {}
    return load_data(
        settings.data if data is None else data,
        image_size=card.image_size,
        subset=settings.subset if own else None,
        seed=settings.split_seed,
        data_dir=settings.data_dir,
        manifest=split if own and "test" in split else None,
        images="auto",
        workers=settings.workers,
        crop=settings.crop,
    )


def _check(images: DataSet, card: ModelCard) -> None:
    if images.classes != card.classes:
        raise SettingsError(
            f"{images.name} has classes {list(images.classes)}; the network was trained for {list(card.classes)}"
        )
    if images.channels != len(card.mean):
        raise SettingsError(
            f"{images.name}: images have {images.channels} channels; the network was trained on {len(card.mean)}"
        )


def _unnormalised(card: ModelCard) -> ModelCard:
    """Whose images are scaled to [0, 1] only."""
    channels = len(card.mean)
    return replace(card, mean=(0.0,) * channels, std=(1.0,) * channels)


@dataclass(frozen=True)
class Prediction:
    """What a network says of an image.

    Args:
        image: the file.
        classes: the likeliest classes, the first one first, with their probabilities; empty where it failed.
        error: why it could not be read.
    """

    image: Path
    classes: list[tuple[str, float]]
    error: str | None = None


def predict(
    model: Path | str,
    images: Iterable[Path | str],
    *,
    top: int = 1,
    device: str = "auto",
    operations: Path | str | None = None,
    trust: bool = False,
) -> Iterator[Prediction]:
    """What is on images.

    Args:
        model: see `evaluate`.
        images: files, or folders of files at any depth.
        top: how many classes to name.
        device: see the setting of that name.
        operations: see `resume_retrain`.
        trust: whether an exported Python file may be run.

    Yields:
        One prediction an image, in the order of `images`, of folders by name; those that cannot be read say why.

    Raises:
        RunError, SettingsError: the model cannot be used.
        DataError: a folder has no images.
    """
    path, where = Path(model), choose_device(device)
    written = model_in(path) if path.is_dir() else path
    if written is None:
        use_operations(Run.open(path, "retrain"), _named(operations), lambda text: None)
    elif operations is not None:
        raise SettingsError(_OF_A_RUN)
    opened = open_model(written or model_file(path), trust=trust)
    files = [file for image in images for file in _files(Path(image))]
    module = opened.module.to(where) if opened.movable else opened.module
    for start in range(0, len(files), _BATCH):
        yield from _predicted(opened, module, files[start : start + _BATCH], top)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not found:
        raise DataError(f"{path}: has no images ({', '.join(sorted(SUFFIXES))})")
    return found


@torch.no_grad()
def _predicted(opened: OpenedModel, module: torch.nn.Module, files: list[Path], top: int) -> Iterator[Prediction]:
    card, pixels, errors = opened.card, [], {}
    for file in files:
        try:
            pixels.append(_scaled(file, card))
        except DataError as error:
            errors[file] = str(error)
    device = next((tensor.device for tensor in module.buffers()), torch.device("cpu"))
    chances = iter(module(torch.stack(pixels).to(device)).softmax(1).cpu() if pixels else ())
    for file in files:
        if file in errors:
            yield Prediction(file, [], errors[file])
        else:
            best = next(chances).topk(min(top, len(card.classes)))
            named = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            yield Prediction(file, [(card.classes[index], chance) for index, chance in named])


def _scaled(file: Path, card: ModelCard) -> Tensor:
    """An image as the network was trained on it, scaled to [0, 1]."""
    mode: Literal["L", "RGB"] = "L" if len(card.mean) == 1 else "RGB"
    fit = centre_of_larger if card.crop == "resized" else central_square
    image = torch.from_numpy(read_image(file, card.image_size, mode, fit).copy())
    image = image[None] if image.ndim == 2 else image.permute(2, 0, 1)
    return image.float() / 255
