"""The mixed cell as one differentiable function of its inputs, the operations' weights and its parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from zarts.errors import KernelError
from zarts.kernels.buffers import BUFFERS
from zarts.kernels.build import KERNELS, compiled
from zarts.kernels.calls import addresses, call, dense, threads_for

__all__ = ["Block", "Cell", "Step", "mixed_cell", "suits"]

_KINDS = {"skip": 0, "max_pool": 1, "avg_pool": 2, "reduce": 3, "blocks": 4}  # as in cell.cpp

Features = Float[Tensor, "batch channels height width"]


class Block(NamedTuple):
    """Statistics and parameters of a block for all its slots; a pool has only statistics.

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
            state that it enters, and the place of its weight.
        blocks: the blocks in turn; none for `skip`.
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
    """What there is to do.

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
    """Whether the native kernels of a skeleton can make a cell of so many channels from these features."""
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
        inputs = [dense(x) for x in tensors[:count]]
        batch, channels, height, width = inputs[0].shape
        call = _Call(cell, inputs, weights.contiguous())
        tape = BUFFERS.empty([call.run(0)], inputs[0].dtype)
        size = [-(-side // cell.stride) for side in (height, width)]
        states = tape[: cell.nodes * batch * size[0] * size[1] * channels].view(cell.nodes, batch, *size, channels)
        if initial is None:
            states.zero_()
        else:
            states.copy_(initial.view(batch, cell.nodes, channels, *size).permute(1, 0, 3, 4, 2))
        call.run(1, tape)
        ctx.save_for_backward(weights, initial, tape, *tensors)
        ctx.cell, ctx.count = cell, count
        output = BUFFERS.empty([batch, *size, cell.nodes, channels], tape.dtype).copy_(states.permute(1, 2, 3, 0, 4))
        return output.flatten(3).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        weights, initial, tape, *tensors = ctx.saved_tensors
        cell = ctx.cell
        inputs, parameters = tensors[: ctx.count], tensors[ctx.count :]
        if torch.is_grad_enabled():
            return None, *_differentiable(cell, weights, initial, inputs, parameters, gradient)
        batch, _, *size = gradient.shape
        inputs = [dense(x) for x in inputs]
        of_nodes = gradient.view(batch, cell.nodes, -1, *size).permute(1, 0, 3, 4, 2).contiguous()
        channels, *sides = inputs[0].shape[1:]
        of_inputs = BUFFERS.empty([len(inputs), batch, *sides, channels], tape.dtype).zero_()
        of_weights = torch.zeros_like(weights, memory_format=torch.contiguous_format)
        of_parameters = [torch.zeros_like(parameter, memory_format=torch.contiguous_format) for parameter in parameters]
        call = _Call(cell, inputs, weights.contiguous(), of_parameters)
        call.run(-1, tape, of_nodes, of_weights, of_inputs)
        of_initial = None if initial is None else of_nodes.permute(1, 0, 4, 2, 3).flatten(1, 2)
        return None, of_weights, of_initial, *of_inputs.permute(0, 1, 4, 2, 3), *of_parameters


def _differentiable(
    cell: Cell,
    weights: Tensor,
    initial: Tensor | None,
    inputs: Sequence[Tensor],
    parameters: Sequence[Tensor],
    gradient: Tensor,
) -> list[Tensor | None]:
    """The gradients as torch's own, which have a derivative."""
    # Aliases, for one of them may depend on another outside of this function.
    weights, inputs = weights.view_as(weights), [x.view_as(x) for x in inputs]
    initial = None if initial is None else initial.view_as(initial)
    tensors = (weights, initial, *inputs, *parameters)
    wanted = [t for t in tensors if t is not None and t.requires_grad]
    found = iter(torch.autograd.grad(cell.plain(inputs, initial, weights), wanted, gradient, create_graph=True))
    return [next(found) if t is not None and t.requires_grad else None for t in tensors]


class _Call:
    """The description that `cell.cpp` reads; what it points to lives as long as this."""

    def __init__(
        self, cell: Cell, inputs: Sequence[Tensor], weights: Tensor, gradients: Sequence[Tensor] | None = None
    ) -> None:
        self._cell, self._inputs, self._weights = cell, inputs, weights
        self._kernel = compiled(weights.dtype, inputs[0].shape[1])
        found = iter(
            [0] * sum(len(step.parameters) for step in cell.steps) if gradients is None else addresses(gradients)
        )
        self._steps = [len(cell.steps)]
        for step in cell.steps:
            self._steps += [_KINDS[step.kind], step.slots.shape[1], step.slots.data_ptr(), len(step.blocks)]
            for block in step.blocks:
                own = addresses(block.weights) or [0, 0]
                kernel = block.weights[0].shape[-1] if block.weights else 3
                gradients_ = [next(found) for _ in block.weights] or [0, 0]
                self._steps += [kernel, block.dilation, *own, *addresses([block.mean, block.var]), *gradients_]

    def run(self, direction: int, *arrays: Tensor) -> int:
        """Only measure the tape (0), forward (1: tape), or backward (-1: tape; gradients of nodes, weights, inputs)."""
        batch, channels, height, width = self._inputs[0].shape
        sides = -(-height // self._cell.stride) * -(-width // self._cell.stride)
        threads = threads_for(batch * channels * sides)
        tape, *gradients = [*addresses(arrays), 0, 0, 0, 0][:4]
        header = [batch, height, width, self._cell.stride, len(self._inputs), self._cell.nodes]
        header += [int(self._cell.training), threads, tape, self._weights.data_ptr(), *gradients]
        header += addresses(self._inputs)
        return call(self._kernel, [*header, *self._steps], direction)
