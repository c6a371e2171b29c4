"""The input of a selection, `SelectionContext`, and its result, `Selected`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from zarts.limits import Constraints
from zarts.relax import Matrices
from zarts.spaces import Genotype, Space

__all__ = ["Selected", "SelectionContext"]


@dataclass(frozen=True)
class SelectionContext:
    """What a search has learnt.

    Args:
        constraints: the genotypes to choose from.
        strengths: softmax(alpha), times the weights of the edges if they have some, by cell type.
        generator: the source of randomness of a selection, on the CPU.
        sample: draws a cell from what the search has learnt.
        evaluate: from operation weights `(n, d)`, flat as alpha, to n losses, or shares of wrong answers, on the same
            validation images for all.
        tune: trains the shared weights further at such operation weights, for a number of steps.
        early: from operation weights `(n, d)` to n mean training losses over a number of steps, of networks that
            share nothing: all begin with the same new weights and see the same batches, others at each call.
        betas: weights of the edges by cell type; empty where they have none.
    """

    constraints: Constraints
    strengths: Matrices
    generator: torch.Generator
    sample: Callable[[torch.Generator], Genotype]
    evaluate: Callable[[Tensor], Tensor]
    tune: Callable[[Tensor, int], None]
    early: Callable[[Tensor, int], Tensor]
    betas: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def space(self) -> Space:
        """The space that the genotypes are of."""
        return self.constraints.space

    def draw(self) -> Genotype:
        """A cell drawn from what the search has learnt, brought within the limits."""
        return self.constraints.nearest(self.sample(self.generator), self.generator)

    def draw_uniformly(self) -> Genotype:
        """A cell drawn uniformly of those within the limits."""
        return self.constraints.draw(self.generator)


@dataclass(frozen=True)
class Selected:
    """A genotype, and how it was chosen, as plain data for the log."""

    genotype: Genotype
    info: Mapping[str, Any] = field(default_factory=dict)
