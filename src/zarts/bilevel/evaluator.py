"""Evaluation of candidates: all losses of architectures in a search are computed here."""

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
    candidates: Float[Tensor, "n d"],
    train_batches: Sequence[Batch],
    val_batches: Sequence[Batch],
    *,
    recalibration: Sequence[Batch] = (),
    learning_rate: float | None = None,
    momentum: float | None = None,
    batch_norm: Literal["train", "eval"] = "train",
    metric: Literal["loss", "accuracy", "training"] = "loss",
) -> Float[Tensor, " n"]:
    """The loss L(alpha) = L_val(omega_M(alpha), alpha) of each candidate alpha.

    Each candidate starts from the present weights and momentum and takes M weight steps with its alpha held fixed, one
    on each of `train_batches`; its loss is then the mean over `val_batches`. All candidates see the same batches and
    the same random numbers, because differences between them are a hundred times smaller than differences between
    batches. Each rank of `problem.ranks` evaluates its share of them, from the same weights, and all ranks have all
    losses at the end: to the bit those of one rank alone, where processors and threads are the same.

    Args:
        problem: the weights; they are restored at the end, also when a step raises.
        candidates: their alphas.
        train_batches: M batches of the training half; empty for the first order, omega_0 = omega.
        val_batches: batches of the validation half.
        recalibration: batches that update a candidate's running statistics after its steps, and not its weights: each
            has the weight 0.1 (torch's), so that 20 batches make up 88 % of the statistics.
        learning_rate: of the M steps; None: the current one.
        momentum: of the M steps; None: the current one. The momentum of the weights is copied either way.
        batch_norm: statistics under which a candidate is evaluated: those of the batch (`train`, as in the
            released code) or the running ones, which the M steps have updated (`eval`).
        metric: what is returned: `loss`; `accuracy`: the share of wrong answers; `training`: the mean loss on
            `train_batches`, each before the step that learns from it, without `val_batches`.

    Returns:
        The losses: nan for a candidate whose training loss was not finite, nan or inf where the validation loss is.

    Raises:
        Interrupted: `problem.check` asks to stop, on this or another rank; everything is restored.
        RankError: another rank is gone; everything is restored.

    Source: ZARTS, supplementary 1.2 and 2.3.
    Differs: from the released code, whose inner loop steps the optimizer of other weights than the candidate's.
    """

    def measure(alpha: Tensor) -> Tensor:
        training = _train(problem, alpha, train_batches)
        if metric == "training" or not training.isfinite().all():
            return training.mean(0, keepdim=True)
        with torch.no_grad():
            problem.set_mode(training=True)
            for batch in recalibration:
                problem.check()
                problem.forward(alpha, batch)
            problem.check()
            problem.set_mode(training=batch_norm == "train")
            return (problem.mean_loss if metric == "loss" else problem.mean_error)(alpha, val_batches)[None]

    return _each(problem, candidates, measure, 1, learning_rate, momentum)[:, 0]


def evaluate_images(
    problem: Bilevel,
    candidates: Float[Tensor, "n d"],
    train_batches: Sequence[Batch],
    val_batches: Sequence[Batch],
    *,
    learning_rate: float | None = None,
    momentum: float | None = None,
    batch_norm: Literal["train", "eval"] = "train",
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n images"]]:
    """`evaluate`, and in the same passes the loss of each candidate on each image of `val_batches`.

    The losses of candidates are those of `evaluate`; the losses of images are without `problem.regularizer`.
    """
    images = sum(len(labels) for _, labels in val_batches)

    def measure(alpha: Tensor) -> Tensor:
        if not _train(problem, alpha, train_batches).isfinite().all():
            return alpha.new_full((1 + images,), float("nan"))
        problem.check()
        problem.set_mode(training=batch_norm == "train")
        with torch.no_grad():
            loss, each = problem.losses(alpha, val_batches)
        return torch.cat([loss[None].to(alpha), each.to(alpha)])

    found = _each(problem, candidates, measure, 1 + images, learning_rate, momentum)
    return found[:, 0], found[:, 1:]


def _each(
    problem: Bilevel,
    candidates: Float[Tensor, "n d"],
    measure: Callable[[Tensor], Tensor],
    columns: int,
    learning_rate: float | None,
    momentum: float | None,
) -> Float[Tensor, "n columns"]:
    """`measure` of each candidate, every time from the same weights, momentum and random numbers."""
    overrides = {k: v for k, v in (("lr", learning_rate), ("momentum", momentum)) if v is not None}
    found = candidates.new_zeros(len(candidates), columns)
    with problem.preserved() as snapshot, problem.ranks.together():
        for i in snapshot.afresh(problem.ranks.share(len(candidates))):
            for group in problem.optimizer.param_groups:
                group.update(overrides)
            found[i] = measure(candidates[i])
    return problem.ranks.all_reduce(found)


def _train(problem: Bilevel, alpha: Tensor, batches: Sequence[Batch]) -> Float[Tensor, " m"]:
    """The loss before each weight step on `batches`; nan and no further step where one is not finite."""
    losses = [alpha.new_zeros(0)]
    try:
        for batch in batches:
            problem.check()
            losses.append(problem.weight_step(alpha, batch).loss[None])
    except DivergedError:
        losses.append(alpha.new_full((1,), float("nan")))
    return torch.cat(losses)
