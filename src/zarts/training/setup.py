"""Set-up that a search and a retraining share: images, augmentation and the optimizer of the weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from zarts.config import CommonSettings, RetrainSettings
from zarts.data import DATA_SETS, PYTHON, Augment, DataSet, ImageCache, left_out_csv, load_data
from zarts.errors import DataError, SettingsError
from zarts.runs import Run
from zarts.runs.checksum import code_checksums
from zarts.runs.new_run import check_given
from zarts.runtime.distributed import Ranks
from zarts.runtime.environment import environment
from zarts.spaces import Architecture, Chain
from zarts.training.muon import Muon, is_convolution
from zarts.training.trainer import Callback

__all__ = ["augmentation", "draws", "load_images", "weight_optimizer"]


def load_images(
    settings: CommonSettings,
    run: Run,
    device: torch.device,
    callback: Callback,
    ranks: Ranks | None = None,
    *,
    most: int | None = None,
) -> DataSet:
    """Load the images of the settings, with the run's split; a new run writes its split and its environment.

    Args:
        settings: name the images.
        run: the run.
        device: that the run uses.
        callback: called with every event.
        ranks: the processes; None: this one alone.
        most: files that are read, see `load_data`; None: all.

    Raises:
        DataError: the images cannot be used, or are others than those that the run began with.
        RunError: they are Python objects, and were not given.
        SettingsError: there is no such data set, or the image size is impossible.
    """
    ranks = ranks or Ranks()
    callback({"event": "doing", "text": "loading images"})
    images = run.images if settings.data == PYTHON else None
    check_given(settings, images, run.path, "data=...")
    manifest = ranks.broadcast(run.split() if ranks.lead else None)
    load = partial(
        load_data,
        images or settings.data,
        image_size=settings.image_size,
        subset=settings.subset,
        seed=settings.split_seed,
        data_dir=settings.data_dir,
        manifest=manifest,
        copies=ranks.count,
        workers=settings.workers,
        crop=settings.crop,
        allow_left_out=settings.allow_left_out,
        group_by=settings.group_by,
        goes_on=ranks.broadcast((run.path / "env.json").exists()),
        most=most,
        report=lambda text, done, of: callback({"event": "part", "text": text, "done": done, "of": of}),
    )
    first = load(image_cache=_kept(settings, run, manifest)) if ranks.lead else None
    kept: ImageCache = ranks.broadcast(settings.image_cache if first is None else first.kept)
    with ranks.rank_zero_first():  # the first rank of a machine may have to download them
        data = first or load(image_cache=kept)
    if images is not None:
        _check_same(images.fingerprint, ranks)
    for note in (*(() if settings.data in DATA_SETS else (_counts(data),)), *data.notes):
        callback({"event": "note", "text": note})
    if not (run.path / "env.json").exists():
        if data.left_out:
            run.write("left_out.csv", left_out_csv(data.left_out))
        run.write_split({**data.manifest, "images": data.kept})
        run.write_json("env.json", {**environment(device, ranks.count), **code_checksums(run.path)})
    run.moved("data", settings.data)
    return data


def _counts(data: DataSet) -> str:
    """One line that says how many images go where; those of named sets are known."""
    names = {"train": "training", "val": "validation", "test": "test"}
    used = "" if len(data.train) == data.counts["train"] else f" ({len(data.train)} of them used)"
    parts = ", ".join(
        f"{data.counts[part]} {name}{used if part == 'train' else ''}"
        for part, name in names.items()
        if part in data.counts
    )
    drawn = f" (drawn by split_seed = {data.manifest['seed']})" if "seed" in data.manifest else ""
    return f"{data.name}: {len(data.classes)} classes, {parts} images{drawn}"


def _check_same(fingerprint: str, ranks: Ranks) -> None:
    """Check that the Python objects of all ranks are the same; each rank has made its own."""
    others = ranks.all_reduce(torch.tensor(float(ranks.broadcast(fingerprint) != fingerprint)))
    if others > 0:
        raise DataError(
            f"data: {int(others)} of {ranks.count} processes were given other images than the first one (fingerprint "
            f"here {fingerprint[:8]}): make them in the same way in each, with the same seed"
        )


def _kept(settings: CommonSettings, run: Run, manifest: Mapping[str, Any] | None) -> ImageCache:
    """Where images are kept: as when the run began, so that a resumed run gives the same bits."""
    if manifest is None or not (run.path / "env.json").exists():
        return settings.image_cache
    kept: ImageCache = manifest.get("images", "memory")
    return kept


def augmentation(settings: CommonSettings, data: DataSet, cutout: int) -> Augment:
    """The augmentation: crop, colours and flip of the settings or else of the data set, and `cutout`."""
    padding = data.image_size // 8 if settings.crop_padding is None else settings.crop_padding
    return Augment(
        crop_padding=padding if settings.crop == "pad" else 0,
        flip=data.flip if settings.flip is None else settings.flip,
        cutout=cutout,
        resized=settings.crop == "resized",
        jitter=settings.color_jitter,
        alternating=isinstance(settings, RetrainSettings) and settings.alternating_flip,
        after=settings.augment_after if isinstance(settings, RetrainSettings) else 0,
    )


def draws(architecture: Architecture, settings: RetrainSettings) -> bool:
    """Whether the network draws random numbers while it trains."""
    if isinstance(architecture, Chain):
        return architecture.dropout > 0
    noise = any(architecture.count(kind, frozenset({"noise"})) for kind in architecture.cells)
    return noise or settings.drop_path > 0


def weight_optimizer(settings: CommonSettings, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimizer of the weights: SGD, and where `muon_rate` says so Muon for the convolutions.

    SGD's single kernel for all weights takes a seventh of the time of a loop. All momenta exist from the start, at 0,
    with the same result. Without this, the kernel refuses a step in which only some weights have a momentum, because
    the operations of the others run for the first time.

    Raises:
        SettingsError: Nesterov momentum is on, but the momentum is 0.
    """
    if settings.nesterov and settings.momentum == 0:
        raise SettingsError("nesterov = True needs a momentum, but momentum = 0: leave nesterov out, or set --momentum")
    parameters = list(parameters)
    rate, momentum, nesterov = settings.learning_rate, settings.momentum, settings.nesterov
    muon_rate = settings.muon_rate if isinstance(settings, RetrainSettings) else 0.0
    convolutions = [p for p in parameters if muon_rate > 0 and is_convolution(p)]
    others = parameters if not convolutions else [p for p in parameters if not is_convolution(p)]
    groups: list[dict[str, Any]] = [{"params": others, "weight_decay": settings.weight_decay}]
    if isinstance(settings, RetrainSettings) and not settings.decay_norms:
        few = [p for p in others if p.dim() < 2]  # of norms, and biases
        groups[0]["params"] = [p for p in others if p.dim() > 1]
        groups.append({"params": few, "weight_decay": 0.0})
    groups = [group for group in groups if group["params"]]
    optimizer: torch.optim.Optimizer
    if convolutions:
        optimizer = Muon(convolutions, groups, lr=rate, ratio=muon_rate / rate, momentum=momentum, nesterov=nesterov)
    else:
        optimizer = torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=nesterov, fused=True)
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer
