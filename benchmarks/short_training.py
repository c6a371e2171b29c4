"""A training of a network for some steps, without a run folder: to try recipes and to compare networks."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from zarts.config import RetrainSettings
from zarts.data import DataSet, Images
from zarts.runtime.device import choose_device
from zarts.runtime.distributed import Ranks
from zarts.runtime.precision import Passes
from zarts.spaces import Architecture
from zarts.training.evaluate import answers, test_batches
from zarts.training.lr_schedule import rate_at
from zarts.training.model_file import ModelCard
from zarts.training.network_training import NetworkTraining
from zarts.training.path_choice import fastest_path
from zarts.training.setup import draws

__all__ = ["ShortTraining"]


class ShortTraining:
    """Trains by a schedule over the steps, on the fastest path that the settings allow.

    Args:
        settings: the recipe.
        architecture: of the network.
        data: the images.
        indices: of those that train; None: all training images.
        steps: of the whole training.
    """

    def __init__(
        self,
        settings: RetrainSettings,
        architecture: Architecture,
        data: DataSet,
        indices: Int64[Tensor, " n"] | None,
        *,
        steps: int,
    ) -> None:
        self.steps, self.step = steps, 0
        device, form = choose_device(settings.device), (settings.channels, settings.cells, settings.stem)
        size, mean, std = data.image_size, data.mean, data.std
        self.card = ModelCard(architecture, *form, data.classes, size, mean, std, settings.crop, data.bits)
        self.path = fastest_path(settings, self.card, Ranks(), device)
        torch.set_num_threads(self.path.threads)
        self.settings = settings = self.path.applied(settings)
        self._passes = Passes(settings, device, draws=draws(architecture, settings))
        self._core = NetworkTraining(settings, self.card, data, indices, Ranks(), device)
        self._device, self.network = device, self._core.network

    def train(self, until: int | None = None) -> None:
        """Train up to this step; None: to the end."""
        self.network.train()
        while self.step < (self.steps if until is None else until):
            self._core.rate = rate_at(self.settings, self.step, self.steps)
            self._core.step(self._passes, self.step, *self._core.batch(self.step, self.step / self.steps))
            self.step += 1

    def accuracy(self, images: Images) -> float:
        """Accuracy on other images, in percent."""
        return answers(self._core.tested, test_batches(images, self.card, self._device)).accuracy
