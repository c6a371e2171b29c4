"""All operations on a group of edges, computed together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from zarts.kernels import Block, Step
from zarts.networks import build_operation
from zarts.supernet.active_ops import Group, Route
from zarts.supernet.batched_ops import (
    EPSILON,
    MOMENTUM,
    StackedBlock,
    StackedReduce,
    StackedSeparable,
    expand_blocks,
    per_pixel,
)
from zarts.supernet.drop import DrawnDrop
from zarts.supernet.merged_ops import StackedMerged

__all__ = ["TOGETHER", "EdgeGroup"]

Sources = Float[Tensor, "batch sources_channels height width"]
Sums = Float[Tensor, "batch targets_channels out_height out_width"]

_CONVOLUTIONS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "sep_conv_3x3": lambda slots, channels, stride: StackedSeparable(slots, channels, 3, stride),
    "sep_conv_5x5": lambda slots, channels, stride: StackedSeparable(slots, channels, 5, stride),
    "dil_conv_3x3": lambda slots, channels, stride: StackedBlock(slots, channels, 3, stride, 2),
    "dil_conv_5x5": lambda slots, channels, stride: StackedBlock(slots, channels, 5, stride, 2),
}


TOGETHER = frozenset({*_CONVOLUTIONS, "max_pool_3x3", "avg_pool_3x3", "skip_connect", "none", "noise"})
"""Operations whose slots are computed together."""


class SeparateSlots(nn.Module):
    """An operation without a batched form, such as a user-defined one: a module for each slot.

    Args:
        name: a key of `zarts.networks.OPERATIONS`.
        slots: number of slots.
        channels: channels C of a node.
        stride: 1 or 2.
    """

    def __init__(self, name: str, slots: int, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.slots = nn.ModuleList(build_operation(name, channels, stride, affine=False) for _ in range(slots))

    def forward(self, x: Sources, route: Route, sums: Sums | None, drop: DrawnDrop | None = None) -> Sums:
        """The targets' sums plus the weighted outputs."""
        parts = x.chunk(x.shape[1] // self.channels, dim=1)
        running = range(len(self.slots)) if route.chosen is None else route.chosen.tolist()
        outputs = [
            weight * self.slots[slot](parts[source])
            for slot, source, weight in zip(running, route.sources, route.weight.unbind(), strict=True)
        ]
        y = torch.cat(outputs, dim=1)
        y = y if drop is None else drop.paths(y, route.edges, self.channels)
        return per_pixel(y, expand_blocks(route.target, self.channels), sums)


class SharedPool(nn.Module):
    """A pool and its batch norm: computed once for each source, whatever the number of slots that read it.

    Each slot has its own running statistics, because it may run when others do not.

    Args:
        slots: number of slots.
        channels: channels C of a node.
        stride: 1 or 2.
        average: average pool or max pool.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, slots: int, channels: int, stride: int, average: bool) -> None:
        super().__init__()
        self.channels, self.stride, self.average = channels, stride, average
        self.register_buffer("mean", torch.zeros(slots, channels))
        self.register_buffer("var", torch.ones(slots, channels))

    def forward(self, x: Sources, route: Route, sums: Sums | None, drop: DrawnDrop | None = None) -> Sums:
        """The targets' sums plus the weighted pools of the sources."""
        if self.average:
            pooled = functional.avg_pool2d(x, 3, self.stride, padding=1, count_include_pad=False)
        else:
            pooled = functional.max_pool2d(x, 3, self.stride, padding=1)
        chosen = slice(None) if route.chosen is None else route.chosen
        if not self.training:
            return self._test(pooled, route, chosen, sums)
        return self._train(pooled, route, chosen, sums, drop)

    def _train(
        self,
        pooled: Tensor,
        route: Route,
        chosen: slice | Tensor,
        sums: Tensor | None,
        drop: DrawnDrop | None,
    ) -> Tensor:
        mean, var = (self.mean.new_zeros(pooled.shape[1]) for _ in range(2))
        normal = functional.batch_norm(pooled, mean, var, training=True, momentum=1.0)  # sets them to the batch's
        for running, batch in ((self.mean, mean), (self.var, var)):
            running[chosen] = running[chosen].lerp(batch.view(-1, self.channels)[list(route.sources)], MOMENTUM)
        if drop is None or drop.kept is None:
            return per_pixel(normal, expand_blocks(route.mix, self.channels), sums)
        y = drop.paths(_repeat(normal, route.sources, self.channels), route.edges, self.channels)
        return per_pixel(y, expand_blocks(route.weight[:, None] * route.target, self.channels), sums)

    def _test(self, pooled: Tensor, route: Route, chosen: slice | Tensor, sums: Tensor | None) -> Tensor:
        scale = route.weight[:, None] * (self.var[chosen] + EPSILON).rsqrt()
        shift = torch.einsum("st,sc->tc", route.target, -self.mean[chosen] * scale).flatten()
        identity = torch.eye(self.channels, dtype=pooled.dtype, device=pooled.device)
        matrix = torch.einsum("sr,st,sc,cd->rctd", route.owner, route.target, scale, identity)
        return per_pixel(pooled, matrix.reshape(pooled.shape[1], -1), sums) + shift[:, None, None]


class EdgeGroup(nn.Module):
    """All operations on the edges of one group.

    Args:
        group: the edges.
        channels: channels C of a node.
        stride: stride of the edges.
    """

    def __init__(self, group: Group, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride
        self.ops = nn.ModuleDict()
        for name, places in group.places.items():
            slots = len(places)
            if name in _CONVOLUTIONS:
                self.ops[name] = _CONVOLUTIONS[name](slots, channels, stride)
            elif name in ("max_pool_3x3", "avg_pool_3x3"):
                self.ops[name] = SharedPool(slots, channels, stride, average=name.startswith("avg"))
            elif name == "skip_connect" and stride == 2:
                self.ops[name] = StackedReduce(slots, channels)
            elif places[0].merges:
                self.ops[name] = StackedMerged(places, channels, stride)
            elif name not in TOGETHER:
                self.ops[name] = SeparateSlots(name, slots, channels, stride)
        self._blocks = {  # stored: the walk over the modules takes milliseconds
            name: [module for module in op.modules() if isinstance(module, StackedBlock)]
            for name, op in self.ops.items()
        }

    def kernels(self, weights: Float[Tensor, "edges ops"]) -> dict[str, Tensor]:
        """The kernels of the merged operations, which depend on the weights."""
        return {name: op.kernel(weights) for name, op in self.ops.items() if isinstance(op, StackedMerged)}

    def forward(
        self,
        x: Sources,
        routes: Mapping[str, Route],
        sums: Sums | None,
        kernels: Mapping[str, Tensor],
        drop: DrawnDrop | None = None,
    ) -> Sums | None:
        """The targets' sums plus what these edges give them.

        Args:
            x: the group's sources, side by side.
            routes: the operations that run.
            sums: the targets' sums so far, side by side; None are empty sums.
            kernels: see `kernels`.
            drop: what is dropped; None: nothing.
        """
        rectified = torch.relu(x)
        inputs: dict[tuple[int, ...], Tensor] = {}
        for name, route in routes.items():
            if name == "skip_connect" and self.stride == 1:
                sums = self._skip(x, route, sums, drop)
                continue
            op = self.ops[name]
            if isinstance(op, SharedPool | SeparateSlots):
                sums = op(x, route, sums, drop)
                continue
            if isinstance(op, StackedReduce):
                y = op(rectified, route.owner, route.chosen, route.weight)
            else:
                if route.sources not in inputs:
                    inputs[route.sources] = _repeat(rectified, route.sources, self.channels)
                y = op(inputs[route.sources], route.chosen, kernels.get(name, route.weight))
            y = y if drop is None else drop.paths(y, route.edges, self.channels)
            sums = per_pixel(y, expand_blocks(route.target, self.channels), sums)
        return sums

    def _skip(self, x: Sources, route: Route, sums: Sums | None, drop: DrawnDrop | None) -> Sums:
        """Identities are the same for all targets, unless each of them is dropped by itself."""
        if drop is None:
            return per_pixel(x, expand_blocks(route.mix, self.channels), sums)
        y = drop.identities(_repeat(x, route.sources, self.channels), route.edges, self.channels)
        return per_pixel(y, expand_blocks(route.weight[:, None] * route.target, self.channels), sums)

    def step(self, name: str, slots: Int[Tensor, "4 slots"], kernels: Mapping[str, Tensor]) -> Step:
        """One operation as the native kernels take it.

        Args:
            name: the operation.
            slots: its running slots, see `Running.slots`.
            kernels: see `kernels`.
        """
        if name not in self.ops:
            return Step("skip", slots)
        op = self.ops[name]
        if isinstance(op, SharedPool):
            return Step("avg_pool" if op.average else "max_pool", slots, (Block(op.mean, op.var),))
        if isinstance(op, StackedReduce):
            return Step("reduce", slots, (Block(op.norm.mean, op.norm.var, (op.even, op.odd)),))
        if isinstance(op, StackedMerged):
            return Step("blocks", slots, (op.native(kernels[name]),))
        return Step("blocks", slots, tuple(block.native() for block in self._blocks[name]))


def _repeat(x: Sources, sources: tuple[int, ...], channels: int) -> Float[Tensor, "batch slots_channels height width"]:
    """The source of each slot, side by side."""
    count = x.shape[1] // channels
    if sources == tuple(range(count)):
        return x
    if sources == tuple(range(count)) * (len(sources) // count):
        return x.permute(0, 2, 3, 1).repeat(1, 1, 1, len(sources) // count).permute(0, 3, 1, 2)  # keeps channels_last
    parts = x.chunk(count, dim=1)
    return torch.cat([parts[source] for source in sources], dim=1)
