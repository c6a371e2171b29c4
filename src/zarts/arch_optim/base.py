"""Who moves alpha: the interface."""

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
    """Owns the flat vector alpha and moves it."""

    @property
    @abstractmethod
    def alpha(self) -> Float[Tensor, " d"]:
        """The architecture as it is now, without gradient."""

    @property
    @abstractmethod
    def train_batches(self) -> int:
        """How many of the coming training batches `step` looks at."""

    @abstractmethod
    def step(self, problem: Bilevel, train_batches: Sequence[Batch], val_batches: Sequence[Batch]) -> dict[str, Any]:
        """Move alpha once; the weights of `problem` stay as they are.

        Returns:
            What happened, as plain numbers and lists for the log: `losses`, `move_norm` and more.

        Raises:
            DivergedError: no finite loss or gradient is left to move alpha by; alpha stays where it is.
            Interrupted: `problem.check` asks to stop.
        """

    def training_point(self, generator: torch.Generator) -> Float[Tensor, " d"]:
        """The vector whose relaxation the weights are trained at next: alpha, unless the update draws one."""
        return self.alpha

    def sample(self, space: Space, generator: torch.Generator) -> Genotype:
        """A cell drawn from what has been learnt: each operation by softmax(alpha)."""
        return sample_cell(space, self.alpha, generator)

    def perturbation_size(self) -> float | None:
        """Root of the mean square of the coordinates of the moves that would be asked for now, around their mean.

        None: no moves are asked for. Nothing is changed.
        """
        return None

    @abstractmethod
    def anneal(self, progress: float) -> None:
        """Set schedules to the place `progress` in [0, 1] between the end of the warm-up and the end."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
