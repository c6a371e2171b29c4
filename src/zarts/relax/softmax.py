"""The continuous relaxation of DARTS: softmax."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from zarts.relax.context import RelaxationContext

__all__ = ["softmax"]


def softmax(
    alpha: Mapping[str, Float[Tensor, "_ _"]], context: RelaxationContext | None = None
) -> dict[str, Float[Tensor, "_ _"]]:
    """Softmax over the operations of each edge.

    Args:
        alpha: cell type to a matrix `(edges, ops)`; the edges and operations of each type are its own.
        context: not used; other relaxations depend on it.

    Source: Liu et al., DARTS (ICLR 2019), section 2.2.
    """
    return {kind: matrix.softmax(dim=-1) for kind, matrix in alpha.items()}
