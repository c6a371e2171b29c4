"""Operation weights in a box around softmax(alpha), random or worst: SDARTS."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from zarts.relax.context import RelaxationContext
from zarts.relax.softmax import softmax

__all__ = ["adversarial", "perturbed"]

_ASCENT_STEPS = 7
"""Steps of projected gradient ascent, each of 2 / 7 of the radius (SDARTS' released code)."""


def perturbed(
    alpha: Mapping[str, Float[Tensor, "_ _"]],
    context: RelaxationContext,
    *,
    perturbation_start: float = 0.03,
    perturbation: float = 0.3,
) -> dict[str, Float[Tensor, "_ _"]]:
    """softmax(alpha) + epsilon with epsilon uniform in a box, cut to [0, 1], each edge's sum 1 again: SDARTS-RS.

    Args:
        alpha: cell type to a matrix `(edges, ops)`.
        context: epsilon is drawn from its generator; the box grows linearly with the epochs that are done.
        perturbation_start: radius of the box in the first epoch.
        perturbation: radius that this would reach in the epoch after the last one: in epoch e of E, from 0, the radius
            is start + (end - start) e / E.

    Source: Chen and Hsieh, SDARTS (ICML 2020), eq. 5; radii: its released code.
    """
    radius = _radius(context, perturbation_start, perturbation)
    return _mixtures({kind: _drawn(centre, radius, context) for kind, centre in softmax(alpha).items()})


def adversarial(
    alpha: Mapping[str, Float[Tensor, "_ _"]],
    context: RelaxationContext,
    *,
    perturbation_start: float = 0.03,
    perturbation: float = 0.3,
) -> dict[str, Float[Tensor, "_ _"]]:
    """The operation weights in that box under which the coming training batch has the largest loss: SDARTS-ADV.

    Projected gradient ascent with the signs of the gradient seeks it from a random start. Start and steps are cut to
    the box, then to [0, 1], and each edge's sum is made 1 again: so every step starts at weights that the network can
    have. Where the loss is not larger than at softmax(alpha), that is the result.

    Args:
        alpha: cell type to a matrix `(edges, ops)`.
        context: gives the loss of the coming batch.
        perturbation_start: radius of the box in the first epoch.
        perturbation: radius after the last one, see `perturbed`.

    Source: Chen and Hsieh, SDARTS (ICML 2020), eq. 6; steps and radii: its released code.
    """
    centre, radius = softmax(alpha), _radius(context, perturbation_start, perturbation)
    point = _mixtures({kind: _drawn(matrix, radius, context) for kind, matrix in centre.items()})
    for _ in range(_ASCENT_STEPS):
        _, loss_gradient = context.loss_gradient(point)
        moved = {kind: point[kind] + 2 * radius / _ASCENT_STEPS * loss_gradient[kind].sign() for kind in point}
        point = _mixtures({kind: _within(moved[kind], centre[kind], radius) for kind in point})
    return point if context.loss_gradient(point)[0] > context.loss_gradient(centre)[0] else centre


def _radius(context: RelaxationContext, start: float, end: float) -> float:
    return start + (end - start) * context.elapsed


def _drawn(centre: Tensor, radius: float, context: RelaxationContext) -> Tensor:
    draws = torch.rand(centre.shape, generator=context.generator, dtype=centre.dtype)
    return centre + radius * (2 * draws - 1).to(centre)


def _within(point: Tensor, centre: Tensor, radius: float) -> Tensor:
    return point.clamp(centre - radius, centre + radius)


def _mixtures(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut to [0, 1], then divide each row by its sum; a row of zeros becomes 1 at its largest entry before the cut."""
    return {kind: _mixture(matrix) for kind, matrix in weights.items()}


def _mixture(weights: Tensor) -> Tensor:
    cut = weights.clamp(0, 1)
    sums = cut.sum(-1, keepdim=True)
    largest = F.one_hot(weights.argmax(-1), weights.shape[-1]).to(weights)
    return torch.where(sums == 0, largest, cut / sums)
