"""The mixed cell of NAS-Bench-201 as one differentiable function of its input, the weights and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.kernels.allocator import ALLOCATOR
from zarts.kernels.bindings import addresses, call, dense, differentiable, threads_for
from zarts.kernels.build import compiled

__all__ = ["DENSE_OPS", "Convolutions", "DenseCell", "dense_cell"]

DENSE_OPS = ("nor_conv_3x3", "nor_conv_1x1", "skip_connect", "avg_pool_3x3")
"""The operations that the kernel knows, in the order of nasbench201.cpp, convolutions first."""

Features = Float[Tensor, "batch channels height width"]
Places = tuple[tuple[int, ...], ...]


class Convolutions(NamedTuple):
    """Parameters and statistics of one operation on the edges that leave a node, to the nodes behind it in turn.

    Args:
        weight: `(slots·channels, channels, k, k)`.
        mean: running mean, `(slots, channels)`.
        var: running variance, `(slots, channels)`.
    """

    weight: Tensor
    mean: Tensor
    var: Tensor


@dataclass(frozen=True)
class DenseCell:
    """The description of a mixed cell.

    Args:
        places: for each node that edges leave, edge after edge, the positions of the weights of `DENSE_OPS` among
            all; -1: does not run.
        convolutions: for each such node those of the first two operations.
        training: batch statistics, or running ones.
        plain: the same function in torch's operations, of the input and the weights; it stands in where a derivative
            of the gradient is asked for.
    """

    places: Sequence[Places]
    convolutions: Sequence[Mapping[str, Convolutions]]
    training: bool
    plain: Callable[[Tensor, Tensor], Tensor]

    @property
    def running(self) -> list[tuple[int, str]]:
        """Node and name of the convolutions that run on some edge to a node that the output depends on."""
        return [
            (node, name)
            for node, edges in enumerate(self.places)
            for op, name in enumerate(DENSE_OPS[:2])
            if any(places[op] >= 0 and self.read[node + 1 + slot] for slot, places in enumerate(edges))
        ]

    @property
    def read(self) -> list[bool]:
        """For each node, whether the output depends on it."""
        read = [True]  # from the last node backwards
        for edges in reversed(self.places):
            read.insert(0, any(max(places) >= 0 and later for places, later in zip(edges, read, strict=True)))
        return read


def dense_cell(cell: DenseCell, x: Features, weights: Float[Tensor, "edges ops"]) -> Features:
    """The last node of a cell.

    Args:
        cell: its operations.
        x: the first node.
        weights: of every operation on every edge.
    """
    parameters = [cell.convolutions[node][name].weight for node, name in cell.running]
    output: Tensor = _DenseCell.apply(cell, weights, x, *parameters)
    return output


class _DenseCell(torch.autograd.Function):
    """`nasbench201.cpp`, with the tape between its two directions."""

    @staticmethod
    def forward(ctx: Any, cell: DenseCell, weights: Tensor, x: Tensor, *parameters: Tensor) -> Tensor:
        features = dense(x)
        kernel = _Call(cell, features, weights.contiguous(), {})
        tape, output = ALLOCATOR.empty([kernel.run(0)], x.dtype), _like(features)
        kernel.run(1, tape, output)
        ctx.save_for_backward(weights, x, tape, *parameters)
        ctx.cell = cell
        return output.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, x, tape, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, *differentiable(lambda w, x: ctx.cell.plain(x, w), [weights, x], parameters, gradient)
        features, of_x = dense(x), _like(x)
        spare = ALLOCATOR.empty([len(ctx.cell.places), *of_x.shape], x.dtype)
        of_weights = torch.zeros_like(weights, memory_format=torch.contiguous_format) if weights.requires_grad else None
        of_parameters = [torch.zeros_like(p, memory_format=torch.contiguous_format) for p in parameters]
        kernel = _Call(
            ctx.cell, features, weights.contiguous(), dict(zip(ctx.cell.running, of_parameters, strict=True))
        )
        kernel.run(-1, tape, None, dense(gradient), of_weights, of_x, spare)
        return None, of_weights, of_x.permute(0, 3, 1, 2), *of_parameters


class _Call:
    """The description that `nasbench201.cpp` reads; it keeps alive what the description points to."""

    def __init__(
        self, cell: DenseCell, x: Tensor, weights: Tensor, gradients: Mapping[tuple[int, str], Tensor]
    ) -> None:
        self._cell, self._x, self._weights = cell, x, weights
        self._kernel = compiled(x.dtype, x.shape[1], "nasbench201")
        self._nodes: list[int] = []
        for node, (edges, convolutions) in enumerate(zip(cell.places, cell.convolutions, strict=True)):
            self._nodes.append(int(cell.read[node + 1]))
            for name in DENSE_OPS[:2]:
                self._nodes += addresses([*convolutions[name], gradients.get((node, name))])
            self._nodes += [place for edge in edges for place in edge]

    def run(self, direction: int, *arrays: Tensor | None) -> int:
        """Only measure the tape (0), forward (1: tape, output), or backward.

        Backward (-1) takes the tape, None, gradients of output, weights (None: not wanted) and input, and spare room.
        """
        batch, _, height, width = self._x.shape
        header = [batch, height, width, len(self._cell.places), int(self._cell.training), threads_for(self._x.numel())]
        tape, *others = [*addresses(arrays), 0, 0, 0, 0, 0, 0][:6]
        header += [tape, *addresses([self._weights, self._x]), *others]
        return call(self._kernel, [*header, *self._nodes], direction)


def _like(x: Tensor) -> Float[Tensor, "batch height width channels"]:
    """Room for dense features of that size."""
    batch, channels, height, width = x.shape
    return ALLOCATOR.empty([batch, height, width, channels], x.dtype)
