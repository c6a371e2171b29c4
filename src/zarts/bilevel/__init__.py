"""The bi-level problem: weight steps, losses of candidates and gradients in alpha.

Outside, build a `Bilevel` and pass it to the functions; each of them restores what it changes.
"""

from __future__ import annotations

from zarts.bilevel.anova import MeanSquares, mean_squares
from zarts.bilevel.evaluator import Evaluated, Evaluator
from zarts.bilevel.gradients import amended_gradient, first_order_gradient, hessian_vector_product, unrolled_gradient
from zarts.bilevel.hessian import dominant_eigenvalue, lanczos
from zarts.bilevel.objectives import ERROR, METRICS, Objective
from zarts.bilevel.problem import Batch, BatchLoss, Bilevel, Measured, never_stop
from zarts.bilevel.snapshot import Snapshot

__all__ = [
    "ERROR",
    "METRICS",
    "Batch",
    "BatchLoss",
    "Bilevel",
    "Evaluated",
    "Evaluator",
    "MeanSquares",
    "Measured",
    "Objective",
    "Snapshot",
    "amended_gradient",
    "dominant_eigenvalue",
    "first_order_gradient",
    "hessian_vector_product",
    "lanczos",
    "mean_squares",
    "never_stop",
    "unrolled_gradient",
]
