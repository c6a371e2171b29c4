"""One operation an edge, drawn by softmax(alpha), with the gradient of its gates: ProxylessNAS."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from zarts.relax.context import RelaxationContext

__all__ = ["path"]


def path(alpha: Mapping[str, Float[Tensor, "_ _"]], context: RelaxationContext) -> dict[str, Float[Tensor, "_ _"]]:
    """Binary gates g: 1 for one operation of each edge, drawn by p = softmax(alpha), 0 for the others.

    Their gradient in alpha is that of p, as if g were p: dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i)   (eq. 4)

    Args:
        alpha: cell type to a matrix `(edges, ops)`.
        context: g is drawn from its generator.

    Source: Cai, Zhu and Han, ProxylessNAS (ICLR 2019), section 3.2.
    Differs: where a gradient in alpha is needed, all gates have theirs; the paper takes two operations at a time, to
        hold fewer in memory, and rescales.
    """
    gates = {}
    for kind, matrix in alpha.items():
        p = matrix.softmax(-1)
        drawn = torch.multinomial(p.detach().cpu(), 1, generator=context.generator)[:, 0].to(p.device)
        g = functional.one_hot(drawn, p.shape[-1]).to(p)
        gates[kind] = g - p.detach() + p if p.requires_grad else g
    return gates
