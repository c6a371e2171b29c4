"""The landscape of the validation loss over a plane through alpha, for several approximations of omega*(alpha)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float64
from torch import Tensor

from zarts.analysis.plane import Minimum, Plane
from zarts.bilevel import Batch, Bilevel, evaluate

__all__ = ["Surface", "number_of", "surface_name", "survey"]

_BLOCK = 4
"""Points that a rank judges between two chances to write down what is known."""


@dataclass(frozen=True)
class Surface:
    """Losses over a plane, and what they say.

    Args:
        inner_steps: M, the weight steps that approximate omega*(alpha).
        losses: rows are y, columns x; nan where a loss is not finite.
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
        """From the losses of all points of the grid, row after row."""
        table = torch.tensor(losses, dtype=torch.float64).view(len(plane.places), -1)
        return Surface(inner_steps, table, plane.sharpness(table), plane.minimum(table), plane.rise(table))

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        minimum = None if self.minimum is None else vars(self.minimum)
        numbers = {"sharpness": self.sharpness, "minimum": minimum, "rise": self.rise}
        return {"name": self.name, "inner_steps": self.inner_steps, "losses": self.losses.tolist(), **numbers}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Surface:
        """From what `to_dict` gave and JSON kept, where a number that is not finite is null."""
        rows = [[number_of(loss) for loss in row] for row in data["losses"]]
        minimum = None if data["minimum"] is None else Minimum(**data["minimum"])
        numbers = number_of(data["sharpness"]), minimum, number_of(data["rise"])
        return Surface(data["inner_steps"], torch.tensor(rows, dtype=torch.float64), *numbers)


def surface_name(inner_steps: int) -> str:
    """What the paper calls omega*(alpha) after so many weight steps."""
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
    heard: Callable[[], None] = lambda: None,
) -> list[Surface]:
    """Judge every point of the plane after each number of weight steps, by `evaluate`.

    All points start from the same weights and momentum, take their steps on the same training batches, and are judged
    on the same validation batches.

    Args:
        problem: the weights, which are left as they are.
        plane: the points.
        known: numbers of inner steps, each with the losses of the points that have been judged before, row after row;
            those judged here are added, block by block, so that nothing is lost when this is interrupted.
        train_batches: as many as the most inner steps.
        val_batches: batches of the validation half.
        learning_rate: see `evaluate`.
        momentum: see `evaluate`.
        batch_norm: see `evaluate`.
        heard: called after each block.

    Raises:
        Interrupted: `problem.check` asks to stop.
        RankError: another rank is gone.

    Source: ZARTS, supplementary 1.2.
    Differs: second order is one weight step as the search itself takes it, with momentum and weight decay as in DARTS'
        unrolled step, but clipped; the released code takes 2 steps for 1 and 11 for 10, with momentum from zero.
    """
    points = len(plane.places) ** 2
    for inner_steps, losses in known.items():
        while len(losses) < points:
            block = range(len(losses), min(points, len(losses) + _BLOCK * problem.ranks.count))
            found = evaluate(
                problem,
                plane.points(block),
                train_batches[:inner_steps],
                val_batches,
                learning_rate=learning_rate,
                momentum=momentum,
                batch_norm=batch_norm,
            )
            losses += found.tolist()
            heard()
    return [Surface.of(plane, inner_steps, losses) for inner_steps, losses in known.items()]


def number_of(value: float | None) -> float:
    """A number of a JSON file, which has null for one that is not finite."""
    return float("nan") if value is None else float(value)
