"""The dominant eigenvalue of the Hessian of the validation loss in alpha: the sharpness at alpha."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.bilevel.gradients import frozen
from zarts.bilevel.problem import Batch, Bilevel

__all__ = ["dominant_eigenvalue", "lanczos"]

_STEPS = 20
_TOLERANCE = 1e-3
"""Largest number of products with the Hessian, and the relative error of the eigenvalue that ends them."""


def dominant_eigenvalue(
    problem: Bilevel, alpha: Float[Tensor, " d"], batches: Sequence[Batch], generator: torch.Generator
) -> float:
    """The largest eigenvalue of the Hessian in alpha of the mean loss over `batches`, at the present weights.

    Products with the Hessian are exact, by differentiating twice; statistics of batch norms are those of the batches,
    as in updates of alpha. Nothing is changed.

    Args:
        problem: the weights; its `regularizer` is left out.
        alpha: the architecture.
        batches: usually of the validation half.
        generator: on the CPU; draws the first direction.

    Returns:
        The eigenvalue; nan where the loss or its derivatives are not finite.

    Raises:
        Interrupted: `problem.check` asks to stop.

    Source: Zela et al., RobustDARTS (ICLR 2020), section 4.
    Differs: Lanczos' method instead of the whole matrix.
    """
    with problem.preserved(), frozen(problem.model):
        problem.set_mode(training=True)
        leaf = alpha.detach().clone().requires_grad_()
        with torch.enable_grad():
            loss = torch.stack([problem.forward(leaf, batch).loss for batch in batches]).mean()
            gradient = torch.autograd.grad(loss, leaf, create_graph=True)[0]

        def product(vector: Tensor) -> Tensor:
            problem.check()
            v = vector.to(leaf)
            return torch.autograd.grad(gradient, leaf, v, retain_graph=True, materialize_grads=True)[0]

        start = torch.randn(len(alpha), generator=generator, dtype=torch.float64)
        return lanczos(product, start)


def lanczos(
    product: Callable[[Tensor], Tensor],
    start: Float[Tensor, " d"],
    *,
    steps: int = _STEPS,
    tolerance: float = _TOLERANCE,
) -> float:
    """The largest eigenvalue of a symmetric matrix, of which only its products with vectors are known.

    Args:
        product: the matrix times a vector, in any precision.
        start: the first direction, in float64 on the CPU; not orthogonal to the eigenvector.
        steps: products at most; as many as there are dimensions are exact.
        tolerance: the error, as a share of the eigenvalue, at which the method stops.

    Returns:
        The eigenvalue; nan where a product is not finite.

    Source: Lanczos (1950), with full orthogonalisation; the bound of the error is Paige's (1971).
    """
    basis = [start / start.norm()]
    diagonal: list[float] = []
    beside: list[float] = []
    largest = torch.nan
    for _ in range(min(steps, len(start))):
        image = product(basis[-1]).detach().cpu().double()
        if not image.isfinite().all():
            return torch.nan
        diagonal.append(float(image @ basis[-1]))
        for _ in range(2):  # once is not enough where directions are nearly alike
            known = torch.stack(basis)
            image = image - known.T @ (known @ image)
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, beside))
        largest, rest = float(values[-1]), float(image.norm())
        if rest * abs(float(vectors[-1, -1])) <= tolerance * abs(largest) or rest == 0:
            break
        beside.append(rest)
        basis.append(image / rest)
    return largest


def _tridiagonal(diagonal: Sequence[float], beside: Sequence[float]) -> Float[Tensor, "k k"]:
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    for i, value in enumerate(beside):
        matrix[i, i + 1] = matrix[i + 1, i] = value
    return matrix
