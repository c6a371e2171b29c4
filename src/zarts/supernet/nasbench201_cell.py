"""The cell of NAS-Bench-201's supernet: all operations on all edges, grouped by the node that the edges leave.

Source: Dong and Yang, NAS-Bench-201 (ICLR 2020), section 2.1 and the search networks of its released code.
Differs: the released convolutions have biases, which the batch norms behind them cancel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from zarts.kernels import DENSE_OPS, Convolutions, DenseCell, dense_cell, suits
from zarts.networks.nasbench201 import KERNELS
from zarts.spaces import Space
from zarts.supernet.batched_ops import StackedNorm, pick, unchanged_statistics
from zarts.supernet.drop import DrawnDrop, Drop

__all__ = ["DenseMixedCell", "Mixture"]

Features = Float[Tensor, "batch channels height width"]
Totals = list[Tensor | None]
Weights = Float[Tensor, "edges ops"]


class Mixture:
    """The weights of all operations, and which of them run.

    Args:
        space: the candidates, the same on each edge.
        weights: of every operation on every edge. Where they do not require a gradient, those of weight 0 do not run.
        left: whether each of them may run at all; None: all may. The others have weight 0.
    """

    def __init__(self, space: Space, weights: Weights, left: list[list[bool]] | None = None) -> None:
        self.weights, self.left = weights, left
        self._names = space.candidates["normal"][0]
        every = left or [[True] * len(row) for row in weights]
        self._runs = every if weights.requires_grad else (weights != 0).tolist()
        self._edges = [[e for e, (_, start) in enumerate(space.edges) if start == node] for node in range(space.nodes)]

    @cached_property
    def places(self) -> list[tuple[tuple[int, ...], ...]]:
        """For the native kernels: by source node, edge and operation, the index of a weight that runs, else -1."""
        ops = [self._names.index(name) for name in DENSE_OPS]
        return [tuple(tuple(self._place(edge, op) for op in ops) for edge in edges) for edges in self._edges]

    def _place(self, edge: int, op: int) -> int:
        return edge * len(self._names) + op if self._runs[edge][op] else -1

    @cached_property
    def running(self) -> list[dict[str, Outgoing]]:
        """For torch's operations: by source node, the operations that run on its edges."""
        return [
            {name: one for op, name in enumerate(self._names) if name != "none" and (one := self._running(edges, op))}
            for edges in self._edges
        ]

    def prepare(self) -> None:
        """Make what cells share now; else the first cell makes it, which a cell that runs twice must not do."""
        _ = self.running

    def _running(self, edges: list[int], op: int) -> Outgoing | None:
        slots = tuple(slot for slot, edge in enumerate(edges) if self._runs[edge][op])
        if not slots:
            return None
        chosen = None if len(slots) == len(edges) else torch.tensor(slots, device=self.weights.device)
        here = tuple(edges[slot] for slot in slots)
        return Outgoing(slots, here, chosen, self.weights[list(here), op])


@dataclass(frozen=True)
class Outgoing:
    """Where one operation runs among the edges that leave one node.

    Args:
        slots: those edges, s of them, by position.
        edges: the same, by row of alpha.
        chosen: the same as a tensor; None if they are all.
        weight: weight of each.
    """

    slots: tuple[int, ...]
    edges: tuple[int, ...]
    chosen: Int[Tensor, " s"] | None
    weight: Float[Tensor, " s"]


class StackedConvolutions(nn.Module):
    """Convolutions of one source for several targets, each with a batch norm whose scale is the operation's weight.

    Args:
        slots: number of targets.
        channels: channels of a node.
        kernel: k.
    """

    def __init__(self, slots: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Conv2d(channels, slots * channels, kernel, bias=False).weight
        self.norm = StackedNorm(slots, channels)

    def forward(self, rectified: Features, running: Outgoing) -> Float[Tensor, "batch s_channels height width"]:
        """The weighted outputs for the running targets, side by side."""
        weight = pick(self.weight, rectified.shape[1], running.chosen)
        y = functional.conv2d(rectified, weight, padding=weight.shape[-1] // 2)
        output: Tensor = self.norm(y, running.chosen, running.weight)
        return output


class OutgoingEdges(nn.Module):
    """All operations on the edges that leave one node: they share its ReLU, its average pool and its convolutions."""

    def __init__(self, slots: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.convolutions = nn.ModuleDict(
            {name: StackedConvolutions(slots, channels, kernel) for name, kernel in KERNELS.items()}
        )

    def forward(
        self, x: Features, running: Mapping[str, Outgoing], totals: Totals, drop: DrawnDrop | None = None
    ) -> Totals:
        """The targets' totals plus what these edges give them; None is an empty total."""
        totals = list(totals)
        for slots, outputs in self._convolve(x, running, drop).items():
            for slot, part in zip(slots, torch.split(outputs, self.channels, dim=1), strict=True):
                total = totals[slot]
                totals[slot] = part if total is None else total + part
        for name in [name for name in ("skip_connect", "avg_pool_3x3") if name in running]:
            y = x if name == "skip_connect" else _average_pool(x)
            here = running[name]
            for slot, edge, weight in zip(here.slots, here.edges, here.weight.unbind(), strict=True):
                total, part = totals[slot], y
                if drop is not None:
                    change = drop.identities if name == "skip_connect" else drop.paths
                    part = change(y, (edge,), self.channels)
                totals[slot] = weight * part if total is None else torch.addcmul(total, weight, part)
        return totals

    def native(self) -> dict[str, Convolutions]:
        """The convolutions' tensors, as the native kernels take them."""
        stacks = {name: cast(StackedConvolutions, stack) for name, stack in self.convolutions.items()}
        return {name: Convolutions(s.weight, s.norm.mean, s.norm.var) for name, s in stacks.items()}

    def _convolve(
        self, x: Features, running: Mapping[str, Outgoing], drop: DrawnDrop | None
    ) -> dict[tuple[int, ...], Tensor]:
        """The sums of the convolutions that run for the same targets."""
        names = [name for name in self.convolutions if name in running]
        rectified = torch.relu(x) if names else x
        sums: dict[tuple[int, ...], Tensor] = {}
        for name in names:
            y, slots = self.convolutions[name](rectified, running[name]), running[name].slots
            y = y if drop is None else drop.paths(y, running[name].edges, self.channels)
            sums[slots] = sums[slots] + y if slots in sums else y
        return sums


class DenseMixedCell(nn.Module):
    """A cell with all operations on all edges, by the node that the edges leave; its output is its last node."""

    def __init__(self, space: Space, channels: int, native: bool, drop: Drop) -> None:
        super().__init__()
        self.space, self.native, self.drop = space, native, drop
        self.nodes = nn.ModuleList(OutgoingEdges(slots, channels) for slots in range(space.nodes, 0, -1))

    def forward(self, x: Features, mixture: Mixture) -> Features:
        """The last node."""
        drop = self.drop.draw(self, x, len(mixture.weights))
        if drop is not None or not (self.native and suits(x, x.shape[1], mixture.weights, "nasbench201")):
            return self._last(x, mixture.running, drop)
        convolutions = [cast(OutgoingEdges, node).native() for node in self.nodes]
        cell = DenseCell(mixture.places, convolutions, self.training, partial(self._plain, mixture.left))
        return dense_cell(cell, x, mixture.weights)

    def _plain(self, left: list[list[bool]] | None, x: Features, weights: Weights) -> Features:
        """The native kernels' function in torch's operations; running statistics stay as they are."""
        with unchanged_statistics(self):
            return self._last(x, Mixture(self.space, weights, left).running)

    def _last(self, x: Features, running: list[dict[str, Outgoing]], drop: DrawnDrop | None = None) -> Features:
        """The last node, in torch's operations."""
        totals: Totals = [None] * len(self.nodes)
        for edges, ops in zip(self.nodes, running, strict=True):
            node, *totals = edges(x, ops, totals, drop)
            x = torch.zeros_like(x) if node is None else node
        return x


def _average_pool(x: Features) -> Features:
    """Mean over 3×3 pixels, those outside left out: a depthwise convolution, 3 times faster than torch's pool."""
    channels, height, width = x.shape[1:]
    share = functional.avg_pool2d(x.new_ones(1, 1, height, width), 3, 1, 1)  # of the 3×3 pixels, those inside
    return functional.conv2d(x, x.new_full((channels, 1, 3, 3), 1 / 9), padding=1, groups=channels) / share
