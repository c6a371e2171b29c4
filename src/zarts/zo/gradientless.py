"""GLD: gradientless descent, the best of a few perturbations of halving length."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.zo.base import Pending, Randomness, Step, Vector, ZeroOrderOptimizer
from zarts.zo.sampling import sample_ball, sample_sphere
from zarts.zo.validation import DECAYS, check, check_choice, decay

__all__ = ["GradientlessDescent"]

_DIRECTIONS = {"sphere": sample_sphere, "ball": sample_ball}


class GradientlessDescent(ZeroOrderOptimizer):
    """Moves to the best of K + 1 perturbed points if it is strictly better than x.

    u_k = R / 2^k v_k, k = 0..K, K = floor(log2(R / r)), v_k uniform on the sphere or in the ball.
    Asks for K + 2 points, the incumbent first. Only the order of the losses counts: x moves alike for f and for
    any increasing function of f, and f never grows.

    Args:
        x: the start, shape (d,).
        generator: the source of randomness, on the device of x, or a seed.
        radius_max: R. Released plot code 0.13 a cell type, search value unpublished. 2.8 is 0.2 in each of 196
            coordinates, the length of a sample of our MGS; shorter ones drown in the noise of a loss.
        radius_min: r. Released plot code R / 2^14.8, 15 candidates. 0.04 gives K = 6: 7 candidates and
            the incumbent are the 8 evaluations of our MGS.
        directions: `sphere` (as released) or `ball` (Golovin et al.); alike in many dimensions.
        radius_decay: `cosine` or `constant`, of all radii. The paper of GLD has none; `cosine` as for sigma of
            MGS, because on noisy losses the best of few is often only lucky, and long moves would never end.

    `Step.weights` is 1 for the chosen point and 0 for the others. `Step.info` has radius, the largest, and taken,
    the length of the move (0: stayed).

    Raises:
        SettingsError: a setting is out of its range.

    Source: Golovin et al., Gradientless Descent (ICLR 2020), algorithm 1; released code of ZARTS,
        `cnn/loss_landscape/vis_optimzation.py`, lines 460-564.
    Differs: the decay; the released code draws directions for each cell type separately.
    """

    def __init__(
        self,
        x: Vector,
        generator: Randomness = 0,
        *,
        radius_max: float = 2.8,
        radius_min: float = 0.04,
        directions: str = "sphere",
        radius_decay: str = "cosine",
    ) -> None:
        super().__init__(x, generator)
        check(0 < radius_max < math.inf, "radius_max", "a number > 0", radius_max, "2.8 suits alphas of order 1")
        needs = f"a number in (0, radius_max] = (0, {radius_max:g}]"
        check(0 < radius_min <= radius_max, "radius_min", needs, radius_min, "radius_max / 64 gives 7 candidates")
        check_choice("directions", directions, _DIRECTIONS)
        check_choice("radius_decay", radius_decay, DECAYS)
        self.radius_max, self.radius_decay, self.directions = radius_max, radius_decay, directions
        self.candidates = 1 + math.floor(math.log2(radius_max / radius_min))  # K + 1

    @property
    def uses_gradient(self) -> bool:
        """Never."""
        return False

    @property
    def scale(self) -> float:
        """R at this progress."""
        return self.radius_max * decay(self.radius_decay, self.progress)

    def _sample(self, scale: float, gradient: Float[Tensor, " d"]) -> Float[Tensor, "n d"]:
        directions = _DIRECTIONS[self.directions](self.candidates, self.x, self.generator)
        radii = scale * 0.5 ** torch.arange(self.candidates).to(self.x)
        return torch.cat([torch.zeros_like(directions[:1]), radii[:, None] * directions])

    def _weigh(self, losses: Float[Tensor, " n"], pending: Pending) -> Step:
        best = int(losses.argmin())  # the first of equals: a tie with the incumbent stays
        move = pending.perturbations[best]
        weights = torch.zeros(len(losses)).to(self.x)
        weights[best] = 1
        return Step(move, weights, {"radius": pending.scale, "taken": float(move.norm())})
