"""The supernet of NAS-Bench-201: every operation on every edge, mixed by weights that come from outside.

Source: Dong and Yang, NAS-Bench-201 (ICLR 2020), section 2.1 and the search networks of its released code.
Differs: the released convolutions have biases, which the batch norms behind them take away again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from zarts.errors import SettingsError
from zarts.nets.nasbench201 import KERNELS, Skeleton
from zarts.nets.stacked import StackedNorm
from zarts.spaces import Space

__all__ = ["NasBench201SuperNet"]

Features = Float[Tensor, "batch channels height width"]
Images = Float[Tensor, "batch in_channels height width"]
Logits = Float[Tensor, "batch classes"]
Totals = list[Tensor | None]


@dataclass(frozen=True)
class Running:
    """Where one operation runs among the edges that leave one node.

    Args:
        slots: those edges, s of them, by position.
        chosen: the same as a tensor; None if they are all.
        weight: weight of each.
    """

    slots: tuple[int, ...]
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

    def forward(self, rectified: Features, running: Running) -> Float[Tensor, "batch s_channels height width"]:
        """The weighted outputs for the running targets, side by side."""
        weight = self.weight
        if running.chosen is not None:
            weight = weight.view(-1, rectified.shape[1], *weight.shape[1:])[running.chosen].flatten(0, 1)
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

    def forward(self, x: Features, running: Mapping[str, Running], totals: Totals) -> Totals:
        """The targets' totals plus what these edges give them; None is an empty total."""
        totals = list(totals)
        for slots, outputs in self._convolve(x, running).items():
            for slot, part in zip(slots, torch.split(outputs, self.channels, dim=1), strict=True):
                total = totals[slot]
                totals[slot] = part if total is None else total + part
        for name in [name for name in ("skip_connect", "avg_pool_3x3") if name in running]:
            y = x if name == "skip_connect" else _average_pool(x)
            for slot, weight in zip(running[name].slots, running[name].weight.unbind(), strict=True):
                total = totals[slot]
                totals[slot] = weight * y if total is None else torch.addcmul(total, weight, y)
        return totals

    def _convolve(self, x: Features, running: Mapping[str, Running]) -> dict[tuple[int, ...], Tensor]:
        """The sums of the convolutions that run for the same targets."""
        names = [name for name in self.convolutions if name in running]
        rectified = torch.relu(x) if names else x
        sums: dict[tuple[int, ...], Tensor] = {}
        for name in names:
            y, slots = self.convolutions[name](rectified, running[name]), running[name].slots
            sums[slots] = sums[slots] + y if slots in sums else y
        return sums


class MixedCell(nn.Module):
    """A cell with all operations on all edges, by the node that the edges leave; its output is its last node."""

    def __init__(self, space: Space, channels: int) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(OutgoingEdges(slots, channels) for slots in range(space.nodes, 0, -1))

    def forward(self, x: Features, running: list[dict[str, Running]]) -> Features:
        """The last node; `running` has the operations that run for each node that edges leave."""
        totals: Totals = [None] * len(self.nodes)
        for edges, ops in zip(self.nodes, running, strict=True):
            node, *totals = edges(x, ops, totals)
            x = torch.zeros_like(x) if node is None else node
        return x


def _average_pool(x: Features) -> Features:
    """Mean over 3×3 pixels, those outside left out: a depthwise convolution, 3 times faster than torch's pool."""
    channels, height, width = x.shape[1:]
    share = functional.avg_pool2d(x.new_ones(1, 1, height, width), 3, 1, 1)  # of the 3×3 pixels, those inside
    return functional.conv2d(x, x.new_full((channels, 1, 3, 3), 1 / 9), padding=1, groups=channels) / share


class NasBench201SuperNet(nn.Module):
    """The supernet of space `nasbench201`, with weights from outside; see `SuperNet`.

    The batch norms of the operations are without affine, and no batch norm follows the average pool.
    `tests/plain_nasbench201.py` has the textbook form, where every operation on every edge is a module of its own.

    Args:
        space: the candidates, the same on each edge.
        channels: channels of the first stage (16 in the benchmark).
        cells: cells a stage (5 in the benchmark).
        num_classes: number of logits.
        in_channels: channels of the images.

    Raises:
        SettingsError: no cell.
    """

    def __init__(self, space: Space, *, channels: int, cells: int, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        self.space = space
        self.skeleton = Skeleton(
            lambda width: MixedCell(space, width),
            channels=channels,
            cells=cells,
            num_classes=num_classes,
            in_channels=in_channels,
        )

    def forward(self, images: Images, weights: Mapping[str, Float[Tensor, "_ _"]]) -> Logits:
        """The logits.

        Args:
            images: normalised images.
            weights: under `normal` the weight `(edges, ops)` of every operation on every edge. Where they do not
                require a gradient, operations of weight 0 do not run.

        Raises:
            SettingsError: weights of another shape than the space's.
        """
        matrix, shape = weights["normal"], self.space.shapes["normal"]
        if tuple(matrix.shape) != shape:
            raise SettingsError(
                f"weights['normal'] has shape {tuple(matrix.shape)}; space {self.space.name!r} needs {shape}"
            )
        logits: Tensor = self.skeleton(images, _running(self.space, matrix))
        return logits


def _running(space: Space, weights: Float[Tensor, "edges ops"]) -> list[dict[str, Running]]:
    """For each node that edges leave, the operations that run on them."""
    rows = None if weights.requires_grad else weights.tolist()
    running = []
    for node in range(space.nodes):
        edges = [edge for edge, (_, source) in enumerate(space.edges) if source == node]
        ops = {}
        for op, name in enumerate(space.candidates["normal"][0]):
            slots = tuple(slot for slot, edge in enumerate(edges) if rows is None or rows[edge][op] != 0)
            if slots and name != "none":
                chosen = None if len(slots) == len(edges) else torch.tensor(slots, device=weights.device)
                ops[name] = Running(slots, chosen, weights[[edges[slot] for slot in slots], op])
        running.append(ops)
    return running
