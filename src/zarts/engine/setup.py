"""What a search and a retraining set up alike: images, augmentation, the optimizer of the weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from zarts.config import CommonSettings
from zarts.data import Augment, DataSet, load_data
from zarts.engine.environment import environment
from zarts.engine.loop import Listener
from zarts.engine.run import Run
from zarts.errors import SettingsError
from zarts.ranks import Ranks

__all__ = ["augmentation", "load_images", "sgd"]


def load_images(
    settings: CommonSettings, run: Run, device: torch.device, listener: Listener, ranks: Ranks | None = None
) -> DataSet:
    """The images of the settings, split as the run began; a new run writes down its split and environment.

    Raises:
        DataError: they cannot be used.
        SettingsError: there is no such data set, or an image size that cannot be.
    """
    ranks = ranks or Ranks()
    manifest = ranks.from_lead(run.split() if ranks.lead else None)
    with ranks.in_turn():  # the first one may have to download them
        data = load_data(
            settings.data,
            image_size=settings.image_size,
            subset=settings.subset,
            seed=settings.split_seed,
            data_dir=settings.data_dir,
            manifest=manifest,
        )
    for note in data.notes:
        listener({"event": "note", "text": note})
    if not (run.path / "env.json").exists():
        run.write_json("split.json", data.manifest)
        run.write_json("env.json", environment(device, ranks.count))
    return data


def augmentation(settings: CommonSettings, data: DataSet, cutout: int) -> Augment:
    """Crop and flip as the settings or the data set say, and `cutout`."""
    return Augment(
        crop_padding=data.image_size // 8 if settings.crop_padding is None else settings.crop_padding,
        flip=data.flip if settings.flip is None else settings.flip,
        cutout=cutout,
    )


def sgd(settings: CommonSettings, parameters: Iterable[nn.Parameter]) -> torch.optim.SGD:
    """The optimizer of the weights; one kernel for all of them takes a seventh of the time of a loop over them.

    All momenta are there from the start, at 0, which comes to the same: that kernel refuses a step in which some
    weights have one and some, whose operations run for the first time, have none.

    Raises:
        SettingsError: Nesterov's look-ahead without momentum.
    """
    if settings.nesterov and settings.momentum == 0:
        raise SettingsError(
            "nesterov = True looks ahead along the momentum, which is 0: leave it out, or set --momentum"
        )
    optimizer = torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        fused=True,
    )
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer
