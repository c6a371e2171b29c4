"""The interface of all arch optimizers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.bilevel import Batch, Bilevel
from zarts.relax import sample_cell
from zarts.spaces import Genotype, Space

__all__ = ["ArchOptimizer"]


class ArchOptimizer(ABC):
    """Owns the flat vector alpha and updates it."""

    @property
    @abstractmethod
    def alpha(self) -> Float[Tensor, " d"]:
        """The present architecture parameters, without gradient."""

    @property
    @abstractmethod
    def train_batches(self) -> int:
        """How many of the coming training batches `step` needs."""

    @abstractmethod
    def step(self, problem: Bilevel, train_batches: Sequence[Batch], val_batches: Sequence[Batch]) -> dict[str, Any]:
        """Update alpha once; the weights of `problem` stay as they are.

        Returns:
            What happened, as plain numbers and lists for the log: `losses`, `move_norm` and more.

        Raises:
            DivergedError: no loss or gradient is finite; alpha is not changed.
            Interrupted: `problem.check` asks to stop.
        """

    def training_point(self, generator: torch.Generator) -> Float[Tensor, " d"]:
        """The vector whose relaxation the weights are trained at next: alpha, unless the arch optimizer draws one."""
        return self.alpha

    def sample(self, space: Space, generator: torch.Generator) -> Genotype:
        """A cell drawn from what has been learnt: each operation by softmax(alpha)."""
        return sample_cell(space, self.alpha, generator)

    def perturbation_size(self) -> float | None:
        """Root mean square of the coordinates of the next perturbations, around their mean.

        None: this arch optimizer perturbs nothing. Nothing is changed.
        """
        return None

    @abstractmethod
    def anneal(self, progress: float) -> None:
        """Set schedules to `progress` in [0, 1], from the end of the warm-up to the end of the search."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
