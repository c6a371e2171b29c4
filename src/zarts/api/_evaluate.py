"""Tests of trained networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from zarts.api._architecture import model_file
from zarts.api._data import given_images, images_of
from zarts.api._retrain import retrained_settings
from zarts.data import DataSet, Images, PythonData, load_data, load_test_images
from zarts.errors import RunError, SettingsError
from zarts.exports import model_in, open_model
from zarts.runs import Run
from zarts.runs.new_run import check_given, same_images
from zarts.runs.user_files import use_operations
from zarts.runtime.device import choose_device
from zarts.runtime.io import PathLike, path_of
from zarts.training import ModelCard, answers, error_details, load_model, test_batches

__all__ = ["evaluate", "examine"]

_RUN_ONLY = "--operations belongs to a run: name the folder of the run, or leave it out"


def examine(
    path: PathLike,
    data: Any = None,
    *,
    run: PathLike | None = None,
    device: str = "auto",
    operations: PathLike | None = None,
    trust: bool = False,
) -> dict[str, Any]:
    """Test a trained network: its accuracy and its errors, as `zarts.training.error_details` returns them.

    Args:
        path: a `retrain` run, as its result or its folder, its `model.safetensors`, a folder that `export` wrote, or
            its file `.onnx`, `.safetensors` or TorchScript `.pt`.
        data: the images; None: those of the run. A name, a path, or one of the objects that `zarts.search` takes. Of
            objects that are not those of the run, all images are tested, or those of the part `test` if there is one.
        run: for an exported file, the run that it comes from, whose test images are used.
        device: see the setting of that name.
        operations: the file of user-defined operations, if the run has such; its code is run.
        trust: whether an exported Python file may be run.

    Raises:
        RunError: the folder or the model file cannot be used, or the images are Python objects and are not given.
        DataError: the images cannot be used.
        SettingsError: the images have other classes than the network, or are not named.
    """
    name, given = given_images(images_of(path) if data is None else data)
    path, where = path_of(path), choose_device(device)
    if not path.exists():
        raise RunError(f"{path}: no such run folder or model file")
    written = model_in(path) if path.is_dir() else path
    if written is None:
        if run is not None:
            raise SettingsError(f"{path} is a run itself: leave --run out")
        return _examine_run(path, name, given, where, operations)
    if operations is not None:
        raise SettingsError(_RUN_ONLY)
    if data is not None and run is not None:
        raise SettingsError("--data and --run both name the test images: leave one of them out")
    if data is None and run is None:
        raise SettingsError(
            f"{path}: its test images are not known: name them with --data, or the run that it comes from with --run"
        )
    model = open_model(written, trust=trust)
    if run is not None:
        test = _test_images_of(path_of(run), model.card, None, None)
    elif given is not None:
        test = _test_images(given, model.card)
    else:
        test = _fitting(load_data(str(name), **_images(model.card)), model.card)
    module = model.module.to(where) if model.movable else model.module
    batches = test_batches(test, _unnormalized(model.card), where if model.movable else torch.device("cpu"))
    return error_details(answers(module, batches), model.card.classes, test.names)


def evaluate(path: PathLike, data: Any = None, **options: Any) -> float:
    """Test accuracy, in percent, of a trained network; see `examine` for the options and errors."""
    accuracy: float = examine(path, data, **options)["accuracy"]
    return accuracy


def _examine_run(
    path: Path, name: str | None, given: PythonData | None, where: torch.device, operations: PathLike | None
) -> dict[str, Any]:
    settings = retrained_settings(path)
    if name is None:
        check_given(settings, None, path, "zarts.evaluate(RUN, data=...)")
    use_operations(Run(path), None if operations is None else path_of(operations), lambda text: None)
    network, card = load_model(model_file(path))
    test = _test_images_of(path, card, name, given)
    network = network.to(where).to(memory_format=torch.channels_last)
    return error_details(answers(network, test_batches(test, card, where)), card.classes, test.names)


def _test_images_of(path: Path, card: ModelCard, name: str | None, given: PythonData | None) -> Images:
    """The test images of a run, by its split into training and test images; or those that are named or given."""
    settings, split = retrained_settings(path), Run(path).split() or {}
    if name is None:
        check_given(settings, None, path, "zarts.evaluate(MODEL, data=...)")
    own = name is None or same_images(name, settings.data, given, split)
    if given is not None and not own:
        return _test_images(given, card)
    data = load_data(
        given or name or settings.data,
        subset=settings.subset if own else None,
        seed=settings.split_seed,
        data_dir=settings.data_dir,
        manifest=split if own and "test" in split else None,
        image_cache="auto",
        workers=settings.workers,
        **_images(card),
    )
    return _fitting(data, card)


def _test_images(given: PythonData, card: ModelCard) -> Images:
    return load_test_images(given, card.classes, channels=len(card.mean), **_images(card))


def _images(card: ModelCard) -> dict[str, Any]:
    """How images are prepared for a network, for `load_data`."""
    return {"image_size": card.image_size, "crop": card.crop, "bits": card.bits}


def _fitting(images: DataSet, card: ModelCard) -> Images:
    """The test images of a data set that fits the network."""
    if images.classes != card.classes:
        raise SettingsError(
            f"{images.name} has classes {list(images.classes)}; the network was trained for {list(card.classes)}"
        )
    if images.channels != len(card.mean):
        raise SettingsError(
            f"{images.name}: images have {images.channels} channels; the network was trained on {len(card.mean)}"
        )
    return images.test()


def _unnormalized(card: ModelCard) -> ModelCard:
    """The card, for images that are scaled to [0, 1] but not normalized."""
    channels = len(card.mean)
    return replace(card, mean=(0.0,) * channels, std=(1.0,) * channels)
