"""Merged operations: the convolutions of an edge as one convolution (MergeNAS).

The merged operation has its own column behind those of the space. The weight in this column tells whether it runs, 1
or 0; its kernel is made of the weights of the convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zarts.errors import SettingsError
from zarts.kernels import Block
from zarts.networks.depthwise import depthwise
from zarts.spaces import Space
from zarts.supernet.active_ops import Group, Place
from zarts.supernet.batched_ops import StackedNorm, StackedPointwise, pick

__all__ = ["CONVOLUTIONS", "StackedMerged", "convolutions", "mask", "merge", "with_merged"]

CONVOLUTIONS = {"sep_conv_3x3": (3, 1), "sep_conv_5x5": (5, 1), "dil_conv_3x3": (3, 2), "dil_conv_5x5": (5, 2)}
"""Side of the kernel and dilation of the convolutions that are merged."""

_PREFIX = "merged_"


def mask(name: str, size: int) -> Float[Tensor, "size size"]:
    """Where the taps of a convolution lie in the merged kernel: 1 there, 0 elsewhere.

    Args:
        name: a key of `CONVOLUTIONS`.
        size: side of the merged kernel.
    """
    kernel, dilation = CONVOLUTIONS[name]
    line = torch.zeros(size)
    first = size // 2 - kernel // 2 * dilation
    line[first : size - first : dilation] = 1
    return line.outer(line)


def _reach(names: Sequence[str]) -> int:
    """The side of the kernel that holds these convolutions."""
    return max(dilation * (kernel - 1) + 1 for kernel, dilation in (CONVOLUTIONS[name] for name in names))


def convolutions(space: Space, kind: str) -> Bool[Tensor, "edges ops"]:
    """Which operations of a cell type are merged.

    Raises:
        SettingsError: no cell of the space has any.
    """
    if not set(CONVOLUTIONS) & set(space.operations):
        raise SettingsError(
            f"supernet = merged: space {space.name!r} has none of the convolutions that can be merged: "
            f"{', '.join(CONVOLUTIONS)}: take --supernet mixed"
        )
    return torch.tensor([[op in CONVOLUTIONS for op in ops] for ops in space.candidates[kind]])


def merge(groups: Sequence[Group], space: Space, kind: str) -> list[Group]:
    """The groups with one operation for all convolutions of an edge; those with kernels of one size are one stack."""
    return [replace(group, places=_merged(group, space.candidates[kind])) for group in groups]


def _merged(group: Group, candidates: Sequence[Sequence[str]]) -> dict[str, tuple[Place, ...]]:
    places = {name: slots for name, slots in group.places.items() if name not in CONVOLUTIONS}
    for target in range(group.targets):
        for source in range(group.sources):
            ops = candidates[edge := group.edges[source][target]]
            if shared := tuple((op, name) for op, name in enumerate(ops) if name in CONVOLUTIONS):
                name = f"{_PREFIX}{_reach([name for _, name in shared])}"
                place = Place(edge, len(ops), source, target, shared)
                places[name] = (*places.get(name, ()), place)
    return places


def with_merged(
    weights: Float[Tensor, "edges ops"], merged: Bool[Tensor, "edges ops"]
) -> Float[Tensor, "edges ops_and_merged"]:
    """The weights, and for the merged operation 1 where it runs; constant weights run it only where one is not 0."""
    merged = merged.to(weights.device)
    runs = (merged if weights.requires_grad else merged & (weights != 0)).any(-1)
    return torch.cat([weights, runs[:, None].to(weights.dtype)], dim=1)


class StackedMerged(nn.Module):
    """Depthwise convolution with the merged kernel, 1×1 convolution, batch norm, in each slot; the ReLU was before.

    All convolutions of an edge share one depthwise kernel W, of which each takes the taps that it has, and one 1×1
    convolution. By linearity their weighted sum is one convolution with the kernel sum over o of a_o mask_o W. The
    kernel is as large as the largest convolution of the edge: 9×9 with dil_conv_5x5, 5×5 or 3×3 without.

    The batch norm behind it takes out the scale: only the ratios of the weights of an edge's convolutions
    count. Beside its other operations their sum has weight 1, however large it is.

    Args:
        places: the slots, each with the convolutions that share its kernel.
        channels: channels C of each.
        stride: 1 or 2.

    Source: Wang et al., MergeNAS (IJCAI 2020). As in its released code separable convolutions are in the supernet
        once; in the derived network there are two, one behind the other.
    Differs: from that code, whose kernels are always 9×9.
    """

    masks: Tensor

    def __init__(self, places: Sequence[Place], channels: int, stride: int) -> None:
        super().__init__()
        size, total = max(_reach([name for _, name in place.merges]) for place in places), len(places) * channels
        self.channels, self.stride = channels, stride
        self.edges = [place.edge for place in places]
        masks = torch.zeros(len(places), places[0].op + 1, size, size)
        for slot, place in enumerate(places):
            for op, name in place.merges:
                masks[slot, op] = mask(name, size)
        self.register_buffer("masks", masks, persistent=False)
        self.depthwise = nn.Conv2d(total, total, size, groups=total, bias=False).weight
        self.pointwise = StackedPointwise(len(places), channels)
        self.norm = StackedNorm(len(places), channels)

    def kernel(self, weights: Float[Tensor, "edges ops_and_merged"]) -> Float[Tensor, "slots_channels 1 k k"]:
        """The merged kernels of all slots."""
        mixed = torch.einsum("so,sokl->skl", weights[self.edges], self.masks.to(weights.dtype))
        slots, size, _ = mixed.shape
        return (self.depthwise.view(slots, -1, size, size) * mixed[:, None]).view_as(self.depthwise)

    def native(self, kernel: Float[Tensor, "slots_channels 1 k k"]) -> Block:
        """Its tensors, as the native kernels take them."""
        return Block(self.norm.mean, self.norm.var, (kernel, self.pointwise.weight))

    def forward(
        self,
        x: Float[Tensor, "batch slots_channels height width"],
        chosen: Tensor | None,
        kernel: Float[Tensor, "all_channels 1 k k"],
    ) -> Float[Tensor, "batch slots_channels out_height out_width"]:
        """The same number of channels, the strided size.

        Args:
            x: the rectified source of each running slot, side by side.
            chosen: the running slots; None: all.
            kernel: see `kernel`.
        """
        x = depthwise(x, pick(kernel, self.channels, chosen), self.stride)
        output: Tensor = self.norm(self.pointwise(x, chosen), chosen)
        return output
