"""From alpha to the weight of every operation on every edge.

The settings of a relaxation are its keyword parameters, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from zarts.relax.cells import sample_cell, uniform
from zarts.relax.encoding import Encoding
from zarts.relax.gumbel import gumbel, gumbel_soft
from zarts.relax.moment import Moment, Slope
from zarts.relax.noisy import noisy
from zarts.relax.path import path
from zarts.relax.perturbed import adversarial, perturbed
from zarts.relax.softmax import softmax

__all__ = [
    "RELAXATIONS",
    "Encoding",
    "Matrices",
    "Moment",
    "Slope",
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

RELAXATIONS: dict[str, Callable[..., Matrices]] = {
    "softmax": lambda alpha, moment: softmax(alpha),
    "gumbel": gumbel,
    "gumbel-soft": gumbel_soft,
    "path": path,
    "uniform": uniform,
    "noisy": noisy,
    "perturbed": perturbed,
    "adversarial": adversarial,
    "cell": lambda alpha, moment: alpha,
}
