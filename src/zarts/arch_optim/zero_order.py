"""Zero-order updates of alpha, from the losses of candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from zarts.arch_optim.base import ArchOptimizer
from zarts.bilevel import Batch, Bilevel, Evaluator, first_order_gradient, mean_squares
from zarts.zo import ZeroOrderOptimizer

__all__ = ["ZeroOrderArchOptimizer"]


class ZeroOrderArchOptimizer(ArchOptimizer):
    """Asks the optimizer for N candidates, evaluates them after M steps each, and tells it their losses.

    Args:
        optimizer: owns alpha.
        inner_steps: M.
        learning_rate: of the inner steps; None: the weights' current one.
        momentum: of the inner steps; None: the weights'.
        batch_norm: see `zarts.bilevel.Evaluator`.
        uses_losses: False is the ablation: no candidate is evaluated, and all have the loss 0, which leaves the recipe
            without its losses. MGS then moves by the mean of its samples, RS and GLD not at all.

    Source: ZARTS, supplementary 2.3 (Algorithm 1).
    Differs: the M inner batches are the next M that the weights themselves will be trained on, so that a candidate is
        evaluated at the weights that it would lead to; the released code takes them from the validation half.
        Where the objective has no gradient, MGS's proposal is centred at 0 (g = 0 in eq. 8): the importance weights of
        eq. 7 allow any proposal, but with the default ones the centre is part of the move, which would follow the loss.
    """

    def __init__(
        self,
        optimizer: ZeroOrderOptimizer,
        *,
        inner_steps: int,
        learning_rate: float | None = None,
        momentum: float | None = None,
        batch_norm: Literal["train", "eval"] = "train",
        uses_losses: bool = True,
    ) -> None:
        self._optimizer = optimizer
        self._inner_steps = inner_steps
        self._learning_rate = learning_rate
        self._momentum = momentum
        self._batch_norm: Literal["train", "eval"] = batch_norm
        self._uses_losses = uses_losses

    @property
    @override
    def alpha(self) -> Float[Tensor, " d"]:
        return self._optimizer.x

    @property
    @override
    def train_batches(self) -> int:
        return self._inner_steps if self._uses_losses else 0

    @override
    def step(self, problem: Bilevel, train_batches: Sequence[Batch], val_batches: Sequence[Batch]) -> dict[str, Any]:
        """Ask for candidates, evaluate them, tell their losses.

        Returns:
            `losses`, or `values` of an `objective`, `weights`, `ess`, `esr`, `move_norm`, the optimizer's `Step.info`,
            and `snr`: the signal-to-noise ratio of the losses, by the analysis of variance of candidates and validation
            images. It leaves out the noise of the training batches, which all candidates of a step share: the true
            ratio is lower. There is no `snr` where the objective is no mean over images.

        Raises:
            DivergedError: no candidate has a finite loss, or the gradient that the proposal is centred at is not
                finite; alpha is not changed.
            Interrupted: `problem.check` asks to stop.
        """
        problem.align()
        gradient = None
        if self._optimizer.uses_gradient:
            if problem.objective is None or problem.objective.differentiable:
                gradient = first_order_gradient(problem, self.alpha, val_batches)[1]
            else:
                gradient = torch.zeros_like(self.alpha)
        candidates = self._optimizer.ask(gradient)
        values, found = candidates.new_zeros(len(candidates)), None
        if self._uses_losses:
            evaluator = Evaluator(
                problem, learning_rate=self._learning_rate, momentum=self._momentum, batch_norm=self._batch_norm
            )
            found = evaluator.evaluate(candidates, train_batches, val_batches)
            values = found.values
        step = self._optimizer.tell(values)
        logged = [] if found is None else (values if problem.objective is None else found.metrics).tolist()
        return {
            **problem.record(logged),
            "weights": step.weights.tolist(),
            "ess": step.ess,
            "esr": step.esr,
            "move_norm": step.move.norm().item(),
            **({} if found is None else _signal(found.images)),
            **step.info,
        }

    @override
    def perturbation_size(self) -> float:
        before = self._optimizer.state_dict()
        candidates = self._optimizer.ask(torch.zeros_like(self.alpha)).double()
        self._optimizer.load_state_dict(before)
        if len(candidates) < 2:
            return self._optimizer.scale
        return float((candidates - candidates.mean(0)).square().mean().sqrt())

    @override
    def anneal(self, progress: float) -> None:
        self._optimizer.anneal(progress)

    @override
    def state_dict(self) -> dict[str, Any]:
        return self._optimizer.state_dict()

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._optimizer.load_state_dict(state)


def _signal(images: Float[Tensor, "n images"]) -> dict[str, float]:
    """The signal-to-noise ratio, where two candidates and two images at least are finite."""
    finite = images[images.isfinite().all(1)]
    return {"snr": mean_squares(finite).signal_to_noise} if min(finite.shape) >= 2 else {}
