"""Surfaces of the validation loss over a plane through alpha, one for each approximation of omega*(alpha)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from zarts.analysis.plane import Minimum, Plane
from zarts.bilevel import Batch, Bilevel, Evaluator

__all__ = ["Surface", "number_of", "surface_name", "survey"]

_BLOCK = 4
"""Points that a rank evaluates between two calls of `progress`."""


@dataclass(frozen=True)
class Surface:
    """Losses over a plane, and the numbers that describe them.

    Args:
        inner_steps: M, the weight steps that approximate omega*(alpha).
        losses: rows are y, columns are x; nan where a loss is not finite.
        sharpness: see `Plane.sharpness`.
        minimum: see `Plane.minimum`.
        rise: see `Plane.rise`.
    """

    inner_steps: int
    losses: Float64[Tensor, "n n"]
    sharpness: float
    minimum: Minimum | None
    rise: float

    @property
    def name(self) -> str:
        """`first order`, `second order` or `M = 10`."""
        return surface_name(self.inner_steps)

    @staticmethod
    def of(plane: Plane, inner_steps: int, losses: Sequence[float]) -> Surface:
        """The surface of the losses of all grid points, row after row."""
        table = torch.tensor(losses, dtype=torch.float64).view(len(plane.places), -1)
        return Surface(inner_steps, table, plane.sharpness(table), plane.minimum(table), plane.rise(table))

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        minimum = None if self.minimum is None else vars(self.minimum)
        numbers = {"sharpness": self.sharpness, "minimum": minimum, "rise": self.rise}
        return {"name": self.name, "inner_steps": self.inner_steps, "losses": self.losses.tolist(), **numbers}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Surface:
        """The surface of a JSON file, which has null for a number that is not finite."""
        rows = [[number_of(loss) for loss in row] for row in data["losses"]]
        minimum = None if data["minimum"] is None else Minimum(**data["minimum"])
        numbers = number_of(data["sharpness"]), minimum, number_of(data["rise"])
        return Surface(data["inner_steps"], torch.tensor(rows, dtype=torch.float64), *numbers)


def surface_name(inner_steps: int) -> str:
    """The paper's name for the approximation of omega*(alpha) by so many weight steps."""
    return {0: "first order", 1: "second order"}.get(inner_steps, f"M = {inner_steps}")


def survey(
    problem: Bilevel,
    plane: Plane,
    known: dict[int, list[float]],
    train_batches: Sequence[Batch],
    val_batches: Sequence[Batch],
    *,
    learning_rate: float | None = None,
    momentum: float | None = None,
    batch_norm: Literal["train", "eval"] = "train",
    progress: Callable[[], None] = lambda: None,
) -> list[Surface]:
    """Evaluate every point of the plane with each number of weight steps.

    All points start from the same weights and momentum, take their steps on the same training batches, and compute
    their losses on the same validation batches.

    Args:
        problem: the weights, which are left as they are.
        plane: the points.
        known: for each number of inner steps the losses that are already known, row after row; new losses are appended
            block by block, so that an interruption loses no finished block.
        train_batches: as many as the largest number of inner steps.
        val_batches: batches of the validation half.
        learning_rate: see `Evaluator`.
        momentum: see `Evaluator`.
        batch_norm: see `Evaluator`.
        progress: called after each block of points.

    Raises:
        Interrupted: `problem.check` asks to stop.
        RankError: another rank has ended.

    Source: ZARTS, supplementary 1.2.
    Differs: second order is one weight step as the search itself takes it, with momentum and weight decay as in DARTS'
        unrolled step, but clipped; the released code takes 2 steps for 1 and 11 for 10, with momentum from zero.
    """
    points = len(plane.places) ** 2
    evaluator = Evaluator(problem, learning_rate=learning_rate, momentum=momentum, batch_norm=batch_norm)
    for inner_steps, losses in known.items():
        while len(losses) < points:
            block = range(len(losses), min(points, len(losses) + _BLOCK * problem.ranks.count))
            found = evaluator.evaluate(plane.points(block), train_batches[:inner_steps], val_batches)
            losses += found.values.tolist()
            progress()
    return [Surface.of(plane, inner_steps, losses) for inner_steps, losses in known.items()]


def number_of(value: float | None) -> float:
    """A number of a JSON file; null becomes nan."""
    return float("nan") if value is None else float(value)
