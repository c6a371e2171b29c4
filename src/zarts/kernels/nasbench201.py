"""The mixed cell of NAS-Bench-201 as one differentiable function of its input, the weights and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from ctypes import c_int64
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.kernels.build import compiled
from zarts.kernels.calls import threads_for

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
    """What there is to do.

    Args:
        places: for each node that edges leave, edge after edge, the places of the weights of `DENSE_OPS` among all;
            -1: does not run.
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
        """Of each node, whether the output depends on it."""
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
        dense = x.contiguous(memory_format=torch.channels_last)
        output = torch.empty_like(dense)
        call = _Call(cell, dense, weights.contiguous(), {})
        tape = dense.new_empty(call.run(0))
        call.run(1, tape, output)
        ctx.save_for_backward(weights, x, tape, *parameters)
        ctx.cell = cell
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, x, tape, *parameters = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, *_differentiable(ctx.cell, weights, x, parameters, gradient)
        dense, gradient = (t.contiguous(memory_format=torch.channels_last) for t in (x, gradient))
        of_x = torch.empty_like(dense)
        of_weights = torch.zeros_like(weights, memory_format=torch.contiguous_format) if weights.requires_grad else None
        of_parameters = [torch.zeros_like(p, memory_format=torch.contiguous_format) for p in parameters]
        call = _Call(ctx.cell, dense, weights.contiguous(), dict(zip(ctx.cell.running, of_parameters, strict=True)))
        call.run(-1, tape, None, gradient, of_weights, of_x)
        return None, of_weights, of_x, *of_parameters


def _differentiable(
    cell: DenseCell, weights: Tensor, x: Tensor, parameters: Sequence[Tensor], gradient: Tensor
) -> list[Tensor | None]:
    """The gradients as torch's own, which have a derivative."""
    weights, x = weights.view_as(weights), x.view_as(x)  # one may depend on the other outside of this function
    tensors = (weights, x, *parameters)
    wanted = [t for t in tensors if t.requires_grad]
    found = iter(torch.autograd.grad(cell.plain(x, weights), wanted, gradient, create_graph=True))
    return [next(found) if t.requires_grad else None for t in tensors]


class _Call:
    """The description that `nasbench201.cpp` reads; what it points to lives as long as this."""

    def __init__(
        self, cell: DenseCell, x: Tensor, weights: Tensor, gradients: Mapping[tuple[int, str], Tensor]
    ) -> None:
        self._cell, self._x, self._weights = cell, x, weights
        self._kernel = compiled(x.dtype, x.shape[1], "nasbench201")
        self._nodes: list[int] = []
        for node, (edges, convolutions) in enumerate(zip(cell.places, cell.convolutions, strict=True)):
            self._nodes.append(int(cell.read[node + 1]))
            for name in DENSE_OPS[:2]:
                self._nodes += [*map(_address, convolutions[name]), _address(gradients.get((node, name)))]
            self._nodes += [place for edge in edges for place in edge]

    def run(self, direction: int, *arrays: Tensor | None) -> int:
        """Only measure the tape (0), forward (1: tape, output), or backward.

        Backward (-1) takes the tape, None, and the gradients of output, weights (None: not wanted) and input.
        """
        batch, _, height, width = self._x.shape
        header = [batch, height, width, len(self._cell.places), int(self._cell.training), threads_for(self._x.numel())]
        tape, output, *gradients = [*map(_address, arrays), 0, 0, 0, 0, 0][:5]
        header += [tape, _address(self._weights), _address(self._x), output, *gradients]
        values = [*header, *self._nodes]
        return self._kernel((c_int64 * len(values))(*values), direction)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
