"""Condition number: the relative change of the loss by a small change of alpha."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.bilevel import Batch, Bilevel, Evaluator

__all__ = ["condition_number"]


def condition_number(
    problem: Bilevel,
    alpha: Float[Tensor, " d"],
    train_batches: Sequence[Batch],
    val_batches: Sequence[Batch],
    generator: torch.Generator,
    *,
    directions: int = 50,
    epsilon: float = 0.01,
    learning_rate: float | None = None,
    momentum: float | None = None,
    batch_norm: Literal["train", "eval"] = "train",
) -> float:
    """Kappa = max_k |(L(alpha + d_k) - L(alpha)) / epsilon * |alpha| / L(alpha)|, |d_k| = epsilon.

    L is the loss of `Evaluator.evaluate`: alpha and each alpha + d_k start from the same weights, take the same M
    weight steps and see the same validation images. With many directions, kappa approaches |grad L| |alpha| / L from
    below, the condition number of L in the Euclidean norm; in high dimensions it stays far below, by about sqrt(2
    log(k) / d) for k directions.

    Args:
        problem: the weights, which are left as they are.
        alpha: where kappa is measured.
        train_batches: M batches of the training half; empty for the first order.
        val_batches: batches of the validation half.
        generator: draws the directions, uniform over the sphere, on the CPU.
        directions: k, 1 or more.
        epsilon: above 0.
        learning_rate: see `Evaluator`.
        momentum: see `Evaluator`.
        batch_norm: see `Evaluator`.

    Returns:
        kappa, 0 or more; nan where a loss is not finite, or L(alpha) is 0.

    Raises:
        Interrupted: `problem.check` asks to stop.

    Source: the released code of ZARTS, `cnn/loss_landscape/compute_condition_number.py`, with its numbers of
        directions and epsilon.
    Differs: the released code computes L(alpha) without the M weight steps that all L(alpha + d_k) have, so that most
        of the difference comes from the steps alone; it takes 11 steps, at learning rate 0.001, with momentum 0.9 from
        zero.
    """
    drawn = torch.randn(directions, len(alpha), generator=generator, dtype=torch.float64)
    perturbations = epsilon * drawn / drawn.norm(dim=1, keepdim=True)
    start = alpha.detach().cpu().double()
    alphas = torch.cat([start[None], start + perturbations]).to(alpha)
    evaluator = Evaluator(problem, learning_rate=learning_rate, momentum=momentum, batch_norm=batch_norm)
    losses = evaluator.evaluate(alphas, train_batches, val_batches).values.double()
    base = float(losses[0])
    if base == 0 or not losses.isfinite().all():
        return math.nan
    return float((losses[1:] - base).abs().max()) / epsilon * float(start.norm()) / abs(base)
