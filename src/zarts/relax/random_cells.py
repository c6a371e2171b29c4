"""Random cells, as operation weights and as genotypes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.relax.context import RelaxationContext
from zarts.relax.gumbel import gumbel_noise
from zarts.spaces import Genotype, Space

__all__ = ["sample_cell", "uniform"]


def uniform(alpha: Mapping[str, Float[Tensor, "_ _"]], context: RelaxationContext) -> dict[str, Float[Tensor, "_ _"]]:
    """A cell drawn uniformly, whatever alpha: its operations have weight 1, all others 0.

    Source: Li and Talwalkar, random search with weight sharing (UAI 2019), section 3.2.
    """
    drawn = context.space.one_hot(context.space.random(context.generator))
    return {kind: drawn[kind].to(matrix) for kind, matrix in alpha.items()}


def sample_cell(space: Space, alpha: Float[Tensor, " d"], generator: torch.Generator) -> Genotype:
    """A cell whose operations are drawn by softmax(alpha).

    Where a node keeps only some of its edges, an edge is kept in proportion to the probability of its operations
    other than `none`; with alpha 0 this is `Space.random`. Both follow from deriving the strongest operations of
    log softmax(alpha) plus Gumbel noise.
    """
    logits = {kind: matrix.log_softmax(-1) for kind, matrix in space.split(alpha.detach().cpu()).items()}
    return space.derive({kind: matrix + gumbel_noise(matrix, generator) for kind, matrix in logits.items()})
