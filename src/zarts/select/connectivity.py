"""The best cell whose output depends on its input."""

from __future__ import annotations

from itertools import combinations, pairwise, product

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from zarts.limits import Constraints
from zarts.spaces import Genotype, Space

__all__ = ["MOST", "best_connected"]

MOST = 1e6
"""Replaces an infinite score, so that sums and differences stay finite."""


def best_connected(constraints: Constraints, scores: Float[Tensor, " d"]) -> Genotype:
    """The cell with the largest sum of its operations' scores among those whose output depends on their input.

    Where no such cell is within the limits, the best of all cells within them.

    Args:
        constraints: genotypes of a space whose nodes keep all their edges; the output of a cell is its last node.
        scores: one an operation, flat as alpha.
    """
    space = constraints.space
    scores = scores.clamp_max(MOST)
    matrices = space.split(scores)
    forced = [dict(zip(matrices, paths, strict=True)) for paths in product(*(_paths(space, k) for k in matrices))]
    found = [
        genotype
        for masks in forced
        if (genotype := constraints.strongest({k: m.masked_fill(masks[k], -torch.inf) for k, m in matrices.items()}))
    ]
    if not found:
        return constraints.derive(matrices)
    totals = [float(scores[space.flatten(space.one_hot(genotype)).bool()].sum()) for genotype in found]
    return found[totals.index(max(totals))]


def _paths(space: Space, kind: str) -> list[Bool[Tensor, "edges ops"]]:
    """For each path from the input to the output, a mask of the `none` operations on its edges."""
    last = space.inputs + space.nodes - 1
    inner = range(space.inputs, last)
    masks = []
    for path in ((0, *nodes, last) for size in range(len(inner) + 1) for nodes in combinations(inner, size)):
        edges = [space.edges.index((target, source)) for source, target in pairwise(path)]
        none = torch.tensor([[op == "none" for op in ops] for ops in space.candidates[kind]])
        masks.append(none & torch.tensor([[edge in edges] for edge in range(len(none))]))
    return masks
