"""The supernet: every operation of the space on every edge, mixed by weights that come from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zarts.errors import SettingsError
from zarts.kernels import Cell, Projection, mixed_cell, project, suits
from zarts.nets.dropping import Dropping
from zarts.nets.edges import TOGETHER, EdgeGroup
from zarts.nets.layout import dense_gradient
from zarts.nets.operations import FactorizedReduce, Noise, PointwiseBlock
from zarts.nets.routes import Group, Running, layout
from zarts.nets.skeleton import CellPlan, Preprocess, plan_cells
from zarts.nets.stacked import unchanged_statistics
from zarts.nets.stem import build_stem
from zarts.spaces import Space

__all__ = ["SuperNet"]

Features = Float[Tensor, "batch channels height width"]
Nodes = Float[Tensor, "batch nodes_channels out_height out_width"]
Sums = Nodes | None


class MixedCell(nn.Module):
    """A cell with all its edges; its output is the concatenation of its intermediate nodes.

    The edges are worked on in groups: those that leave the two inputs, then those that leave the first node, and so on.
    """

    def __init__(
        self,
        space: Space,
        plan: CellPlan,
        layout: list[Group],
        generator: torch.Generator | None,
        native: bool,
        dropping: Dropping,
    ) -> None:
        super().__init__()
        self.dropping = dropping
        self.native = native and set(space.operations) <= TOGETHER
        self.inputs, self.nodes, self.channels = space.inputs, space.nodes, plan.channels
        self.preprocess = Preprocess(plan, affine=False)
        self.stride = plan.stride(0)
        self.layout = layout
        self.groups = nn.ModuleList(
            EdgeGroup(group, plan.channels, plan.stride(0) if index == 0 else 1)
            for index, group in enumerate(self.layout)
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
        dropping = self.dropping if self.dropping.active(self) else None
        native = self.native and dropping is None and suits(previous, self.channels, running.weights)
        if native:
            parts = (self.preprocess.before, self.preprocess.previous)
            inputs = [_project(part, x) for part, x in zip(parts, (before, previous), strict=True)]
        else:
            inputs = [dense_gradient(state) for state in self.preprocess(before, previous)]
        sums = self._noise(self._zeros(inputs), running.noise, dropping) if running.noise else None
        if not native:
            return self._nodes(inputs, sums, running, dropping)
        steps = [
            cast(EdgeGroup, group).step(name, running.slots(index, name))
            for index, group in enumerate(self.groups)
            for name in running.names(index)
        ]
        cell = Cell(steps, self.nodes, self.stride, self.training, partial(self._plain, running.left))
        return mixed_cell(cell, inputs, sums, running.weights)

    def _plain(self, left: list[list[bool]] | None, inputs: Sequence[Features], sums: Sums, weights: Tensor) -> Nodes:
        """What the native kernels do, in torch's operations; running statistics stay as they are."""
        with unchanged_statistics(self.groups):
            return self._nodes(inputs, sums, Running(self.layout, weights, left))

    def _nodes(
        self, inputs: Sequence[Features], sums: Sums, running: Running, dropping: Dropping | None = None
    ) -> Nodes:
        """The nodes side by side, in torch's operations."""
        zeros = self._zeros(inputs)
        x = torch.cat(list(inputs), dim=1)
        nodes: list[Tensor] = []
        for index, group in enumerate(self.groups):
            sums = group(x, {name: running.route(index, name) for name in running.names(index)}, sums, dropping)
            if sums is None:
                sums = torch.cat([zeros] * (self.nodes - len(nodes)), dim=1)
            x = sums[:, : self.channels]
            if sums.shape[1] > self.channels:
                x, sums = sums.split([self.channels, sums.shape[1] - self.channels], dim=1)
                x = x.contiguous(memory_format=torch.channels_last)
            nodes.append(x)
        return torch.cat(nodes, dim=1)

    def _zeros(self, inputs: Sequence[Features]) -> Float[Tensor, "batch channels out_height out_width"]:
        """A node without any edge, dense and in `channels_last`."""
        batch, channels, height, width = inputs[0][:, :, :: self.stride, :: self.stride].shape
        return inputs[0].new_zeros(batch, height, width, channels).permute(0, 3, 1, 2)

    def _noise(self, zeros: Features, noise: list[tuple[int, Tensor]], dropping: Dropping | None) -> Nodes:
        """The weighted noise that enters each node, drawn edge after edge."""
        totals = [zeros] * self.nodes
        for target, weight in noise:
            drawn = self.noise(zeros)
            drawn = drawn if dropping is None else dropping.paths(drawn, self.channels)
            totals[target] = totals[target] + weight * drawn
        return torch.cat(totals, dim=1)


def _project(part: PointwiseBlock | FactorizedReduce, x: Tensor) -> Tensor:
    """What `part` does, by a native kernel."""

    def plain(x: Tensor) -> Tensor:
        with unchanged_statistics(part):
            return cast(Tensor, part(x))

    mean, var, batches = part.norm.buffers()
    if part.training:
        batches += 1
    return project(Projection(part.weights, mean, var, part.training, plain), x)


class SuperNet(nn.Module):
    """A stack of mixed cells between a stem and a linear classifier.

    Holds no architecture parameters: the weight of every operation comes with each call, so that it works for
    softmax mixtures and for one-hot rows alike. All batch norms but the stem's are without affine.

    On the CPU a cell is one native kernel, `zarts.kernels`. Elsewhere, and where that does not suit, edges are worked
    on in groups: the convolutions of one kind of a whole group are one grouped convolution; the weight of an operation
    is the scale of its batch norm. The result is that of the textbook supernet, where every operation on every edge is
    a module of its own (`benchmarks/textbook.py`), several times faster.

    Args:
        space: the candidates; cells of two inputs, of the types `normal` and `reduce`.
        channels: channels of a node in the first cells (16 in the papers).
        cells: number of cells (8 in the papers), at least 3.
        num_classes: number of logits.
        in_channels: channels of the images.
        stem: `cifar` or `imagenet`.
        generator: source of the `noise` operation and of what is dropped; None is torch's default.
        native: use the native kernels where they suit; never where something is dropped.

    Raises:
        SettingsError: a space of another form, or a number or name that cannot be used.

    Source: Liu et al., DARTS (ICLR 2019), sections 2.1 and 3.1.
    """

    def __init__(
        self,
        space: Space,
        *,
        channels: int,
        cells: int,
        num_classes: int,
        in_channels: int = 3,
        stem: str = "cifar",
        generator: torch.Generator | None = None,
        native: bool = True,
    ) -> None:
        super().__init__()
        if space.inputs != 2 or set(space.candidates) != {"normal", "reduce"}:
            raise SettingsError(
                f"space {space.name!r} has {space.inputs} inputs and cells {sorted(space.candidates)}; "
                "this supernet needs 2 inputs and cells ['normal', 'reduce']"
            )
        self.space, self.shapes = space, space.shapes
        self._left: dict[str, list[list[bool]]] = {}
        self.layouts = {kind: layout(space, kind) for kind in space.shapes}
        self.stem = build_stem(stem, in_channels, 3 * channels)
        plans = plan_cells(cells, channels, 3 * channels, space.nodes, self.stem.first_larger)
        self.dropping = Dropping(generator)
        """What is dropped while weights train: nothing, until its probabilities are set."""
        self.cells = nn.ModuleList(
            MixedCell(space, plan, self.layouts[plan.kind], generator, native, self.dropping) for plan in plans
        )
        self.kinds = [plan.kind for plan in plans]
        self.classifier = nn.Linear(space.nodes * plans[-1].channels, num_classes)

    def restrict(self, left: Mapping[str, Bool[Tensor, "_ _"]]) -> None:
        """From now on run only operations that are `left`: cell type to whether each may run; none: all may.

        The others have weight 0; they do not run where the weights require a gradient either.
        """
        self._left = {kind: mask.tolist() for kind, mask in left.items()}

    def forward(
        self,
        images: Float[Tensor, "batch in_channels height width"],
        weights: Mapping[str, Float[Tensor, "_ _"]],
    ) -> Float[Tensor, "batch classes"]:
        """The logits.

        Args:
            images: normalised images.
            weights: for each cell type the weight `(edges, ops)` of every operation on every edge. Where they do
                not require a gradient, operations of weight 0 do not run.

        Raises:
            SettingsError: weights of another shape than the space's.
        """
        self.space.check_weights(weights)
        running = {kind: Running(self.layouts[kind], weights[kind], self._left.get(kind)) for kind in self.shapes}
        before, previous = self.stem(images)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            before, previous = previous, cell(before, previous, running[kind])
        logits: Tensor = self.classifier(dense_gradient(previous).mean(dim=(2, 3)))
        return logits
