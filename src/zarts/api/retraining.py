"""Retraining a found architecture from scratch, and testing what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from zarts.api.frame import drawn, notes, rehearsed, told
from zarts.api.loggers import logged
from zarts.config import RetrainSettings, retrain_settings
from zarts.data import load_data
from zarts.engine import Forecast, Listener, Run, check_alone, choose_device
from zarts.errors import RunError, SettingsError
from zarts.folders import anchored, discarded_unless_begun, new_run, same_images
from zarts.own import hand_down, use_operations, use_space
from zarts.sources import Source, inherited, run_of, trainable
from zarts.spaces import Genotype
from zarts.training import RetrainResult, accuracy, load_model, test_batches
from zarts.training import retrain as run_retrain

__all__ = ["evaluate", "rehearse_retrain", "resume_retrain", "retrain", "start_retrain"]


def retrain(
    source: Source,
    *,
    out: Path | str | None = None,
    preset: str | None = None,
    config: Path | str | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> RetrainResult:
    """Train the network of an architecture from scratch, and test it.

    Args:
        source: a search (its result or its folder), a genotype, its file or text, or a published one's name.
            A search hands down its data, split, image size, flip and stem.
        out: the run folder; None makes a new one in `runs/retrain`.
        preset: name of a preset, for example `cifar10`.
        config: a YAML file with settings.
        listener: called with every event.
        options: settings, see `zarts.config.RetrainSettings`; for example `epochs=100, channels=24`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    settings = retrain_settings(
        options, preset=preset, config=None if config is None else Path(config), inherited=inherited(source)
    )
    return start_retrain(source, settings, out, listener)


def start_retrain(
    source: Source, settings: RetrainSettings, out: Path | str | None, listener: Listener | None
) -> RetrainResult:
    """Retrain with settings that are resolved already; see `retrain`."""
    check_alone("a retraining")
    settings = anchored(settings)
    _use(source, settings, listener)
    genotype, name = trainable(source)
    path = Path("runs/retrain") / f"{name}-retrained-seed{settings.seed}" if out is None else Path(out)
    run = new_run(path, settings, "retrain", numbered=out is None)
    with discarded_unless_begun(run):
        _prepare_retrain(source, genotype, settings, run)
        with logged(settings, run, listener) as heard:
            result = run_retrain(settings, genotype, run, listener=heard)
    return drawn(result)


def rehearse_retrain(
    source: Source, settings: RetrainSettings, listener: Listener | None = None, *, before_seconds: float = 0.0
) -> Forecast:
    """What a retraining with these settings will cost; see `rehearse_search`."""
    settings = anchored(settings)
    _use(source, settings, listener)
    genotype, _ = trainable(source)
    with rehearsed(settings, "retrain", before_seconds) as (run, rehearsal):
        _prepare_retrain(source, genotype, settings, run)
        drawn(run_retrain(settings, genotype, run, listener=notes(listener), drive=rehearsal.run))
        return rehearsal.forecast()


def _use(source: Source, settings: RetrainSettings, listener: Listener | None) -> None:
    """Make known what a source has of its own; an architecture without a run may have operations that are named."""
    searched = run_of(source)
    if searched is not None:
        use_operations(searched, settings.operations, told(listener))
    elif settings.operations is not None:
        raise SettingsError("operations belong to a search: name its run folder, or leave --operations out")


def _prepare_retrain(source: Source, genotype: Genotype, settings: RetrainSettings, run: Run) -> None:
    """Write what a retraining has from its source into its folder."""
    run.write("genotype.json", genotype.to_json())
    searched = run_of(source)
    if searched is not None:
        hand_down(searched, run)
    if searched is not None and same_images(settings.data, searched.settings("search")["data"]):
        _hand_down(searched, settings, run)


def _hand_down(searched: Run, settings: RetrainSettings, run: Run) -> None:
    """Give a retraining the test images that its search has never seen.

    Raises:
        SettingsError: another draw of them is asked for.
    """
    split = searched.split()
    if split is None or "test" not in split:
        return
    if settings.subset is None and settings.split_seed != searched.settings("search").get("split_seed"):
        raise SettingsError(
            f"split_seed = {settings.split_seed} would test on images that the search {searched.path} has seen: "
            "leave it out, the retraining keeps the split of the search"
        )
    run.write_json("split.json", split)


def resume_retrain(
    path: Path | str, listener: Listener | None = None, *, operations: Path | str | None = None
) -> RetrainResult:
    """Go on with an interrupted retraining; a finished one only gives its result.

    Args:
        path: the run folder.
        listener: called with every event.
        operations: of a run with operations of its own their file again: its code is run.

    Raises:
        RunError: the folder or its checkpoint cannot be used.
        SettingsError: the operations are not named, or others.
    """
    check_alone("a retraining")
    run, settings = _retrained(path, operations, listener)
    genotype = Genotype.load(run.path / "genotype.json")
    with logged(settings, run, listener) as heard:
        return drawn(run_retrain(settings, genotype, run, resume=True, listener=heard))


def evaluate(
    path: Path | str, *, data: str | None = None, device: str = "auto", operations: Path | str | None = None
) -> float:
    """Test accuracy, in percent, of a retrained network, from the files of its run folder alone.

    Args:
        path: folder of a `retrain` run.
        data: other images with the same classes; None takes those that it was trained for.
        device: see the setting of that name.
        operations: see `resume_retrain`.

    Raises:
        RunError: the folder or the model file cannot be used.
        DataError: the images cannot be used.
        SettingsError: the images have other classes than the network.
    """
    run, settings = _retrained(path, operations, None)
    if not run.finished:
        raise RunError(f"{path}: the retraining has not finished: go on with `zarts retrain --resume {path}`")
    network, card = load_model(run.path / "model.safetensors")
    own, split = data is None or same_images(data, settings.data), run.split() or {}
    images = load_data(
        settings.data if data is None else data,
        image_size=card.image_size,
        subset=settings.subset if own else None,
        seed=settings.split_seed,
        data_dir=settings.data_dir,
        manifest=split if own and "test" in split else None,
    )
    if images.classes != card.classes:
        raise SettingsError(
            f"{images.name} has classes {list(images.classes)}; the network was trained for {list(card.classes)}"
        )
    if images.channels != len(card.mean):
        raise SettingsError(
            f"{images.name}: images have {images.channels} channels; the network was trained on {len(card.mean)}"
        )
    where = choose_device(device)
    network = network.to(where).to(memory_format=torch.channels_last)
    return accuracy(network, test_batches(images.test(), card, where))


def _retrained(
    path: Path | str, operations: Path | str | None, listener: Listener | None
) -> tuple[Run, RetrainSettings]:
    run = Run.open(Path(path), "retrain")
    use_space(run)
    use_operations(run, None if operations is None else Path(operations), told(listener))
    return run, retrain_settings(run.settings("retrain"), where=str(run.path / "config.yaml"))
