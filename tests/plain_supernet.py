"""The textbook supernet, where every operation on every edge is a module: oracle and baseline of the fast one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import add

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import SettingsError
from zarts.nets import SuperNet
from zarts.nets.operations import build_operation
from zarts.nets.skeleton import CellPlan, Preprocess, plan_cells
from zarts.nets.stem import build_stem
from zarts.spaces import Space

__all__ = ["PlainSuperNet", "copy_plain", "same_tensors"]

Features = Float[Tensor, "batch channels height width"]


class MixedEdge(nn.Module):
    """All candidates of one edge, side by side."""

    def __init__(
        self, candidates: tuple[str, ...], channels: int, stride: int, generator: torch.Generator | None
    ) -> None:
        super().__init__()
        self.ops = nn.ModuleList(
            build_operation(name, channels, stride, affine=False, pool_norm=True, generator=generator)
            for name in candidates
        )

    def forward(
        self, x: Features, weights: Float[Tensor, " ops"], running: list[int]
    ) -> Float[Tensor, "batch channels out_height out_width"]:
        """Sum over the running operations o of weights[o] · o(x)."""
        mixed: Tensor = reduce(add, [weights[index] * self.ops[index](x) for index in running])
        return mixed


class MixedCell(nn.Module):
    """A cell with all its edges; its output is the concatenation of its intermediate nodes."""

    def __init__(self, space: Space, plan: CellPlan, generator: torch.Generator | None) -> None:
        super().__init__()
        self.inputs, self.nodes, self.graph = space.inputs, space.nodes, space.edges
        self.preprocess = Preprocess(plan, affine=False)
        self.edges = nn.ModuleList(
            MixedEdge(names, plan.channels, plan.stride(source), generator)
            for (_, source), names in zip(space.edges, space.candidates[plan.kind], strict=True)
        )

    def forward(
        self,
        before: Float[Tensor, "batch c0 h0 w0"],
        previous: Float[Tensor, "batch c1 h1 w1"],
        weights: Float[Tensor, "edges ops"],
        running: list[list[int]],
    ) -> Float[Tensor, "batch channels height width"]:
        """Output of the cell.

        Args:
            before: output of the cell before the previous one.
            previous: output of the previous cell.
            weights: weight of every operation on every edge.
            running: for each edge the operations to run.
        """
        states: list[Tensor] = list(self.preprocess(before, previous))
        for node in range(self.inputs, self.inputs + self.nodes):
            states.append(
                reduce(
                    add,
                    [
                        self.edges[edge](states[source], weights[edge], running[edge])
                        for edge, (target, source) in enumerate(self.graph)
                        if target == node
                    ],
                )
            )
        return torch.cat(states[self.inputs :], dim=1)


def _running(weights: Float[Tensor, "edges ops"]) -> list[list[int]]:
    """For each edge the operations that must run: all, or with constant weights only those that count.

    An edge without any weight still runs its first operation, for the shape of its zeros.
    """
    edges, ops = weights.shape
    if weights.requires_grad:
        return [list(range(ops)) for _ in range(edges)]
    return [[op for op, weight in enumerate(row) if weight != 0] or [0] for row in weights.tolist()]


class PlainSuperNet(nn.Module):
    """A stack of mixed cells between a stem and a linear classifier.

    Holds no architecture parameters: the weight of every operation comes with each call, so that it works for
    softmax mixtures and for one-hot rows alike. All batch norms but the stem's are without affine.

    Args:
        space: the candidates; cells of two inputs, of the types `normal` and `reduce`.
        channels: channels of a node in the first cells (16 in the papers).
        cells: number of cells (8 in the papers), at least 3.
        num_classes: number of logits.
        in_channels: channels of the images.
        stem: `cifar` or `imagenet`.
        generator: source of the `noise` operation; None is torch's default.

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
    ) -> None:
        super().__init__()
        if space.inputs != 2 or set(space.candidates) != {"normal", "reduce"}:
            raise SettingsError(
                f"space {space.name!r} has {space.inputs} inputs and cells {sorted(space.candidates)}; "
                "this supernet needs 2 inputs and cells ['normal', 'reduce']"
            )
        self.space_name, self.shapes = space.name, space.shapes
        self.stem = build_stem(stem, in_channels, 3 * channels)
        plans = plan_cells(cells, channels, 3 * channels, space.nodes, self.stem.first_larger)
        self.cells = nn.ModuleList(MixedCell(space, plan, generator) for plan in plans)
        self.kinds = [plan.kind for plan in plans]
        self.classifier = nn.Linear(space.nodes * plans[-1].channels, num_classes)

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
        for kind, shape in self.shapes.items():
            if tuple(weights[kind].shape) != shape:
                raise SettingsError(
                    f"weights[{kind!r}] has shape {tuple(weights[kind].shape)}; space {self.space_name!r} needs {shape}"
                )
        running = {kind: _running(weights[kind]) for kind in self.shapes}
        before, previous = self.stem(images)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            before, previous = previous, cell(before, previous, weights[kind], running[kind])
        logits: Tensor = self.classifier(previous.mean(dim=(2, 3)))
        return logits


def same_tensors(plain: PlainSuperNet, fast: SuperNet) -> Iterator[tuple[str, Tensor, Tensor, slice]]:
    """Every parameter and running statistic: name, tensor of the plain one, and rows of which tensor of the fast one.

    The stem, the preprocessing and the classifier are the same modules in both.
    """
    theirs, every = dict(fast.named_parameters()) | dict(fast.named_buffers()), slice(None)
    for name, tensor in [*plain.named_parameters(), *plain.named_buffers()]:
        if ".edges." not in name and not name.endswith("num_batches_tracked"):
            yield name, tensor, theirs[name], every
    for index, (old, _new) in enumerate(zip(plain.cells, fast.cells, strict=True)):
        for number, group in enumerate(fast.layouts[fast.kinds[index]]):
            for op, places in group.places.items():
                for slot, place in enumerate(places):
                    edge = old.edges[place.edge].ops[place.op]
                    prefix = f"cells.{index}.groups.{number}.ops.{op}."
                    for name, tensor in [*edge.named_parameters(), *edge.named_buffers()]:
                        if name.endswith("num_batches_tracked"):
                            continue
                        target = theirs[prefix + _translate(name, op)]
                        rows = target.shape[0] // len(places)
                        view = slice(slot, slot + 1) if "running" in name else slice(slot * rows, (slot + 1) * rows)
                        yield f"cell {index} edge {place.edge} {op} {name}", tensor, target, view


def _translate(name: str, op: str) -> str:
    """Name of a tensor within the fast supernet's stack, from that within the plain operation."""
    if "pool" in op:
        return name.replace("1.running_", "")
    name = name.replace("0.", "first.", 1) if name.startswith("0.") else name.replace("1.", "second.", 1)
    name = name.replace("depthwise.weight", "depthwise").replace("even.weight", "even").replace("odd.weight", "odd")
    return name.replace("running_", "")


def copy_plain(plain: PlainSuperNet, fast: SuperNet) -> None:
    """Give the fast supernet the parameters and statistics of the plain one."""
    with torch.no_grad():
        for _, tensor, target, rows in same_tensors(plain, fast):
            target[rows] = tensor.view_as(target[rows])
