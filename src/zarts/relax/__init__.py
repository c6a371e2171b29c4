"""Relaxations: from alpha to the weight of every operation on every edge.

Outside, use `RELAXATIONS` and `Parameterization`; the settings of a relaxation are its keyword parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from zarts.relax.context import LossGradient, RelaxationContext
from zarts.relax.gaussian import noisy
from zarts.relax.gumbel import gumbel, gumbel_soft
from zarts.relax.parameterization import Parameterization
from zarts.relax.proxyless import path
from zarts.relax.random_cells import sample_cell, uniform
from zarts.relax.smooth_darts import adversarial, perturbed
from zarts.relax.softmax import softmax

__all__ = [
    "RELAXATIONS",
    "LossGradient",
    "Matrices",
    "Parameterization",
    "Relaxation",
    "RelaxationContext",
    "adversarial",
    "gumbel",
    "gumbel_soft",
    "noisy",
    "path",
    "perturbed",
    "sample_cell",
    "softmax",
    "uniform",
]

Matrices = Mapping[str, Tensor]
"""Cell type to a matrix `(edges, ops)`."""

Relaxation = Callable[[Mapping[str, Tensor], RelaxationContext], Matrices]
"""From alpha, cell type to a matrix `(edges, ops)`, to the operation weights."""

RELAXATIONS: dict[str, Relaxation] = {
    "softmax": softmax,
    "gumbel": gumbel,
    "gumbel-soft": gumbel_soft,
    "path": path,
    "uniform": uniform,
    "noisy": noisy,
    "perturbed": perturbed,
    "adversarial": adversarial,
    "cell": lambda alpha, context: alpha,
}
