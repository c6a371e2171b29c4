"""Who moves alpha in a stage of a search."""

from __future__ import annotations

import torch
from torch import Tensor

from zarts.arch_optim import UPDATES, AlphaUpdate
from zarts.config import SearchSettings
from zarts.engine.stages import Stages
from zarts.methods import member
from zarts.runtime.seed import keyed_generator

__all__ = ["start_alpha"]


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
