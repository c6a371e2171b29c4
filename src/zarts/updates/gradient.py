"""alpha moved by Adam along a gradient of the validation loss: DARTS, first and second order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from zarts.bilevel import Batch, Bilevel, first_order_gradient, unrolled_gradient
from zarts.errors import DivergedError
from zarts.updates.base import AlphaUpdate

__all__ = ["GradientUpdate"]


class GradientUpdate(AlphaUpdate):
    """One step of Adam on alpha.

    Args:
        alpha: the start.
        lr: Adam's rate.
        weight_decay: of alpha.
        betas: Adam's moments.
        hessian: None for the first order; else how the second order's product is had.

    Source: DARTS (ICLR 2019), eq. 5 to 8; Adam and its numbers: its section 3.1 and released code.
    """

    def __init__(
        self,
        alpha: Float[Tensor, " d"],
        *,
        lr: float,
        weight_decay: float,
        betas: tuple[float, float],
        hessian: Literal["central", "exact"] | None = None,
    ) -> None:
        self._alpha = torch.nn.Parameter(alpha.clone())
        self._adam = torch.optim.Adam([self._alpha], lr=lr, betas=betas, weight_decay=weight_decay)
        self._hessian = hessian

    @property
    @override
    def alpha(self) -> Float[Tensor, " d"]:
        return self._alpha.detach()

    @property
    @override
    def train_batches(self) -> int:
        return 0 if self._hessian is None else 1

    @override
    def step(self, problem: Bilevel, train_batches: Sequence[Batch], val_batches: Sequence[Batch]) -> dict[str, Any]:
        """Move alpha one step of Adam along its gradient.

        Raises:
            DivergedError: the gradient is not finite; alpha stays where it is.
        """
        if self._hessian is None:
            loss, gradient = first_order_gradient(problem, self.alpha, val_batches)
        else:
            loss, gradient = unrolled_gradient(problem, self.alpha, train_batches[0], val_batches, self._hessian)
        if not gradient.isfinite().all():
            raise DivergedError(
                f"the gradient in alpha is not finite (validation loss {loss}): take a smaller learning rate"
            )
        before = self.alpha.clone()
        self._alpha.grad = gradient
        self._adam.step()
        return {"losses": [loss], "move_norm": (self.alpha - before).norm().item()}

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
