"""The layout of the flat vector alpha: entries of operations, and of edges where these have weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.errors import SettingsError
from zarts.relax.context import LossGradient, RelaxationContext
from zarts.relax.softmax import softmax
from zarts.spaces import Space

__all__ = ["Parameterization"]

Weights = dict[str, Float[Tensor, "_ _"]]


@dataclass(frozen=True)
class Parameterization:
    """One entry for each operation on each edge, then one for each edge if edges have weights of their own.

    If they have, operation o on edge e has the weight beta_e relaxation(alpha)_eo, where beta is the softmax of the
    edges' entries over those that enter the same node. The supernet, the selection, which so ranks edges, and the
    expected cost all use this product.

    Args:
        space: the space.
        normalized: whether edges have weights.

    Raises:
        SettingsError: edges are normalized in a space whose nodes keep all their edges.

    Source: Xu et al., PC-DARTS (ICLR 2020), section 3.3, for the edges' weights.
    """

    space: Space
    normalized: bool = False

    def __post_init__(self) -> None:
        if self.normalized and self.space.keep is None:
            raise SettingsError(
                f"edge_normalization = True: the nodes of space {self.space.name!r} keep all their edges, so their "
                "weights choose nothing: take --no-edge-normalization"
            )

    @property
    def dimension(self) -> int:
        """Length d of alpha."""
        return self.space.dimension + (len(self.space.edges) * len(self.space.candidates) if self.normalized else 0)

    def draw(self, generator: torch.Generator) -> Float[Tensor, " d"]:
        """The initial alpha: near 0, so that all weights are about the same."""
        parts = (self.space.dimension, self.dimension - self.space.dimension)
        return 1e-3 * torch.cat([torch.randn(part, generator=generator) for part in parts])

    def operations(self, alpha: Float[Tensor, " d"]) -> Weights:
        """The entries of the operations: cell type to a matrix `(edges, ops)`."""
        return self.space.split(alpha[: self.space.dimension] if self.normalized else alpha)

    def edges(self, alpha: Float[Tensor, " d"]) -> dict[str, Float[Tensor, " edges"]]:
        """The entries of the edges by cell type; empty where edges have none."""
        if not self.normalized:
            return {}
        parts = alpha[self.space.dimension :].reshape(len(self.space.candidates), -1)
        return dict(zip(self.space.candidates, parts.unbind(), strict=True))

    def betas(self, alpha: Float[Tensor, " d"]) -> dict[str, Float[Tensor, " edges"]]:
        """The weights of the edges by cell type, with sum 1 over the edges into a node; empty where edges have none."""
        first = self.space.inputs
        into = list(range(first, first + self.space.nodes))  # a node has an edge from each one before it
        return {
            kind: torch.cat([part.softmax(0) for part in torch.split(entries, into)])
            for kind, entries in self.edges(alpha).items()
        }

    def relax(
        self,
        relaxation: Callable[[Weights, RelaxationContext], Mapping[str, Tensor]],
        alpha: Float[Tensor, " d"],
        context: RelaxationContext,
    ) -> Mapping[str, Float[Tensor, "_ _"]]:
        """The weights of operations under a relaxation, times those of their edges.

        Args:
            relaxation: one of `zarts.relax.RELAXATIONS`, with its settings.
            alpha: the flat vector.
            context: what the relaxation depends on beside alpha.
        """
        if not self.normalized:
            return relaxation(self.space.split(alpha), context)
        betas = self.betas(alpha)
        loss_gradient = partial(_gradient_within, betas, context.loss_gradient)
        return _times(betas, relaxation(self.operations(alpha), context._replace(loss_gradient=loss_gradient)))

    def strengths(self, alpha: Float[Tensor, " d"]) -> Mapping[str, Float[Tensor, "_ _"]]:
        """How strong each operation is: softmax(alpha), times the weight of its edge."""
        if not self.normalized:
            return softmax(self.space.split(alpha))
        return _times(self.betas(alpha), softmax(self.operations(alpha)))


def _gradient_within(
    betas: Mapping[str, Tensor], loss_gradient: LossGradient, weights: Mapping[str, Tensor]
) -> tuple[float, Mapping[str, Tensor]]:
    """`loss_gradient` where the weights of operations are multiplied by those of their edges."""
    loss, gradient = loss_gradient(_times(betas, weights))
    return loss, _times(betas, gradient)


def _times(betas: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    return {kind: betas[kind][:, None] * matrix for kind, matrix in weights.items()} if betas else weights
