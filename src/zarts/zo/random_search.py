"""RS: random search, gradient descent on an estimate of the gradient from loss differences."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.zo.base import Pending, Randomness, Step, Vector, ZeroOrderOptimizer, diverged
from zarts.zo.sampling import sample_gaussian, sample_sphere
from zarts.zo.validation import check, check_choice

__all__ = ["RandomSearch"]

_DIRECTIONS = {"sphere": sample_sphere, "gaussian": sample_gaussian}
_ESTIMATORS = ("antithetic", "forward", "one-point")


class RandomSearch(ZeroOrderOptimizer):
    """Moves by -xi times a random estimate of the gradient.

    antithetic: phi / (2 delta N) sum_i [L(x + delta v_i) - L(x - delta v_i)] v_i, 2 N points
    forward:    phi / (delta N) sum_i [L(x + delta v_i) - L(x)] v_i, N + 1 points, the incumbent first
    one-point:  phi / (delta N) sum_i L(x + delta v_i) v_i, N points
    phi = d for directions on the sphere (E[v v^T] = I / d), 1 for Gaussian ones (E[v v^T] = I).

    All three estimate the gradient of the smoothed loss; on a quadratic that is the gradient itself. Their
    variance is least for `antithetic`, where even terms cancel, and much the largest for `one-point`, which
    multiplies the loss itself: it needs a far smaller `arch_learning_rate`.

    Args:
        x: the start, shape (d,).
        generator: the source of randomness, on the device of x, or a seed.
        samples: N directions. 4 antithetic pairs are the 8 evaluations of our MGS; the released plot code has 8.
        estimator: `antithetic` (as released), `forward` or `one-point`.
        directions: `sphere`, jointly in R^d (released: one sphere a cell type), or `gaussian`, whose length is
            about sqrt(d): take `smoothing` that much smaller for the same reach.
        smoothing: delta. Released plot code 0.1, search value unpublished. With a gradient of norm 0.05 and
            d = 200 a pair differs by 2 delta 0.05 / sqrt(d) = 0.007 delta; common-batch noise of a loss is 0.002
            to 0.005, so 1.
        arch_learning_rate: xi. Released plot code 1e-4, search value unpublished. The estimate has norm
            sqrt(d / N) |g| = 7 x 0.05 = 0.35 (d = 200, N = 4, sphere or Gaussian): at 1 a move is 0.025 in each
            coordinate, of which 0.05 in all go down. On a bowl of curvature h the mean of |x|^2 shrinks while
            xi h < 2 N / (d + N - 1): at 1 up to h = 0.04; measured is about 0.01 (a rise of 0.02 at distance 2),
            where 4 would diverge.

    `Step.weights` are the absolute coefficients of the directions, normalised to sum 1 (uniform if all are 0); a
    direction with a loss that is not finite has weight 0, and N counts the rest. `Step.info` has smoothing and
    gradient_norm, the norm of the estimate. Nothing is annealed.

    Raises:
        SettingsError: a setting is out of its range.

    Source: Nesterov and Spokoiny (2017); Liu et al., primer on zeroth-order optimization (2020), for phi; released
        code of ZARTS, `cnn/loss_landscape/vis_optimzation.py`, lines 566-697.
    Differs: one joint sphere; the released sampler does not give unit rows.
    """

    def __init__(
        self,
        x: Vector,
        generator: Randomness = 0,
        *,
        samples: int = 4,
        estimator: str = "antithetic",
        directions: str = "sphere",
        smoothing: float = 1.0,
        arch_learning_rate: float = 1.0,
    ) -> None:
        super().__init__(x, generator)
        check(samples >= 1, "samples", "a whole number >= 1", samples, "4 antithetic pairs cost 8 evaluations")
        check_choice("estimator", estimator, _ESTIMATORS)
        check_choice("directions", directions, _DIRECTIONS)
        check(0 < smoothing < math.inf, "smoothing", "a number > 0", smoothing, "1 suits alphas of order 1")
        check(
            0 < arch_learning_rate < math.inf,
            "arch_learning_rate",
            "a number > 0",
            arch_learning_rate,
            "1 suits alphas of order 1",
        )
        self.samples, self.estimator, self.directions = samples, estimator, directions
        self.smoothing, self.arch_learning_rate = smoothing, arch_learning_rate

    @property
    def uses_gradient(self) -> bool:
        """Never."""
        return False

    @property
    def scale(self) -> float:
        """Delta."""
        return self.smoothing

    def _sample(self, scale: float, gradient: Float[Tensor, " d"]) -> Float[Tensor, "n d"]:
        perturbations = scale * _DIRECTIONS[self.directions](self.samples, self.x, self.generator)
        if self.estimator == "antithetic":
            return torch.cat([perturbations, -perturbations])
        if self.estimator == "forward":
            return torch.cat([torch.zeros_like(perturbations[:1]), perturbations])
        return perturbations

    def _weigh(self, losses: Float[Tensor, " n"], pending: Pending) -> Step:
        perturbations = pending.perturbations  # delta v_i
        if self.estimator == "antithetic":
            perturbations = perturbations[: self.samples]
            differences = (losses[: self.samples] - losses[self.samples :]) / 2
        elif self.estimator == "forward":
            perturbations, differences = perturbations[1:], losses[1:] - losses[0]
        else:
            differences = losses
        kept = differences.isfinite()
        if not kept.any():
            raise diverged(len(losses))
        differences = torch.where(kept, differences, 0.0)
        phi = len(self.x) if self.directions == "sphere" else 1
        coefficients = differences * phi / (pending.scale**2 * int(kept.sum()))
        estimate = coefficients.to(self.x) @ perturbations
        sizes = differences.abs() if differences.any() else kept.double()
        info = {"smoothing": pending.scale, "gradient_norm": float(estimate.norm())}
        return Step(-self.arch_learning_rate * estimate, (sizes / sizes.sum()).to(self.x), info)
