"""The settings of a retraining: one name and one meaning on the command line, in YAML and in Python."""

from __future__ import annotations

from zarts.config.common import CommonSettings, setting

__all__ = ["RetrainSettings"]


class RetrainSettings(CommonSettings):
    """Settings of `zarts retrain`: a found network is trained from scratch. Defaults: DARTS' CIFAR-10 recipe."""

    epochs: int = setting(600, "passes over all training images", panel="Weights", ge=1)
    batch_size: int = setting(96, "images a weight step", panel="Weights", ge=2)
    channels: int = setting(36, "channels of the first cells", panel="Network", ge=2)
    cells: int = setting(20, "cells in the network; two of them reduce", panel="Network", ge=3)
    cutout: int | None = setting(
        None,
        "side of the square cut out of every image (default: half the image size, the paper's 16 at 32)",
        panel="Data",
        ge=0,
    )
    auxiliary_weight: float = setting(
        0.4, "weight of the auxiliary head's loss; 0: no head", panel="Regularisation", ge=0
    )
    drop_path: float = setting(
        0.2, "drop-path probability: in epoch e of E, from 0, e / E of this", panel="Regularisation", ge=0, lt=1
    )
    label_smoothing: float = setting(0.0, "of the training loss", panel="Regularisation", ge=0, lt=1)
    test_every: int = setting(1, "epochs from one test to the next; the last one always has one", panel="Run", ge=1)
