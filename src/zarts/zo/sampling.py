"""Random directions in R^d: Gaussian, on the sphere, in the ball."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["sample_ball", "sample_gaussian", "sample_sphere"]


def sample_gaussian(n: int, like: Float[Tensor, " d"], generator: torch.Generator) -> Float[Tensor, "n d"]:
    """`n` draws from N(0, I); dimension, dtype and device are those of `like`."""
    return torch.randn(n, len(like), generator=generator, dtype=like.dtype, device=like.device)


def sample_sphere(n: int, like: Float[Tensor, " d"], generator: torch.Generator) -> Float[Tensor, "n d"]:
    """`n` draws, uniform on the unit sphere."""
    return torch.nn.functional.normalize(sample_gaussian(n, like, generator), dim=1)


def sample_ball(n: int, like: Float[Tensor, " d"], generator: torch.Generator) -> Float[Tensor, "n d"]:
    """`n` draws, uniform in the unit ball: directions on the sphere, radii U^(1/d)."""
    directions = sample_sphere(n, like, generator)
    volumes = torch.rand(n, 1, generator=generator, dtype=like.dtype, device=like.device)
    return directions * volumes ** (1 / len(like))
