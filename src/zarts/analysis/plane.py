"""Plane through alpha with a grid, and numbers of the losses on it: sharpness, minimum and rise of the rim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.errors import SettingsError, did_you_mean
from zarts.runtime.seed import keyed_generator

__all__ = ["Minimum", "Plane", "draw_plane"]

_WINDOW = 0.25
"""Part of the radius around the centre within which the quadratic is fitted; at least one step of the grid."""


@dataclass(frozen=True)
class Minimum:
    """The lowest point of a grid, in its own units."""

    x: float
    y: float
    loss: float


@dataclass(frozen=True)
class Plane:
    """The points alpha + unit (x d1 + y d2), for x and y in `places`; rows of a grid are y, in ascending order.

    Args:
        alpha: the centre.
        directions: d1 and d2, orthonormal.
        unit: Euclidean distance in alpha that 1 in x or y stands for.
        places: coordinates x and y of the grid; the middle one is 0.
    """

    alpha: Float[Tensor, " d"]
    directions: Float[Tensor, "2 d"]
    unit: float
    places: Float[Tensor, " n"]

    def points(self, numbers: Sequence[int]) -> Float[Tensor, "k d"]:
        """Points of the grid, counted row after row; the middle one is exactly alpha."""
        rows, columns = torch.tensor(numbers).div(len(self.places), rounding_mode="floor"), torch.tensor(numbers)
        at = torch.stack([self.places[columns % len(self.places)], self.places[rows]], 1)
        return (self.alpha.cpu().double() + self.unit * at @ self.directions).to(self.alpha)

    def sharpness(self, losses: Float[Tensor, "n n"]) -> float:
        """The larger eigenvalue of the Hessian in the plane, at the centre, in loss a squared distance in alpha.

        It is the eigenvalue of the least-squares quadratic of the losses within a quarter of the radius. It is at most
        the dominant eigenvalue of the whole Hessian, and far below that if few of many directions are sharp.

        Returns:
            The eigenvalue; nan if one of these losses is not finite.
        """
        near = self.places.abs() <= max(_WINDOW * float(self.places[-1]), self._step) * (1 + 1e-9)
        window = losses[near][:, near].double().flatten()
        if not window.isfinite().all():
            return math.nan
        y, x = (part.flatten() for part in torch.meshgrid(self.places[near], self.places[near], indexing="ij"))
        columns = torch.stack([torch.ones_like(x), x, y, x * x / 2, x * y, y * y / 2], 1)
        xx, xy, yy = torch.linalg.lstsq(columns, window[:, None]).solution[3:, 0].tolist()
        hessian = torch.tensor([[xx, xy], [xy, yy]], dtype=torch.float64) / self.unit**2
        return float(torch.linalg.eigvalsh(hessian)[-1])

    def minimum(self, losses: Float[Tensor, "n n"]) -> Minimum | None:
        """The lowest loss of the grid and its position; None if no loss is finite."""
        known = torch.where(losses.isfinite(), losses, math.inf)
        row, column = divmod(int(known.argmin()), len(self.places))
        if not known[row, column].isfinite():
            return None
        return Minimum(float(self.places[column]), float(self.places[row]), float(losses[row, column]))

    def rise(self, losses: Float[Tensor, "n n"]) -> float:
        """Mean loss of the grid's rim minus the loss of its centre; nan if one of them is not finite."""
        rim = torch.cat([losses[0], losses[-1], losses[1:-1, 0], losses[1:-1, -1]])
        middle = len(self.places) // 2
        return float(rim.double().mean() - losses[middle, middle])

    @property
    def _step(self) -> float:
        return float(self.places[-1]) / (len(self.places) // 2)


def draw_plane(alpha: Float[Tensor, " d"], *, grid: int, radius: float, scale: str, seed: int) -> Plane:
    """A grid in the plane of two random orthonormal directions of R^d, uniform over all such pairs.

    Args:
        alpha: the centre.
        grid: points a side; odd, so that the centre is one of them.
        radius: x and y range from -radius to radius.
        scale: distance in alpha of 1 in x or y: `unit`, 1, as in the paper; `coordinate`, sqrt(d), a root mean square
            change of 1 in a coordinate of alpha; `alpha`, the length of alpha.
        seed: of the directions.

    Raises:
        SettingsError: the grid is even or below 3, the radius is not positive, alpha has one coordinate, or its length
            is 0 with `scale="alpha"`.

    Source: ZARTS, supplementary 1.2: x and y from -1 to 1 in steps of 0.02, that is `grid` 101.
    Differs: the released code makes the directions orthogonal by dividing by |d1| instead of |d1|^2, and scales the
        part of each cell type to the length of that part of alpha; here both are one vector, as in the paper.
    """
    if grid < 3 or grid % 2 == 0:
        raise SettingsError(
            f"grid = {grid}: expected an odd number from 3, because alpha is the middle: take {max(3, grid | 1)}"
        )
    if not 0 < radius < math.inf:
        raise SettingsError(f"radius = {radius:g}: expected more than 0")
    if len(alpha) < 2:
        raise SettingsError(f"alpha has {len(alpha)} coordinate: a plane needs at least 2")
    lengths = {"unit": 1.0, "coordinate": math.sqrt(len(alpha)), "alpha": float(alpha.double().norm())}
    if scale not in lengths:
        raise SettingsError(did_you_mean("scale", scale, lengths))
    if lengths[scale] == 0:
        raise SettingsError("scale = alpha: alpha is 0 and has no length: take unit or coordinate")
    drawn = torch.randn(len(alpha), 2, generator=keyed_generator(seed, "landscape"), dtype=torch.float64)
    half = grid // 2
    places = torch.arange(-half, half + 1, dtype=torch.float64) * radius / half
    return Plane(alpha, torch.linalg.qr(drawn).Q.T.contiguous(), lengths[scale], places)
