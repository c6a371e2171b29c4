"""Batches for the weights and for alpha: of two halves of the training images, or of training and validation images."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from zarts.config import SearchSettings
from zarts.data import Augment, Batches, DataSet, Images, halves
from zarts.errors import DataError
from zarts.runtime.seed import keyed_generator
from zarts.training.setup import augmentation

__all__ = ["Halves"]

_SELECTION_BATCH = 256
"""Images of a batch that is only evaluated: twice as fast as batches of 16."""


class Halves:
    """Batches of the two halves; where there are validation images, these take the place of the half for alpha.

    Args:
        settings: the settings.
        data: the images.
        device: device of the batches.

    Raises:
        DataError: the half for alpha has fewer images than one batch.
    """

    def __init__(self, settings: SearchSettings, data: DataSet, device: torch.device) -> None:
        self._settings, self._data, self._device = settings, data, device
        val = data.val()
        self._alpha_images = data.train if val is None else val
        if val is None:
            weights_half, self._alpha_half = halves(data.train.labels, settings.seed, data.units)
        else:
            weights_half, self._alpha_half = torch.arange(len(data.train)), torch.arange(len(val))
        augment, half = augmentation(settings, data, settings.cutout), len(self._alpha_half)
        self.train = self._batches(data.train, "train", weights_half, augment)
        """Batches that the weights are trained on."""
        size = settings.val_batch_size or settings.batch_size
        if size > half:
            raise DataError(f"val_batch_size = {size}: the half for alpha has {half} images: take {half} or less")
        self.val = self._batches(self._alpha_images, "val", self._alpha_half, augment, batch_size=size)
        """Batches that alpha is updated by."""

    def selection(self) -> Batches:
        """Batches that selections evaluate on: images of the half for alpha, not augmented, in large batches."""
        half, settings = self._alpha_half, self._settings
        order = torch.randperm(len(half), generator=keyed_generator(settings.seed, "judged"))
        drawn = half[order[: settings.select_images]]
        parts = math.ceil(len(drawn) / max(settings.batch_size, _SELECTION_BATCH))
        return self._batches(
            self._alpha_images, "judged", drawn, None, batch_size=math.ceil(len(drawn) / parts), shuffle=False
        )

    def _batches(self, images: Images, name: str, indices: Tensor, augment: Augment | None, **order: Any) -> Batches:
        return Batches(
            images,
            indices,
            **{"batch_size": self._settings.batch_size, **order},
            seed=self._settings.seed,
            stream=name,
            mean=self._data.mean,
            std=self._data.std,
            augment=augment,
            device=self._device,
        )
