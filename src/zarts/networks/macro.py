"""Macro-architecture of supernet and derived network: where cells reduce, and their channels in and out."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import SettingsError
from zarts.networks.operations import FactorizedReduce, PointwiseBlock

__all__ = ["CellPlan", "Preprocess", "cell_channels", "plan_cells", "reduction_cells"]


@dataclass(frozen=True)
class CellPlan:
    """Form of one cell of the stack.

    Args:
        kind: `normal` or `reduce`.
        inputs: channels of the outputs of the cell before the previous one and of the previous one.
        channels: channels of each of its nodes.
        first_larger: whether the first input has twice the size of the second: the previous cell reduced.
    """

    kind: str
    inputs: tuple[int, int]
    channels: int
    first_larger: bool

    def stride(self, source: int) -> int:
        """Stride of the operations that leave node `source`: 2 from the two inputs of a reduction cell."""
        return 2 if self.kind == "reduce" and source < 2 else 1


def reduction_cells(cells: int) -> tuple[int, int]:
    """Positions, from 0, of the two reduction cells: at 1/3 and 2/3 of the depth.

    Raises:
        SettingsError: fewer than 3 cells.
    """
    if cells < 3:
        raise SettingsError(
            f"cells is {cells}; needs at least 3: the cells at 1/3 and 2/3 of the depth reduce, "
            "and must be two different ones after a normal one"
        )
    return cells // 3, 2 * cells // 3


def cell_channels(channels: int) -> tuple[int, int, int]:
    """Channels of a node before the first reduction, between the two, and after the second: each doubles them."""
    return channels, 2 * channels, 4 * channels


def plan_cells(cells: int, channels: int, stem_channels: int, nodes: int, first_larger: bool) -> list[CellPlan]:
    """The form of each cell, first to last. Each reduction doubles the channels.

    Args:
        cells: number of cells.
        channels: channels of a node in the first cells.
        stem_channels: channels of the stem's two outputs.
        nodes: intermediate nodes of a cell; its output has `nodes` times the channels of one.
        first_larger: whether the stem's first output has twice the size of the second.

    Raises:
        SettingsError: fewer than 3 cells or 2 channels.
    """
    if channels < 2:
        raise SettingsError(f"channels is {channels}; needs at least 2: reductions split them in two halves")
    reductions = reduction_cells(cells)
    before, previous, plans = stem_channels, stem_channels, []
    for index in range(cells):
        reduces = index in reductions
        channels *= 2 if reduces else 1
        plans.append(CellPlan("reduce" if reduces else "normal", (before, previous), channels, first_larger))
        before, previous, first_larger = previous, nodes * channels, reduces
    return plans


class Preprocess(nn.Module):
    """Brings both inputs of a cell to its number of channels and to the size of the second one."""

    def __init__(self, plan: CellPlan, affine: bool) -> None:
        super().__init__()
        before = FactorizedReduce if plan.first_larger else PointwiseBlock
        self.before = before(plan.inputs[0], plan.channels, affine)
        self.previous = PointwiseBlock(plan.inputs[1], plan.channels, affine)

    def forward(
        self, before: Float[Tensor, "batch c0 h0 w0"], previous: Float[Tensor, "batch c1 height width"]
    ) -> tuple[Float[Tensor, "batch channels height width"], Float[Tensor, "batch channels height width"]]:
        """Nodes 0 and 1 of the cell."""
        return self.before(before), self.previous(previous)
