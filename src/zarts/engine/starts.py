"""What a stage of a search starts with: who moves alpha, and the network."""

from __future__ import annotations

import torch
from torch import Tensor

from zarts.config import SearchSettings
from zarts.data import DataSet
from zarts.engine.device import native_kernels
from zarts.engine.loop import Listener
from zarts.engine.stages import Stages
from zarts.methods import member
from zarts.nets import AnySuperNet, build_supernet, cell_channels, seeded
from zarts.ranks import Ranks
from zarts.seeds import keyed_generator
from zarts.spaces import Space
from zarts.updates import UPDATES, AlphaUpdate

__all__ = ["build_stage", "native_everywhere", "start_alpha"]


def start_alpha(
    settings: SearchSettings, stages: Stages, device: torch.device, alpha: Tensor | None = None
) -> AlphaUpdate:
    """Who moves alpha in the present stage.

    Args:
        settings: the settings.
        stages: the present stage.
        device: where alpha is.
        alpha: the start; None: it is drawn.
    """
    stage = [stages.number] if stages.number else []
    if alpha is None:
        draws = keyed_generator(settings.seed, "alpha", *stage)
        alpha = stages.encoding.draw(draws)
    generator = keyed_generator(settings.seed, "update", *stage, device=device)
    return UPDATES[member(settings.update)](settings, alpha.to(device), generator)


def native_everywhere(
    settings: SearchSettings, space: Space, device: torch.device, listener: Listener, ranks: Ranks
) -> bool:
    """Whether supernets have native kernels; all ranks have them, or none has: what rounds alike."""
    with ranks.in_turn():  # the first one may have to build them
        native = native_kernels(
            settings.kernels,
            device,
            space.skeleton,
            _channels(settings),
            lambda text: listener({"event": "note", "text": text}),
        )
    return bool(ranks.sum(torch.tensor(float(native))) == ranks.count)


def _channels(settings: SearchSettings) -> list[int]:
    """Channels of nodes, and of what operations see of them."""
    parts = {1, settings.partial_channels if settings.supernet == "partial" else 1}
    return [channels // part for part in parts for channels in cell_channels(settings.channels)]


def build_stage(
    settings: SearchSettings, space: Space, data: DataSet, stages: Stages, noise: torch.Generator, native: bool
) -> AnySuperNet:
    """The supernet of the present stage, with initial weights of its own.

    Args:
        settings: the settings.
        space: the whole space; operations that are not left are there, but do not run.
        data: the images.
        stages: the present stage.
        noise: what the network draws from.
        native: whether it may use native kernels.
    """
    stage = stages.number
    key = keyed_generator(settings.seed, "weights", stage).initial_seed() if stage else settings.seed
    with seeded(key):
        return build_supernet(
            space,
            channels=settings.channels,
            cells=stages.present.cells,
            num_classes=len(data.classes),
            in_channels=data.channels,
            stem=settings.stem,
            reduction=settings.reduction,
            supernet=settings.supernet,
            partial_channels=settings.partial_channels,
            generator=noise,
            native=native,
        )
