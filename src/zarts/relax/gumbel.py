"""Operation weights drawn with Gumbel noise: one operation an edge, GDAS, or soft ones, FBNet."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from zarts.relax.context import RelaxationContext

__all__ = ["gumbel", "gumbel_noise", "gumbel_soft"]


def gumbel_noise(like: Float[Tensor, "_ _"], generator: torch.Generator) -> Float[Tensor, "_ _"]:
    """Draws from the standard Gumbel distribution, -log(E) with E exponential; shape, dtype and device of `like`."""
    exponential = torch.empty(like.shape, dtype=like.dtype).exponential_(generator=generator)
    return -exponential.clamp_min(torch.finfo(like.dtype).tiny).log().to(like.device)


def gumbel(
    alpha: Mapping[str, Float[Tensor, "_ _"]],
    context: RelaxationContext,
    *,
    temperature: float = 10.0,
    temperature_min: float = 0.1,
) -> dict[str, Float[Tensor, "_ _"]]:
    """One operation of each edge, drawn by softmax(alpha), with the gradient of the soft draw (straight-through).

    With g from the Gumbel distribution and p = softmax((log softmax(alpha) + g) / tau), the weights are the one-hot
    vector h of the largest p, and their gradient in alpha is that of p: h - stop(p) + p.

    Args:
        alpha: cell type to a matrix `(edges, ops)`.
        context: g is drawn from its generator; tau falls linearly with its progress.
        temperature: tau in the first epoch.
        temperature_min: tau in the last one.

    Source: Dong and Yang, GDAS (CVPR 2019), section 3.2; temperatures: its released code.
    Differs: where a gradient in alpha is needed, all operations run, and each has its exact gradient; the released
        code runs the drawn one alone and puts the plain sum of the other weights in the place of their operations.
    """
    tau = temperature + (temperature_min - temperature) * context.progress
    weights = {}
    for kind, matrix in alpha.items():
        soft = _soft(matrix, tau, context)
        hard = functional.one_hot(soft.argmax(-1), soft.shape[-1]).to(soft)
        weights[kind] = hard - soft.detach() + soft if soft.requires_grad else hard
    return weights


def gumbel_soft(
    alpha: Mapping[str, Float[Tensor, "_ _"]],
    context: RelaxationContext,
    *,
    temperature: float = 10.0,
    temperature_min: float = 0.1,
) -> dict[str, Float[Tensor, "_ _"]]:
    """All operations of each edge with weights softmax((log softmax(alpha) + g) / tau), g from the Gumbel distribution.

    Args:
        alpha: cell type to a matrix `(edges, ops)`.
        context: g is drawn from its generator; tau falls with its progress, by the same factor in each epoch.
        temperature: tau in the first epoch.
        temperature_min: tau in the last one.

    Source: Wu et al., FBNet (CVPR 2019), eq. 7 and section 4.2.
    """
    tau = temperature * (temperature_min / temperature) ** context.progress
    return {kind: _soft(matrix, tau, context) for kind, matrix in alpha.items()}


def _soft(matrix: Tensor, tau: float, context: RelaxationContext) -> Tensor:
    return ((matrix.log_softmax(-1) + gumbel_noise(matrix, context.generator)) / tau).softmax(-1)
