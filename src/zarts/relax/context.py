"""The context of a relaxation: what it may depend on beside alpha."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from zarts.spaces import Space

__all__ = ["LossGradient", "RelaxationContext"]

LossGradient = Callable[[Mapping[str, Tensor]], tuple[float, Mapping[str, Tensor]]]
"""From operation weights to a loss and its gradient in them."""


def _flat(weights: Mapping[str, Tensor]) -> tuple[float, Mapping[str, Tensor]]:
    return 0.0, {kind: torch.zeros_like(matrix) for kind, matrix in weights.items()}


class RelaxationContext(NamedTuple):
    """What a relaxation may depend on beside alpha.

    Args:
        space: the space that alpha belongs to.
        generator: what it draws from, on the CPU, so that every device draws the same.
        progress: from 0 in the search's first epoch to 1 in its last one: e / (E - 1) in epoch e of E, from 0.
        elapsed: part of the search's epochs that are done: e / E.
        loss_gradient: from operation weights to the loss of the coming training batch, by running statistics, and its
            gradient in them; constant where no weights are about to be trained.
    """

    space: Space
    generator: torch.Generator
    progress: float
    elapsed: float
    loss_gradient: LossGradient = _flat
