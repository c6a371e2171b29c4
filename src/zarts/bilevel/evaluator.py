"""Evaluation of candidates: all values of architectures in a search are computed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.bilevel.problem import Batch, BatchLoss, Bilevel
from zarts.errors import DivergedError

__all__ = ["Evaluated", "evaluate", "evaluate_images"]


class Evaluated(NamedTuple):
    """What candidates achieve; see `zarts.bilevel.problem.Measured`."""

    values: Float[Tensor, " n"]
    metrics: Float[Tensor, " n"]
    images: Float[Tensor, "n images"]


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
    on: Literal["validation", "training"] = "validation",
) -> Float[Tensor, " n"]:
    """The value L(alpha) = L_val(omega_M(alpha), alpha) of each candidate alpha; smaller is better.

    Each candidate starts from the present weights and momentum and takes M weight steps with its alpha held fixed, one
    on each of `train_batches`. Its value is then the mean loss over `val_batches`, or `problem.objective` of all their
    images together, its negative where larger is better; `problem.regularizer` is added. All candidates see the same
    batches and the same random numbers, because differences between them are a hundred times smaller than differences
    between batches. Each rank of `problem.ranks` evaluates its share of them, from the same weights, and all ranks have
    all values at the end: to the bit those of one rank alone, where processors and threads are the same.

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
        on: images of the value: `validation`; `training`: those of `train_batches`, each before the step that learns
            from it, without `val_batches` and regularizer.

    Returns:
        The values: nan for a candidate whose training loss was not finite, nan or inf where its value is.

    Raises:
        Interrupted: `problem.check` asks to stop, on this or another rank; everything is restored.
        RankError: another rank is gone; everything is restored.
        SettingsError: the objective fails.

    Source: ZARTS, supplementary 1.2 and 2.3.
    Differs: from the released code, whose inner loop steps the optimizer of other weights than the candidate's.
    """

    def measure(alpha: Tensor) -> Tensor:
        steps = _train(problem, alpha, train_batches)
        if steps is None:
            return alpha.new_full((1,), torch.nan)
        if on == "training":
            return problem.training_value(steps, train_batches)[None]
        with torch.no_grad():
            problem.set_mode(training=True)
            for batch in recalibration:
                problem.check()
                problem.forward(alpha, batch)
            problem.check()
            problem.set_mode(training=batch_norm == "train")
            return problem.value(alpha, val_batches)[None]

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
) -> Evaluated:
    """`evaluate`, and in the same passes the metric of each candidate, and its term of each image of `val_batches`."""
    images = sum(len(labels) for _, labels in val_batches)

    def measure(alpha: Tensor) -> Tensor:
        if _train(problem, alpha, train_batches) is None:
            return alpha.new_full((2 + images,), torch.nan)
        problem.check()
        problem.set_mode(training=batch_norm == "train")
        with torch.no_grad():
            found = problem.measure(alpha, val_batches)
        return torch.cat([torch.stack([found.value, found.metric]).to(alpha), found.images.to(alpha)])

    found = _each(problem, candidates, measure, 2 + images, learning_rate, momentum)
    return Evaluated(found[:, 0], found[:, 1], found[:, 2:])


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


def _train(problem: Bilevel, alpha: Tensor, batches: Sequence[Batch]) -> list[BatchLoss] | None:
    """The weight steps on `batches`, each with the loss before it; None where one is not finite."""
    steps = []
    try:
        for batch in batches:
            problem.check()
            steps.append(problem.weight_step(alpha, batch))
    except DivergedError:
        return None
    return steps
