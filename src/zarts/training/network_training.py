"""The weights of a network while they are trained, with all that changes them and all that they draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor
from torch.nn.functional import interpolate
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from zarts.config import RetrainSettings
from zarts.data import Batches, DataSet
from zarts.errors import SettingsError
from zarts.networks import AnyNetwork, Network, checkpoint_cells, seeded, share_norms
from zarts.networks.operations import Noise
from zarts.runtime.distributed import Ranks
from zarts.runtime.seed import keyed_generator
from zarts.training.criterion import criterion_of
from zarts.training.memory_check import check_weights
from zarts.training.model_file import ModelCard
from zarts.training.path_choice import put_on_path
from zarts.training.setup import augmentation, weight_optimizer
from zarts.training.train_step import WeightStep, own_part
from zarts.training.warm_start import Start, begin

__all__ = ["NetworkTraining"]


class NetworkTraining:
    """A network, the optimizer of its weights, and the batches on which they are trained.

    Args:
        settings: the recipe, on a path that is chosen.
        card: of the network.
        data: the images.
        indices: of those that train; None: all training images.
        ranks: the processes that train together.
        device: where the network is.
        start: the weights to start from; None: random ones.
    """

    def __init__(
        self,
        settings: RetrainSettings,
        card: ModelCard,
        data: DataSet,
        indices: Int64[Tensor, " n"] | None,
        ranks: Ranks,
        device: torch.device,
        start: Start | None = None,
    ) -> None:
        self._settings, self._ranks = settings, ranks
        self._drops, self._noise = torch.Generator(device), torch.Generator(device)
        self.network = self._built(card, start).to(device)
        put_on_path(self.network, settings)
        self.average = averaging(self.network, settings.ema) if settings.ema > 0 else None
        if settings.sync_batch_norm:
            share_norms(self.network, ranks, device)
        self.optimizer = weight_optimizer(settings, self.network.parameters())
        smoothing, classes = settings.label_smoothing, len(data.classes)
        loss = criterion_of(settings.criterion, data.train.labels, classes, device, smoothing).loss
        self.weight_step = WeightStep(settings, self.network, self.optimizer, ranks, device, loss, self._draw)
        cutout = data.image_size // 2 if settings.cutout is None else settings.cutout
        self.batches = Batches(
            data.train,
            indices,
            batch_size=settings.batch_size,
            seed=settings.seed,
            stream="retrain",
            mean=card.mean,
            std=card.std,
            augment=augmentation(settings, data, cutout),
            device=device,
            shard=partial(own_part, ranks=ranks),
        )

    def _built(self, card: ModelCard, start: Start | None) -> AnyNetwork:
        """The network with its initial weights; its random draws come from the generators of this training."""
        check_weights(card.build, card.most_weights(), self._drops.device, self._settings)
        with seeded(self._settings.seed):
            network = card.build(auxiliary=self._settings.auxiliary_weight > 0, generator=self._drops)
        if self._settings.drop_path > 0 and not isinstance(network, Network):
            raise SettingsError("drop_path: networks of this kind have no drop-path: set it to 0")
        for part in network.modules():
            if isinstance(part, Noise):
                part.generator = self._noise
        checkpoint_cells(network, [self._drops, self._noise], on=self._settings.checkpoint_activations)
        if start is not None:
            begin(network, start, card.classes)
        return network

    def _draw(self, global_step: int, piece: int) -> None:
        """Seed the draws: drop-path depends on seed, step and image, noise also on rank and piece."""
        seed = self._settings.seed
        self._drops.manual_seed(keyed_generator(seed, "drop-path", global_step).initial_seed())
        self._noise.manual_seed(keyed_generator(seed, "noise", global_step, self._ranks.rank, piece).initial_seed())

    @property
    def tested(self) -> AnyNetwork:
        """The network that is tested and saved: with the weights of the last step, or with their moving average."""
        if self.average is None:
            return self.network
        averaged: AnyNetwork = self.average.module  # type: ignore[assignment]
        return averaged

    @property
    def rate(self) -> float:
        """The learning rate."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    @rate.setter
    def rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def batch(self, global_step: int, progress: float) -> tuple[Tensor, Tensor]:
        """Images and labels of a step, before which a share `progress` of the training is done."""
        images, labels = self.batches[global_step]
        return images if progress >= self._settings.small_share else shrunk(images), labels

    def step(
        self, passes: Callable[..., Any], global_step: int, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take a step on a batch; its mean loss, and the number of right answers; see `WeightStep`."""
        loss, right = self.weight_step(passes, global_step, images, labels)
        if self.average is not None:
            self.average.update_parameters(self.network)
        return loss, right

    def state_dict(self) -> dict[str, Any]:
        """All state that later steps depend on."""
        return {
            "model": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": {} if self.average is None else self.average.state_dict(),
            "scale": self.weight_step.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.weight_step.load_state_dict(state["scale"])


def averaging(network: AnyNetwork, decay: float) -> AveragedModel:
    """The moving average of the weights, and of the running statistics."""
    average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


def shrunk(images: Tensor) -> Tensor:
    """Images `(n, c, h, w)` at 3 / 4 of their size, in steps of 4 pixels and at least 8."""
    side = max(8, round(images.shape[-1] * 3 / 16) * 4)
    smaller: Tensor = interpolate(images, (side, side), mode="bilinear", antialias=True)
    return smaller.contiguous(memory_format=torch.channels_last)
