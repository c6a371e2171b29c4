"""Adam on alpha along a gradient of the validation loss: DARTS, first and second order, and Amended-DARTS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from zarts.arch_optim.base import ArchOptimizer
from zarts.bilevel import Batch, Bilevel, amended_gradient, first_order_gradient, unrolled_gradient
from zarts.errors import DivergedError

__all__ = ["GradientArchOptimizer", "Rule", "amended", "first_order", "unrolled"]

Rule = Callable[[Bilevel, Tensor, Sequence[Batch], Sequence[Batch]], tuple[float, Tensor]]
"""Validation loss and gradient of (problem, alpha, training batches, validation batches)."""


def first_order(
    problem: Bilevel, alpha: Tensor, train_batches: Sequence[Batch], val_batches: Sequence[Batch]
) -> tuple[float, Tensor]:
    """`zarts.bilevel.first_order_gradient`, which needs no training batch."""
    return first_order_gradient(problem, alpha, val_batches)


def unrolled(
    problem: Bilevel,
    alpha: Tensor,
    train_batches: Sequence[Batch],
    val_batches: Sequence[Batch],
    *,
    hessian: Literal["central", "exact"] = "central",
) -> tuple[float, Tensor]:
    """`zarts.bilevel.unrolled_gradient` on the first training batch."""
    return unrolled_gradient(problem, alpha, train_batches[0], val_batches, hessian)


def amended(
    problem: Bilevel,
    alpha: Tensor,
    train_batches: Sequence[Batch],
    val_batches: Sequence[Batch],
    *,
    amend_strength: float = 0.1,
) -> tuple[float, Tensor]:
    """`zarts.bilevel.amended_gradient` on the first training batch."""
    return amended_gradient(problem, alpha, train_batches[0], val_batches, strength=amend_strength)


class GradientArchOptimizer(ArchOptimizer):
    """Updates alpha by steps of Adam.

    Args:
        alpha: the start.
        lr: Adam's rate.
        weight_decay: of alpha.
        betas: decay rates of Adam's moments.
        rule: computes the gradient.

    Source: DARTS (ICLR 2019), eq. 5 to 8; Adam and its numbers: its section 3.1 and released code.
    """

    def __init__(
        self,
        alpha: Float[Tensor, " d"],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        rule: Rule = first_order,
    ) -> None:
        self._alpha = torch.nn.Parameter(alpha.clone())
        self._adam = torch.optim.Adam([self._alpha], lr=lr, betas=betas, weight_decay=weight_decay)
        self._rule = rule

    @property
    @override
    def alpha(self) -> Float[Tensor, " d"]:
        return self._alpha.detach()

    @property
    @override
    def train_batches(self) -> int:
        return 0 if self._rule is first_order else 1

    @override
    def step(self, problem: Bilevel, train_batches: Sequence[Batch], val_batches: Sequence[Batch]) -> dict[str, Any]:
        """Take one step of Adam along the gradient in alpha.

        Raises:
            DivergedError: the gradient is not finite; alpha is not changed.
        """
        value, gradient = self._rule(problem, self.alpha, train_batches, val_batches)
        if not gradient.isfinite().all():
            raise DivergedError(
                f"the gradient in alpha is not finite (validation loss {value}): take a smaller --learning-rate"
            )
        before = self.alpha.clone()
        self._alpha.grad = gradient
        self._adam.step()
        if (objective := problem.objective) is not None:
            added = 0.0 if problem.regularizer is None else problem.regularizer(before).item()
            metric = value - added
            value = -metric if objective.larger_is_better else metric
        return {**problem.record([value]), "move_norm": (self.alpha - before).norm().item()}

    @override
    def anneal(self, progress: float) -> None:
        """Adam's rate is constant."""

    @override
    def state_dict(self) -> dict[str, Any]:
        adam = self._adam.state_dict()
        state = {i: {k: v.clone() for k, v in entry.items()} for i, entry in adam["state"].items()}
        return {"alpha": self.alpha.clone(), "adam": {**adam, "state": state}}

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self._alpha.copy_(state["alpha"])
        self._adam.load_state_dict(state["adam"])
