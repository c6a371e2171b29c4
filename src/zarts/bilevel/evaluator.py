"""Judging candidate architectures: the only place where one is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.bilevel.problem import Batch, Bilevel
from zarts.errors import DivergedError

__all__ = ["evaluate", "evaluate_images"]


def evaluate(
    problem: Bilevel,
    points: Float[Tensor, "n d"],
    train_batches: Sequence[Batch],
    val_batches: Sequence[Batch],
    *,
    recalibration: Sequence[Batch] = (),
    learning_rate: float | None = None,
    momentum: float | None = None,
    batch_norm: Literal["train", "eval"] = "train",
    judge: Literal["loss", "accuracy", "training"] = "loss",
) -> Float[Tensor, " n"]:
    """The loss L(alpha) = L_val(omega_M(alpha), alpha) of each candidate alpha.

    Each candidate starts from its own copy of the present weights and momentum, takes M weight steps with
    its alpha held fixed, one on each of `train_batches`, and is then judged by its mean loss over
    `val_batches`. All candidates see the same batches and the same random numbers, because differences
    between them are a hundred times smaller than differences between batches. Each rank of `problem.ranks`
    judges its share of them, from the same weights, and all have all losses at the end: to the bit what one rank
    alone would have found, where processors and threads are the same.

    Args:
        problem: the weights, which are back as they were at the end, also when a step raises.
        points: the candidates.
        train_batches: M batches of the training half; empty for the first order, omega_0 = omega.
        val_batches: batches of the validation half.
        recalibration: batches that a candidate sees after its steps without learning from them: each takes its part
            (of torch's 0.1) in the running statistics, of which those of 20 batches make up 88 %.
        learning_rate: of the M steps; None: the current one.
        momentum: of the M steps; None: the current one. The momentum of the weights is copied either way.
        batch_norm: statistics under which a candidate is judged: those of the batch (`train`, as in the
            released code) or the running ones, which the M steps have moved (`eval`).
        judge: what a candidate is judged by: its loss, or, for `accuracy`, its share of wrong answers, or, for
            `training`, its mean loss on `train_batches`, each before the step that learns from it, and on no others.

    Returns:
        The losses: nan for a candidate whose training loss was not finite, nan or inf where the validation loss is.

    Raises:
        Interrupted: `problem.check` asks to stop, on this or another rank; everything is restored.
        RankError: another rank is gone; everything is restored.

    Source: ZARTS, supplementary 1.2 and 2.3.
    Differs: from the released code, whose inner loop steps the optimizer of other weights than the candidate's.
    """

    def look(point: Tensor) -> Tensor:
        training = _train(problem, point, train_batches)
        if judge == "training" or not training.isfinite().all():
            return training.mean(0, keepdim=True)
        with torch.no_grad():
            problem.set_mode(training=True)
            for batch in recalibration:
                problem.check()
                problem.forward(point, batch)
            problem.check()
            problem.set_mode(training=batch_norm == "train")
            return (problem.mean_loss if judge == "loss" else problem.mean_error)(point, val_batches)[None]

    return _each(problem, points, look, 1, learning_rate, momentum)[:, 0]


def evaluate_images(
    problem: Bilevel,
    points: Float[Tensor, "n d"],
    train_batches: Sequence[Batch],
    val_batches: Sequence[Batch],
    *,
    learning_rate: float | None = None,
    momentum: float | None = None,
    batch_norm: Literal["train", "eval"] = "train",
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n images"]]:
    """`evaluate`, and in the same passes the loss of each candidate on each image of `val_batches`.

    The loss of a candidate is the mean of its batches' and `problem.regularizer`, as of `evaluate`; those of its images
    are without the regularizer.
    """
    images = sum(len(labels) for _, labels in val_batches)

    def look(point: Tensor) -> Tensor:
        if not _train(problem, point, train_batches).isfinite().all():
            return point.new_full((1 + images,), float("nan"))
        problem.check()
        problem.set_mode(training=batch_norm == "train")
        with torch.no_grad():
            loss, each = problem.losses(point, val_batches)
        return torch.cat([loss[None].to(point), each.to(point)])

    found = _each(problem, points, look, 1 + images, learning_rate, momentum)
    return found[:, 0], found[:, 1:]


def _each(
    problem: Bilevel,
    points: Float[Tensor, "n d"],
    look: Callable[[Tensor], Tensor],
    columns: int,
    learning_rate: float | None,
    momentum: float | None,
) -> Float[Tensor, "n columns"]:
    """What `look` finds at each point, every time from the same weights, momentum and random numbers."""
    overrides = {k: v for k, v in (("lr", learning_rate), ("momentum", momentum)) if v is not None}
    found = points.new_zeros(len(points), columns)
    with problem.preserved() as snapshot, problem.ranks.together():
        for i in snapshot.afresh(problem.ranks.share(len(points))):
            for group in problem.optimizer.param_groups:
                group.update(overrides)
            found[i] = look(points[i])
    return problem.ranks.all_reduce(found)


def _train(problem: Bilevel, point: Tensor, batches: Sequence[Batch]) -> Float[Tensor, " m"]:
    """The loss before each weight step on `batches`; nan and no further step where one is not finite."""
    losses = [point.new_zeros(0)]
    try:
        for batch in batches:
            problem.check()
            losses.append(problem.weight_step(point, batch).loss[None])
    except DivergedError:
        losses.append(point.new_full((1,), float("nan")))
    return torch.cat(losses)
