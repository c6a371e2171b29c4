"""A training of a network for some steps, without a run folder: to try recipes and to compare networks."""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn.functional import interpolate
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zarts.config import RetrainSettings
from zarts.data import Batches, DataSet, Images
from zarts.networks import AnyNetwork, seeded
from zarts.runtime.distributed import Ranks
from zarts.runtime.precision import Passes
from zarts.runtime.seed import keyed_generator
from zarts.spaces import Architecture
from zarts.training.criterion import criterion_of
from zarts.training.evaluate import answers, test_batches
from zarts.training.lr_schedule import rate_at
from zarts.training.model_file import ModelCard
from zarts.training.path_choice import fastest_path, put_on_path
from zarts.training.setup import augmentation, draws, sgd
from zarts.training.train_step import WeightStep

__all__ = ["ShortTraining", "shrunk"]


def shrunk(images: Tensor, settings: RetrainSettings, progress: float) -> Tensor:
    """The images of a step at the size for it: 3 / 4, in steps of 4 pixels, in the first `small_share` of the steps."""
    if progress >= settings.small_share:
        return images
    side = max(8, round(images.shape[-1] * 3 / 16) * 4)
    smaller: Tensor = interpolate(images, (side, side), mode="bilinear", antialias=True)
    return smaller.contiguous(memory_format=torch.channels_last)


class ShortTraining:
    """Trains on one device, with a schedule over the steps.

    Args:
        settings: the recipe.
        architecture: of the network.
        data: the images.
        indices: of the training images; None: all.
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
        self.device = torch.device("cpu")
        form = (settings.channels, settings.cells, settings.stem)
        self.card = ModelCard(
            architecture, *form, data.classes, data.image_size, data.mean, data.std, settings.crop, data.bits
        )
        self.path = fastest_path(settings, self.card, Ranks(), self.device)
        self.settings = settings = self.path.applied(settings)
        self.passes = Passes(settings, self.device, draws=draws(architecture, settings))
        self._drops = torch.Generator(self.device)
        with seeded(settings.seed):
            network = self.card.build(generator=self._drops)
        self.network = network
        put_on_path(network, settings)
        self.average: AveragedModel | None = None
        if settings.ema > 0:
            average = get_ema_multi_avg_fn(settings.ema)  # type: ignore[no-untyped-call]
            self.average = AveragedModel(self.network, multi_avg_fn=average, use_buffers=True)
        self.optimizer = sgd(settings, self.network.parameters())
        loss = criterion_of(
            settings.criterion, data.train.labels, len(data.classes), self.device, settings.label_smoothing
        ).loss
        self.weight_step = WeightStep(settings, self.network, self.optimizer, Ranks(), self.device, loss, self._draw)
        cutout = data.image_size // 2 if settings.cutout is None else settings.cutout
        self.batches = Batches(
            data.train,
            indices,
            batch_size=settings.batch_size,
            seed=settings.seed,
            stream="retrain",
            mean=data.mean,
            std=data.std,
            augment=augmentation(settings, data, cutout),
        )

    def _draw(self, step: int, piece: int) -> None:
        self._drops.manual_seed(keyed_generator(self.settings.seed, "drop-path", step).initial_seed())

    def train(self, until: int | None = None) -> None:
        """Train up to this step; None: to the end."""
        self.network.train()
        while self.step < (self.steps if until is None else until):
            for group in self.optimizer.param_groups:
                group["lr"] = rate_at(self.settings, self.step, self.steps)
            images, labels = self.batches[self.step]
            images = shrunk(images, self.settings, self.step / self.steps)
            self.weight_step(self.passes, self.step, images, labels)
            if self.average is not None:
                self.average.update_parameters(self.network)
            self.step += 1

    def accuracy(self, images: Images) -> float:
        """Accuracy on other images, in percent."""
        tested = self.network if self.average is None else cast(AnyNetwork, self.average.module)
        return answers(tested, test_batches(images, self.card, self.device)).accuracy
