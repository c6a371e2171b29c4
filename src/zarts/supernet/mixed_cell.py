"""The cell of a supernet: every edge with the operations that run, by a native kernel where it suits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.kernels import Cell, Projection, Step, mixed_cell, project, suits
from zarts.networks.macro import CellPlan, Preprocess
from zarts.networks.memory_format import dense_gradient
from zarts.networks.operations import FactorizedReduce, Noise, PointwiseBlock
from zarts.spaces import Space
from zarts.supernet.active_ops import Group, Running
from zarts.supernet.batched_ops import unchanged_statistics
from zarts.supernet.drop import DrawnDrop, Drop
from zarts.supernet.edge_ops import TOGETHER, EdgeGroup
from zarts.supernet.partial_channels import bypass, seen_channels, shuffle

__all__ = ["MixedCell"]

Features = Float[Tensor, "batch channels height width"]
Nodes = Float[Tensor, "batch nodes_channels out_height out_width"]
Sums = Float[Tensor, "batch sums_channels out_height out_width"] | None
"""Sums of the nodes, of the channels that operations see."""
Kernels = Sequence[Mapping[str, Tensor]]
"""Kernels of the merged operations of each group."""


class _Work(NamedTuple):
    """The operations, kernels and dropping of a pass through a cell.

    Args:
        running: the operations that run, with their weights.
        kernels: of each group, see `EdgeGroup.kernels`.
        drop: what is dropped; None: nothing.
    """

    running: Running
    kernels: Kernels
    drop: DrawnDrop | None

    def at(self, groups: list[Group], weights: Tensor) -> _Work:
        """The same operations at other weights."""
        return _Work(Running(groups, weights, self.running.left), self.kernels, self.drop)


class MixedCell(nn.Module):
    """A cell with all its edges; its output is the concatenation of its intermediate nodes.

    The edges are computed in groups: those that leave the two inputs, then those that leave the first node, and so on.

    Args:
        space: the candidates.
        plan: widths and stride of this cell.
        layout: the groups of its edges.
        generator: source of the `noise` operation; None is torch's default.
        native: use the native kernels where they suit.
        parts: K, see `SuperNet`.
        drop: what is dropped while weights train.
    """

    def __init__(
        self,
        space: Space,
        plan: CellPlan,
        layout: list[Group],
        generator: torch.Generator | None,
        native: bool,
        parts: int,
        drop: Drop,
    ) -> None:
        super().__init__()
        self.drop = drop
        self.native = native and set(space.operations) <= TOGETHER
        self.inputs, self.nodes, self.parts = space.inputs, space.nodes, parts
        self.channels = seen_channels(plan.channels, parts)
        """Channels that operations see."""
        self.rest = plan.channels - self.channels
        self.preprocess = Preprocess(plan, affine=False)
        self.stride = plan.stride(0)
        self.layout = layout
        self.groups = nn.ModuleList(
            EdgeGroup(group, self.channels, self._stride(index)) for index, group in enumerate(self.layout)
        )
        self.noise = Noise(1, generator)

    def forward(
        self,
        before: Float[Tensor, "batch c0 h0 w0"],
        previous: Float[Tensor, "batch c1 h1 w1"],
        running: Running,
    ) -> Float[Tensor, "batch channels height width"]:
        """Output of the cell.

        Args:
            before: output of the cell before the previous one.
            previous: output of the previous cell.
            running: the operations that run, with their weights.
        """
        drop = self.drop.draw(self, previous, len(running.weights))
        native = self.native and drop is None and suits(previous, self.channels, running.weights)
        if native:
            parts = (self.preprocess.before, self.preprocess.previous)
            inputs = [_project(part, x) for part, x in zip(parts, (before, previous), strict=True)]
        else:
            inputs = [dense_gradient(state) for state in self.preprocess(before, previous)]
        sums = self._noise(self._zeros(inputs[0], self.stride), running.noise, drop) if running.noise else None
        kernels = [cast(EdgeGroup, group).kernels(running.weights) for group in self.groups]
        work = _Work(running, kernels, drop)
        if self.rest:
            return self._partial(inputs, sums, work, native)
        if not native:
            return self._nodes(inputs, sums, work)
        steps = [step for index in range(len(self.groups)) for step in self._steps(index, work)]
        cell = Cell(steps, self.nodes, self.stride, self.training, partial(self._plain, work))
        return mixed_cell(cell, inputs, sums, running.weights)

    def _plain(self, work: _Work, inputs: Sequence[Features], sums: Sums, weights: Tensor) -> Nodes:
        """The native kernels' function in torch's operations; running statistics stay as they are."""
        with unchanged_statistics(self.groups):
            return self._nodes(inputs, sums, work.at(self.layout, weights))

    def _nodes(self, inputs: Sequence[Features], sums: Sums, work: _Work) -> Nodes:
        """The nodes side by side, in torch's operations."""
        x = torch.cat(list(inputs), dim=1)
        nodes: list[Tensor] = []
        for index in range(len(self.groups)):
            x, sums = _first(self._group(index, x, sums, work), self.channels)
            nodes.append(x)
        return torch.cat(nodes, dim=1)

    def _group(
        self, index: int, x: Features, sums: Sums, work: _Work
    ) -> Float[Tensor, "batch targets_channels out_height out_width"]:
        """The sums of the nodes behind a group with what its edges give them, in torch's operations."""
        running, kernels, drop = work
        routes = {name: running.route(index, name) for name in running.names(index)}
        found: Tensor | None = self.groups[index](x, routes, sums, kernels[index], drop)
        return (
            torch.cat([self._zeros(x, self._stride(index))] * (self.nodes - index), dim=1) if found is None else found
        )

    def _partial(self, states: Sequence[Features], sums: Sums, work: _Work, native: bool) -> Nodes:
        """The nodes side by side, where operations see a part of the channels: group by group."""
        nodes: list[Tensor] = []
        rests = None
        for index in range(len(self.groups)):
            seen, others = zip(*(torch.split(x, [self.channels, self.rest], dim=1) for x in states), strict=True)
            group = self._native_group if native else self._group
            sums = group(index, torch.cat(seen, dim=1), sums, work)
            totals = work.running.totals(index)
            totals = totals if work.drop is None else work.drop.weights(totals, self.layout[index].edges)
            rests = bypass(torch.cat(others, dim=1), self._stride(index), totals, self.rest, rests)
            (node, sums), (rest, rests) = _first(sums, self.channels), _first(rests, self.rest)
            states = [shuffle(torch.cat([node, rest], dim=1), self.parts)]
            nodes += states
        return torch.cat(nodes, dim=1)

    def _native_group(
        self, index: int, x: Features, sums: Sums, work: _Work
    ) -> Float[Tensor, "batch targets_channels out_height out_width"]:
        """`_group` by the native kernels."""
        of = self.layout[index]
        steps = self._steps(index, work, of.behind - of.sources)
        cell = Cell(steps, of.targets, self._stride(index), self.training, partial(self._plain_group, index, work))
        return mixed_cell(cell, torch.split(x, self.channels, dim=1), sums, work.running.weights)

    def _plain_group(self, index: int, work: _Work, inputs: Sequence[Features], sums: Sums, weights: Tensor) -> Nodes:
        """`_native_group` in torch's operations; running statistics stay as they are."""
        with unchanged_statistics(self.groups[index]):
            return self._group(index, torch.cat(list(inputs), dim=1), sums, work.at(self.layout, weights))

    def _steps(self, index: int, work: _Work, first: int = 0) -> list[Step]:
        """The running operations of a group as the native kernels take them; states are counted from `first` on."""
        group, (running, kernels, _) = cast(EdgeGroup, self.groups[index]), work
        return [group.step(name, running.slots(index, name, first), kernels[index]) for name in running.names(index)]

    def _stride(self, index: int) -> int:
        """The stride of the edges of a group."""
        return self.stride if index == 0 else 1

    def _zeros(self, x: Features, stride: int) -> Float[Tensor, "batch seen out_height out_width"]:
        """The channels that operations see of a node without any edge, dense and in `channels_last`."""
        batch, _, height, width = x[:, :, ::stride, ::stride].shape
        return x.new_zeros(batch, height, width, self.channels).permute(0, 3, 1, 2)

    def _noise(self, zeros: Features, noise: list[tuple[int, int, Tensor]], drop: DrawnDrop | None) -> Nodes:
        """The weighted noise that enters each node, drawn edge after edge."""
        totals = [zeros] * self.nodes
        for edge, target, weight in noise:
            drawn = self.noise(zeros)
            drawn = drawn if drop is None else drop.paths(drawn, (edge,), self.channels)
            totals[target] = totals[target] + weight * drawn
        return torch.cat(totals, dim=1)


def _first(
    sums: Nodes, channels: int
) -> tuple[
    Float[Tensor, "batch node_channels out_height out_width"],
    Float[Tensor, "batch other_channels out_height out_width"] | None,
]:
    """The first of nodes that lie side by side, and the others."""
    if sums.shape[1] == channels:
        return sums, None
    first, others = torch.split(sums, [channels, sums.shape[1] - channels], dim=1)
    return first.contiguous(memory_format=torch.channels_last), others


def _project(part: PointwiseBlock | FactorizedReduce, x: Tensor) -> Tensor:
    """The output of `part`, by a native kernel."""
    mean, var, batches = part.norm.buffers()
    if part.training:
        batches += 1
    return project(Projection(part.weights, mean, var, part.training, partial(_plainly, part)), x)


def _plainly(part: PointwiseBlock | FactorizedReduce, x: Tensor) -> Tensor:
    """The output of `part`, in torch's operations; running statistics stay as they are."""
    with unchanged_statistics(part):
        return cast(Tensor, part(x))
