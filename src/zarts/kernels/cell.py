"""The mixed cell as one differentiable function of its inputs, the operations' weights and its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zarts.errors import KernelError
from zarts.kernels.allocator import ALLOCATOR
from zarts.kernels.bindings import addresses, call, dense, differentiable, threads_for
from zarts.kernels.build import KERNELS, compiled

__all__ = ["Block", "Cell", "Step", "mixed_cell", "suits"]

_KINDS = {"skip": 0, "max_pool": 1, "avg_pool": 2, "reduce": 3, "blocks": 4}  # as in cell.cpp

Features = Float[Tensor, "batch channels height width"]


class Block(NamedTuple):
    """Statistics and parameters of a block for all its slots; a pool has statistics only.

    Args:
        mean: running mean, `(slots, channels)`.
        var: running variance, `(slots, channels)`.
        weights: depthwise `(slots·channels, 1, k, k)` and pointwise `(slots·channels, channels, 1, 1)`; of a skip of
            stride 2 those of the even and of the odd pixels, each `(slots·channels/2, channels, 1, 1)`.
        dilation: 1 or 2.
    """

    mean: Tensor
    var: Tensor
    weights: tuple[Tensor, ...] = ()
    dilation: int = 1


class Step(NamedTuple):
    """One operation on all its running edges, its slots.

    Args:
        kind: `skip`, `max_pool`, `avg_pool`, `reduce` (the skip of stride 2) or `blocks`.
        slots: for each slot its row in the blocks' tensors, the state that it reads (inputs first, then nodes), the
            state that it enters, and the position of its weight.
        blocks: the blocks, one after the other; none for `skip`.
    """

    kind: str
    slots: Int[Tensor, "4 slots"]
    blocks: tuple[Block, ...] = ()

    @property
    def parameters(self) -> list[Tensor]:
        """The weights, block by block."""
        return [weight for block in self.blocks for weight in block.weights]


@dataclass(frozen=True)
class Cell:
    """The description of a mixed cell.

    Args:
        steps: the running operations.
        nodes: number of nodes.
        stride: of the edges that leave the inputs.
        training: batch statistics, or running ones.
        plain: the same function in torch's operations, of the inputs, the initial sums and the weights; it stands in
            where a derivative of the gradient is asked for.
    """

    steps: Sequence[Step]
    nodes: int
    stride: int
    training: bool
    plain: Callable[[Sequence[Tensor], Tensor | None, Tensor], Tensor]


def suits(x: Tensor, channels: int, weights: Tensor, skeleton: str = "darts") -> bool:
    """Whether the native kernels of a skeleton can compute a cell of that many channels from these features."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and x.dtype == weights.dtype
        and channels % 4 == 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and _available(x.dtype, channels, skeleton)
    )


@lru_cache(maxsize=64)
def _available(dtype: torch.dtype, channels: int, skeleton: str) -> bool:
    try:
        for name in KERNELS[skeleton]:
            compiled(dtype, channels, name)
    except KernelError:
        return False
    return True


def mixed_cell(
    cell: Cell,
    inputs: Sequence[Features],
    initial: Float[Tensor, "batch nodes_channels out_height out_width"] | None,
    weights: Float[Tensor, "edges ops"],
) -> Float[Tensor, "batch nodes_channels out_height out_width"]:
    """The nodes of a cell, side by side.

    Args:
        cell: its operations.
        inputs: the states that they start from.
        initial: what the sums of the nodes start from; None: zeros.
        weights: of every operation on every edge.
    """
    parameters = [parameter for step in cell.steps for parameter in step.parameters]
    output: Tensor = _MixedCell.apply(cell, weights, initial, *inputs, *parameters)
    return output


class _MixedCell(torch.autograd.Function):
    """`cell.cpp`, with the tape between its two directions."""

    @staticmethod
    def forward(ctx: Any, cell: Cell, weights: Tensor, initial: Tensor | None, *tensors: Tensor) -> Tensor:
        count = len(tensors) - sum(len(step.parameters) for step in cell.steps)
        call = _Call(cell, tensors[:count], weights, initial is not None)
        tape = ALLOCATOR.empty([call.run(0)], weights.dtype)
        if initial is not None:
            call.by_node(tape).copy_(_by_node(initial, cell.nodes))
        batch, channels, *size = call.node
        output = ALLOCATOR.empty([batch, *size, cell.nodes * channels], weights.dtype)
        call.run(1, tape=tape, output=output)
        ctx.save_for_backward(weights, initial, tape, *tensors)
        ctx.cell, ctx.count = cell, count
        return output.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, initial, tape, *tensors = ctx.saved_tensors
        cell: Cell = ctx.cell
        inputs, parameters = tensors[: ctx.count], tensors[ctx.count :]
        if torch.is_grad_enabled():

            def plain(weights: Tensor, initial: Tensor | None, *inputs: Tensor) -> Tensor:
                return cell.plain(inputs, initial, weights)

            return None, *differentiable(plain, [weights, initial, *inputs], parameters, gradient)
        of_weights, *of_parameters = (
            torch.zeros_like(tensor, memory_format=torch.contiguous_format) if wanted else None
            for tensor, wanted in zip([weights, *parameters], _wanted(ctx), strict=True)
        )
        call = _Call(cell, inputs, weights, initial is not None, of_parameters)
        batch, channels, *size = call.node
        of_nodes = ALLOCATOR.empty([cell.nodes, batch, *size, channels], tape.dtype)
        of_inputs = ALLOCATOR.empty([len(inputs), *call.inputs[0].permute(0, 2, 3, 1).shape], tape.dtype).zero_()
        scratch = ALLOCATOR.empty([2, batch, *size, channels], tape.dtype)
        call.run(-1, tape, dense(gradient), scratch, of_nodes, of_weights, of_inputs)
        of_initial = None if initial is None else of_nodes.permute(1, 0, 4, 2, 3).flatten(1, 2)
        return None, of_weights, of_initial, *of_inputs.permute(0, 1, 4, 2, 3), *of_parameters


def _wanted(ctx: Any) -> list[bool]:
    """Whether the gradient of the operations' weights is asked for, and those of the parameters."""
    _, weights, _, *tensors = ctx.needs_input_grad
    return [weights, *tensors[ctx.count :]]


def _by_node(nodes: Tensor, count: int) -> Tensor:
    """(node, batch, height, width, channels), of nodes side by side."""
    batch, _, *size = nodes.shape
    return nodes.view(batch, count, -1, *size).permute(1, 0, 3, 4, 2)


class _Call:
    """The description that `cell.cpp` reads; it keeps alive what the description points to.

    Args:
        cell: its operations.
        inputs: the states that they start from.
        weights: of every operation on every edge.
        initial: whether the nodes on the tape have initial values.
        gradients: for those of the parameters; None for one that is not wanted.
    """

    def __init__(
        self,
        cell: Cell,
        inputs: Sequence[Tensor],
        weights: Tensor,
        initial: bool,
        gradients: Sequence[Tensor | None] | None = None,
    ) -> None:
        self.inputs, self._weights = [dense(x) for x in inputs], weights.contiguous()
        batch, channels, height, width = inputs[0].shape
        self.node = [batch, channels, *(-(-side // cell.stride) for side in (height, width))]
        self._size = math.prod(self.node)
        self._kernel = compiled(weights.dtype, channels)
        self._header = [batch, height, width, cell.stride, len(inputs), cell.nodes]
        self._header += [int(cell.training), threads_for(self._size), int(initial)]
        self._steps = _describe(cell.steps, gradients)

    def run(
        self,
        direction: int,
        tape: Tensor | None = None,
        output: Tensor | None = None,
        scratch: Tensor | None = None,
        of_nodes: Tensor | None = None,
        of_weights: Tensor | None = None,
        of_inputs: Tensor | None = None,
    ) -> int:
        """Only measure the tape (0); forward (1); or backward (-1), with the output's gradient for the output."""
        arrays = [tape, scratch, self._weights, output, of_nodes, of_weights, of_inputs, *self.inputs]
        return call(self._kernel, [*self._header, *addresses(arrays), *self._steps], direction)

    def by_node(self, tape: Tensor) -> Float[Tensor, "nodes batch height width channels"]:
        """The nodes on the tape."""
        batch, channels, height, width = self.node
        nodes = self._header[5]
        return tape[: nodes * self._size].view(nodes, batch, height, width, channels)


def _describe(steps: Sequence[Step], gradients: Sequence[Tensor | None] | None) -> list[int]:
    """The steps, see `cell.cpp`."""
    count = sum(len(step.parameters) for step in steps)
    found = iter(addresses([None] * count if gradients is None else gradients))
    numbers = [len(steps)]
    for step in steps:
        numbers += [_KINDS[step.kind], step.slots.shape[1], step.slots.data_ptr(), len(step.blocks)]
        for block in step.blocks:
            kernel = block.weights[0].shape[-1] if block.weights else 3
            own = block.weights or (None, None)
            of_own = [next(found) for _ in block.weights] or [0, 0]
            numbers += [kernel, block.dilation, *addresses([*own, block.mean, block.var]), *of_own]
    return numbers
