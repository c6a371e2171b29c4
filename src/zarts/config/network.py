"""Settings of the network and of the training of its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from zarts.config.base import SUPERNET, Settings, setting
from zarts.config.functions import Criterion
from zarts.config.types import Cells, Channels, Number, Whole

__all__ = ["NetworkSettings", "SearchWeightSettings", "SupernetSettings", "WeightSettings"]


class NetworkSettings(Settings):
    """Settings of a network; a setting without a default has one for searching and one for retraining."""

    channels: int
    cells: int
    stem: Literal["cifar", "imagenet"] = setting(
        "cifar", "cifar, or imagenet (three strides of two)", panel="Network", used_by=SUPERNET
    )
    operations: Path | None = setting(
        None,
        "a Python file with operations of your own, for a space of your own: its code is run",
        panel="Network",
        resumable=True,
    )


class SupernetSettings(NetworkSettings):
    """Settings of a supernet."""

    channels: Channels = setting(16, "channels of the first cells", panel="Network", used_by=SUPERNET, ge=2)
    cells: Cells = setting(
        8,
        "cells in the network, two of which reduce; in space nasbench201 cells a stage (the benchmark's 5)",
        panel="Network",
        used_by=SUPERNET,
        ge=1,
    )
    partial_channels: Channels = setting(
        4,
        "K: operations see the first 1 / K of a node's channels",
        panel="Network",
        used_by=("partial",),
        otherwise=1,
        ge=1,
    )
    reduction: Literal["residual", "light"] = setting(
        "residual",
        "between stages in space nasbench201: the benchmark's residual blocks, or light: a pool and a 1x1 convolution",
        panel="Network",
        used_by=SUPERNET,
    )
    drop_path: float = setting(
        0.0,
        "probability of dropping an edge with all its operations, for an image, while weights train: in epoch e of E, "
        "from 0, e / (E - 1) of this",
        panel="Network",
        used_by=SUPERNET,
        ge=0,
        lt=1,
    )


class WeightSettings(Settings):
    """Settings of SGD on the weights; a setting without a default has one for searching and one for retraining."""

    batch_size: int
    epochs: int
    learning_rate: Number = setting(
        0.025, "of the weights (SGD), at the first epoch", panel="Weights", used_by=SUPERNET, gt=0
    )
    momentum: float = setting(0.9, "of the weights' SGD", panel="Weights", used_by=SUPERNET, ge=0, lt=1)
    nesterov: bool = setting(False, "Nesterov momentum, as in NAS-Bench-201", panel="Weights", used_by=SUPERNET)
    weight_decay: Number = setting(3e-4, "of the weights", panel="Weights", used_by=SUPERNET, ge=0)
    grad_clip: float
    criterion: Criterion = setting(
        "cross-entropy",
        "loss that trains the weights: cross-entropy; balanced: each image's cross entropy times a weight inverse to "
        "the number of training images of its class; or FILE.py:function of (logits, labels), whose code is run",
        panel="Weights",
        used_by=SUPERNET,
    )


class SearchWeightSettings(WeightSettings):
    """Settings of SGD on the weights of a supernet."""

    batch_size: Whole = setting(64, "images a weight step", panel="Weights", used_by=SUPERNET, ge=2)
    epochs: Whole = setting(
        50, "passes over the images that train the weights", panel="Weights", used_by=SUPERNET, ge=1
    )
    grad_clip: Number = setting(5.0, "largest norm of the weights' gradient", panel="Weights", used_by=SUPERNET, gt=0)
    learning_rate_min: Number = setting(0.001, "end of the cosine", panel="Weights", used_by=SUPERNET, ge=0)
