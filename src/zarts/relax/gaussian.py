"""The softmax of alpha with Gaussian noise."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.relax.context import RelaxationContext
from zarts.relax.softmax import softmax

__all__ = ["noisy"]


def noisy(
    alpha: Mapping[str, Float[Tensor, "_ _"]], context: RelaxationContext, *, weight_noise: float = 1.0
) -> dict[str, Float[Tensor, "_ _"]]:
    """softmax(alpha + epsilon) with Gaussian epsilon: the network is trained for all operation weights near alpha.

    Args:
        alpha: cell type to a matrix `(edges, ops)`.
        context: epsilon is drawn from its generator.
        weight_noise: standard deviation of epsilon. 1 from our runs, with MGS' sigma of 1: candidates are then
            evaluated where the weights have been trained.
    """
    draws = {kind: torch.randn(m.shape, generator=context.generator, dtype=m.dtype) for kind, m in alpha.items()}
    return softmax({kind: matrix + weight_noise * draws[kind].to(matrix) for kind, matrix in alpha.items()})
