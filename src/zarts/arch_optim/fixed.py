"""An alpha that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from zarts.arch_optim.base import ArchOptimizer
from zarts.bilevel import Batch, Bilevel

__all__ = ["FixedArchOptimizer"]


class FixedArchOptimizer(ArchOptimizer):
    """Never updates alpha: only the weights are trained.

    Args:
        alpha: the architecture parameters.
    """

    def __init__(self, alpha: Float[Tensor, " d"]) -> None:
        self._alpha = alpha

    @property
    @override
    def alpha(self) -> Float[Tensor, " d"]:
        return self._alpha

    @property
    @override
    def train_batches(self) -> int:
        return 0

    @override
    def step(self, problem: Bilevel, train_batches: Sequence[Batch], val_batches: Sequence[Batch]) -> dict[str, Any]:
        """Update nothing."""
        return {"losses": [], "move_norm": 0.0}

    @override
    def anneal(self, progress: float) -> None:
        """Nothing changes."""

    @override
    def state_dict(self) -> dict[str, Any]:
        return {}

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """There is no state."""
