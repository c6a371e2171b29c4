"""From alpha to the weight of every operation on every edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zarts.relax.softmax import softmax

__all__ = ["RELAXATIONS", "Matrices", "Relaxation", "softmax"]

from torch import Tensor

Matrices = Mapping[str, Tensor]
"""Cell type to a matrix `(edges, ops)`."""

Relaxation = Callable[[Matrices], Matrices]

RELAXATIONS: dict[str, Relaxation] = {"softmax": softmax}
