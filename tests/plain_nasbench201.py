"""The textbook supernet of NAS-Bench-201, a module an operation: oracle and baseline of the fast one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from zarts.nets import NasBench201SuperNet
from zarts.nets.nasbench201 import Skeleton, build_edge
from zarts.spaces import Space

__all__ = ["PlainNasBench201", "copy_plain", "same_tensors"]


class PlainCell(nn.Module):
    """Four nodes; a node is the sum of all weighted operations on its incoming edges."""

    def __init__(self, space: Space, channels: int) -> None:
        super().__init__()
        self.graph = space.edges
        self.edges = nn.ModuleList(
            nn.ModuleList(build_edge(name, channels, affine=False) for name in names)
            for names in space.candidates["normal"]
        )

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        states = [x]
        for node in range(1, 4):
            total = torch.zeros_like(x)
            for row, ops, (target, source) in zip(weights, self.edges, self.graph, strict=True):
                if target == node:
                    for weight, op in zip(row, ops, strict=True):
                        if weights.requires_grad or weight != 0:
                            total = total + weight * op(states[source])
            states.append(total)
        return states[-1]


class PlainNasBench201(nn.Module):
    """The same skeleton as the fast supernet's, with plain cells."""

    def __init__(self, space: Space, **settings: int) -> None:
        super().__init__()
        self.skeleton = Skeleton(lambda channels: PlainCell(space, channels), **settings)

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        return self.skeleton(images, weights["normal"])


def same_tensors(plain: PlainNasBench201, fast: NasBench201SuperNet) -> Iterator[tuple[str, Tensor, Tensor, slice]]:
    """Every parameter and running statistic: name, tensor of the plain one, rows of which tensor of the fast one."""
    theirs, space = dict(fast.named_parameters()) | dict(fast.named_buffers()), fast.space
    stacked = {"conv.weight": "weight", "norm.running_mean": "norm.mean", "norm.running_var": "norm.var"}
    for name, tensor in [*plain.named_parameters(), *plain.named_buffers()]:
        cell, _, rest = name.partition(".edges.")
        if name.endswith("num_batches_tracked"):
            continue
        if not rest:
            yield name, tensor, theirs[name], slice(None)
        else:
            edge, op, what = rest.split(".", 2)
            node, source = space.edges[int(edge)]
            target = theirs[
                f"{cell}.nodes.{source}.convolutions.{space.candidates['normal'][0][int(op)]}.{stacked[what]}"
            ]
            slot, rows = node - source - 1, target.shape[0] // (space.nodes - source)
            yield name, tensor, target, slice(slot * rows, (slot + 1) * rows)


def copy_plain(plain: PlainNasBench201, fast: NasBench201SuperNet) -> None:
    """Give the fast supernet the parameters and statistics of the plain one."""
    with torch.no_grad():
        for _, tensor, target, rows in same_tensors(plain, fast):
            target[rows] = tensor.view_as(target[rows])
