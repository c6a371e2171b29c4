"""Analysis of variance of losses: candidates, conditions of evaluation, and the interaction of both."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

__all__ = ["MeanSquares", "mean_squares"]


class MeanSquares(NamedTuple):
    """Mean squares of a two-way analysis of variance with one loss an entry: y_ij = mu + a_i + b_j + e_ij.

    Args:
        candidates: of the rows; its expectation is columns var(a) + var(e).
        conditions: of the columns (images, or draws of batches); rows var(b) + var(e).
        interaction: of the rest, which stays in differences between candidates under common conditions; var(e).
        rows: number of candidates.
        columns: number of conditions.

    Source: Scheffé, The Analysis of Variance (1959), chapter 7: random effects, one observation a cell.
    """

    candidates: float
    conditions: float
    interaction: float
    rows: int
    columns: int

    @property
    def signal_to_noise(self) -> float:
        """Estimate of var(a) / (var(e) / columns): signal over noise in the mean losses of candidates.

        About 0, also below, where candidates do not differ; inf where they differ without noise.
        """
        if self.interaction == 0:
            return float("inf") if self.candidates > 0 else 0.0
        return self.candidates / self.interaction - 1


def mean_squares(table: Float[Tensor, "rows columns"]) -> MeanSquares:
    """The analysis of finite losses, one row a candidate; needs two rows and two columns at least."""
    table = table.double()
    rows, columns = table.shape
    mean = table.mean()
    of_rows, of_columns = table.mean(1) - mean, table.mean(0) - mean
    rest = table - mean - of_rows[:, None] - of_columns[None, :]
    return MeanSquares(
        float(columns * of_rows.square().sum() / (rows - 1)),
        float(rows * of_columns.square().sum() / (columns - 1)),
        float(rest.square().sum() / ((rows - 1) * (columns - 1))),
        rows,
        columns,
    )
