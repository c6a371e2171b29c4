"""The continuous relaxation of DARTS."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

__all__ = ["softmax"]


def softmax(alpha: Mapping[str, Float[Tensor, "?edges ?ops"]]) -> dict[str, Float[Tensor, "?edges ?ops"]]:
    """Softmax over the operations of each edge.

    Source: Liu et al., DARTS (ICLR 2019), section 2.2.
    """
    return {kind: matrix.softmax(dim=-1) for kind, matrix in alpha.items()}
