"""Tests of trained networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from zarts.api._architecture import model_file
from zarts.api._data import given_images, images_of
from zarts.api._retrain import retrained_settings
from zarts.data import PythonData, Tested, load_test_images
from zarts.errors import SettingsError
from zarts.exports import model_in, open_model
from zarts.runs import Run, trained_in
from zarts.runs.new_run import check_given, same_images
from zarts.runs.user_files import use_operations
from zarts.runtime.device import choose_device
from zarts.runtime.paths import PathLike, existing, path_of
from zarts.training import Answers, ModelCard, answers, error_details, load_model, test_batches
from zarts.training.trainer import Callback, no_callback

__all__ = ["evaluate", "examine", "test_images_of"]

_RUN_ONLY = "--operations belongs to a run: name the folder of the run, or leave it out"


def examine(
    path: PathLike,
    data: Any = None,
    *,
    run: PathLike | None = None,
    device: str = "auto",
    operations: PathLike | None = None,
    trust: bool = False,
    allow_left_out: bool = False,
    callback: Callback = no_callback,
) -> dict[str, Any]:
    """Test a trained network: its accuracy and its errors, as `zarts.training.error_details` returns them.

    Beside these: `notes`, messages to the user; `trained_on`, the number of tested images that the network was trained
    on, by their contents; and where there are such, `accuracy_of_new`, the accuracy without them.

    Args:
        path: a retraining or fit, as its result or its folder, its `model.safetensors`, a folder that `export` wrote,
            or its file `.onnx`, `.safetensors` or TorchScript `.pt`.
        data: the images; None: those of the run. A name, a path, or one of the objects that `zarts.search` takes. Of
            objects that are not those of the run, all images are tested, or those of the part `test` if there is one.
        run: for an exported file, the run that it comes from, whose test images are used.
        device: see the setting of that name.
        operations: the file of user-defined operations, if the run has such; its code is run.
        trust: whether an exported Python file or TorchScript, which are code, may be run.
        allow_left_out: whether more than 5 % of the images may be left out, because they are no images or damaged.
        callback: called with events `doing` and `part`, of how much is done.

    Raises:
        RunError: the folder or the model file cannot be used, or the images are Python objects and are not given.
        DataError: the images cannot be used.
        SettingsError: the images have other classes than the network, or are not named.
    """
    name, given = given_images(images_of(path) if data is None else data)
    path, where = trained_in(existing(path, "run folder or model file")), choose_device(device)
    callback({"event": "doing", "text": "loading the network"})
    written = model_in(path) if path.is_dir() else path
    if written is None:
        if run is not None:
            raise SettingsError(f"{path} is a run itself: leave --run out")
        return _examine_run(path, name, given, where, operations, callback, allow_left_out=allow_left_out)
    if operations is not None:
        raise SettingsError(_RUN_ONLY)
    if data is not None and run is not None:
        raise SettingsError("--data and --run both name the test images: leave one of them out")
    if data is None and run is None:
        raise SettingsError(
            f"{path}: its test images are not known: name them with --data, or the run that it comes from with --run"
        )
    model = open_model(written, trust=trust)
    callback({"event": "doing", "text": "loading images"})
    if run is not None:
        tested = test_images_of(trained_in(path_of(run)), model.card, None, None, allow_left_out=allow_left_out)
    else:
        tested = _of_others(name if given is None else given, model.card, {}, allow_left_out=allow_left_out)
    module = model.module.to(where) if model.movable else model.module
    batches = test_batches(tested.images, model.card.unnormalized(), where if model.movable else torch.device("cpu"))
    return _details(answers(module, batches, report=_reporting(callback)), model.card, tested)


def _reporting(callback: Callback) -> Callable[[int, int], None]:
    return lambda done, of: callback({"event": "part", "text": "testing", "done": done, "of": of})


def evaluate(path: PathLike, data: Any = None, **options: Any) -> float:
    """Test accuracy, in percent, of a trained network; see `examine` for the options and errors."""
    accuracy: float = examine(path, data, **options)["accuracy"]
    return accuracy


def _examine_run(
    path: Path,
    name: str | None,
    given: PythonData | None,
    where: torch.device,
    operations: PathLike | None,
    callback: Callback,
    *,
    allow_left_out: bool,
) -> dict[str, Any]:
    settings = retrained_settings(path)
    if name is None:
        check_given(settings, None, path, "zarts.evaluate(RUN, data=...)")
    use_operations(Run(path), None if operations is None else path_of(operations), lambda text: None)
    network, card = load_model(model_file(path))
    callback({"event": "doing", "text": "loading images"})
    tested = test_images_of(path, card, name, given, allow_left_out=allow_left_out)
    network = network.to(where).to(memory_format=torch.channels_last)
    found = answers(network, test_batches(tested.images, card, where), report=_reporting(callback))
    return _details(found, card, tested)


def test_images_of(
    path: Path, card: ModelCard, name: str | None, given: PythonData | None, *, allow_left_out: bool
) -> Tested:
    """The test images of a run, by its split; or those that are named or given, of which it knows its own."""
    settings, split = retrained_settings(path), Run(path).split() or {}
    if name is None:
        check_given(settings, None, path, "zarts.evaluate(MODEL, data=...)")
    own = name is None or same_images(name, settings.data, given, split)
    options = {"own": own, "seed": settings.split_seed, "data_dir": settings.data_dir}
    allowed = allow_left_out or (own and settings.allow_left_out)
    return _of_others(given or name or settings.data, card, split, allow_left_out=allowed, **options)


def _of_others(data: Any, card: ModelCard, split: Mapping[str, Any], **options: Any) -> Tested:
    """Test images for a network, which need not be those of its run."""
    return load_test_images(
        data,
        card.classes,
        image_size=card.image_size,
        channels=len(card.mean),
        crop=card.crop,
        bits=card.bits,
        manifest=split or None,
        **options,
    )


def _details(found: Answers, card: ModelCard, tested: Tested) -> dict[str, Any]:
    """The error analysis, and the accuracy without images that the network was trained on."""
    details = error_details(found, card.classes, tested.images.names)
    details["notes"] = list(tested.notes)
    details["trained_on"] = int(tested.seen.sum())
    if 0 < details["trained_on"] < len(tested.seen):
        new = ~tested.seen
        details["accuracy_of_new"] = Answers(found.labels[new], found.predicted[new], found.losses[new]).accuracy
    return details
