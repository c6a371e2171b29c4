"""Evaluation of candidates: all values of architectures in a search are computed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.bilevel.problem import Batch, BatchLoss, Bilevel
from zarts.errors import DivergedError

__all__ = ["Evaluated", "Evaluator"]


class Evaluated(NamedTuple):
    """What candidates achieve; see `zarts.bilevel.problem.Measured`.

    All are nan for a candidate whose training loss was not finite; values are nan or inf where the candidate's are.
    """

    values: Float[Tensor, " n"]
    metrics: Float[Tensor, " n"]
    images: Float[Tensor, "n images"]


class Evaluator:
    """Computes the value L(alpha) = L_val(omega_M(alpha), alpha) of each candidate alpha; smaller is better.

    Each candidate starts from the present weights and momentum and takes M weight steps with its alpha held fixed, one
    on each of the training batches. All candidates see the same batches and the same random numbers, because
    differences between them are a hundred times smaller than differences between batches. Each rank of `problem.ranks`
    evaluates its share of them, from the same weights, and all ranks have all values at the end: to the bit those of
    one rank alone, where processors and threads are the same. The weights are restored, also when a step raises.

    Args:
        problem: the weights and the objective.
        learning_rate: of the M steps; None: the current one.
        momentum: of the M steps; None: the current one. The momentum of the weights is copied either way.
        batch_norm: statistics under which a candidate is evaluated: those of the batch (`train`, as in the
            released code) or the running ones, which the M steps have updated (`eval`).
        recalibration: batches that update a candidate's running statistics after its steps, and not its weights: each
            has the weight 0.1 (torch's), so that 20 batches make up 88 % of the statistics.

    Source: ZARTS, supplementary 1.2 and 2.3.
    Differs: from the released code, whose inner loop steps the optimizer of other weights than the candidate's.
    """

    def __init__(
        self,
        problem: Bilevel,
        *,
        learning_rate: float | None = None,
        momentum: float | None = None,
        batch_norm: Literal["train", "eval"] = "train",
        recalibration: Sequence[Batch] = (),
    ) -> None:
        self._problem, self._batch_norm, self._recalibration = problem, batch_norm, recalibration
        settings = {"lr": learning_rate, "momentum": momentum}
        self._inner_settings = {name: value for name, value in settings.items() if value is not None}

    def evaluate(
        self, candidates: Float[Tensor, "n d"], train_batches: Sequence[Batch], val_batches: Sequence[Batch]
    ) -> Evaluated:
        """The value of each candidate: its mean loss over `val_batches`, or the objective of all their images together.

        The negative of the objective where larger is better; `problem.regularizer` is added.

        Args:
            candidates: their alphas.
            train_batches: M batches of the training half; empty for the first order, omega_0 = omega.
            val_batches: batches of the validation half.

        Raises:
            Interrupted: `problem.check` asks to stop, on this or another rank; everything is restored.
            RankError: another rank is gone; everything is restored.
            SettingsError: the objective fails.
        """
        problem, images = self._problem, sum(len(labels) for _, labels in val_batches)
        found = candidates.new_zeros(len(candidates), 2 + images)
        with problem.preserved() as snapshot, problem.ranks.together():
            for i in snapshot.afresh(problem.ranks.share(len(candidates))):
                if self._train(candidates[i], train_batches) is None:
                    found[i] = torch.nan
                    continue
                with torch.no_grad():
                    problem.set_mode(training=True)
                    for batch in self._recalibration:
                        problem.check()
                        problem.forward(candidates[i], batch)
                    problem.check()
                    problem.set_mode(training=self._batch_norm == "train")
                    measured = problem.measure(candidates[i], val_batches)
                found[i, 0], found[i, 1], found[i, 2:] = measured
        found = problem.ranks.all_reduce(found)
        return Evaluated(found[:, 0], found[:, 1], found[:, 2:])

    def evaluate_early(self, candidates: Float[Tensor, "n d"], train_batches: Sequence[Batch]) -> Float[Tensor, " n"]:
        """The value of each candidate on `train_batches`, each before the step that learns from it.

        Without the regularizer; nan for a candidate whose training loss was not finite.

        Raises:
            Interrupted, RankError, SettingsError: see `evaluate`.
        """
        problem, found = self._problem, candidates.new_zeros(len(candidates))
        with problem.preserved() as snapshot, problem.ranks.together():
            for i in snapshot.afresh(problem.ranks.share(len(candidates))):
                steps = self._train(candidates[i], train_batches)
                found[i] = torch.nan if steps is None else problem.training_value(steps, train_batches)
        return problem.ranks.all_reduce(found)

    def _train(self, alpha: Tensor, batches: Sequence[Batch]) -> list[BatchLoss] | None:
        """The weight steps on `batches`, each with the loss before it; None where one is not finite."""
        steps = []
        for group in self._problem.optimizer.param_groups:
            group.update(self._inner_settings)
        try:
            for batch in batches:
                self._problem.check()
                steps.append(self._problem.weight_step(alpha, batch))
        except DivergedError:
            return None
        return steps
