"""Operations of many edges as one batch: slot s owns the channels s·C to (s+1)·C - 1 of the stacked features.

`chosen` are the slots that run (None: all); the parameters and statistics of the others do not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from zarts.kernels import Block
from zarts.networks.depthwise import depthwise, dilated_depthwise

__all__ = [
    "EPSILON",
    "MOMENTUM",
    "StackedBlock",
    "StackedNorm",
    "StackedPointwise",
    "StackedReduce",
    "StackedSeparable",
    "expand_blocks",
    "per_pixel",
    "pick",
    "unchanged_statistics",
]

Stacked = Float[Tensor, "batch slots_channels height width"]
Output = Float[Tensor, "batch running_channels out_height out_width"]
Chosen = Int[Tensor, " running"] | None
Scale = Float[Tensor, " running"] | None

MOMENTUM, EPSILON = 0.1, 1e-5  # of batch norms, as in torch
_DENSE = 32  # up to this many stacked channels one product with a block-diagonal matrix beats a grouped convolution
_BATCHED = 16  # from this many channels of a slot a batched product beats both


def expand_blocks(
    blocks: Float[Tensor, "rows columns"], channels: int
) -> Float[Tensor, "rows_channels columns_channels"]:
    """The matrix whose block (r, c) is blocks[r, c] times the identity of `channels` rows."""
    rows, columns = blocks.shape
    identity = torch.eye(channels, dtype=blocks.dtype, device=blocks.device)
    return (blocks[:, None, :, None] * identity[:, None, :]).reshape(rows * channels, columns * channels)


def per_pixel(
    x: Float[Tensor, "batch inputs height width"],
    matrix: Float[Tensor, "inputs outputs"],
    add: Float[Tensor, "batch outputs height width"] | None = None,
) -> Float[Tensor, "batch outputs height width"]:
    """The channels of each pixel times a matrix, plus `add`: one product for the whole batch in `channels_last`."""
    batch, inputs, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(-1, inputs)
    if add is None:
        product = rows @ matrix
    else:
        product = torch.addmm(add.permute(0, 2, 3, 1).reshape(-1, matrix.shape[1]), rows, matrix)
    return product.view(batch, height, width, -1).permute(0, 3, 1, 2)


@contextmanager
def unchanged_statistics(module: nn.Module) -> Iterator[None]:
    """Inside, the module's norms work with copies of their running statistics."""
    parts = [(part, name, buffer) for part in module.modules() for name, buffer in part.named_buffers(recurse=False)]
    for part, name, buffer in parts:
        setattr(part, name, buffer.clone())
    try:
        yield
    finally:
        for part, name, buffer in parts:
            setattr(part, name, buffer)


class StackedNorm(nn.Module):
    """Batch norms without affine of all slots as one; the weight of a slot's operation is the scale of its norm.

    Args:
        slots: number of slots.
        channels: channels C of each.
    """

    mean: Tensor
    var: Tensor

    def __init__(self, slots: int, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(slots, channels))
        self.register_buffer("var", torch.ones(slots, channels))

    def forward(self, x: Stacked, chosen: Chosen, scale: Scale = None) -> Stacked:
        """Normalised features, those of slot s times scale[s]."""
        every = chosen is None
        mean, var = (self.mean, self.var) if every else (self.mean[chosen], self.var[chosen])
        # contiguous, because torch reads an expanded one beyond its end
        weight = None if scale is None else scale[:, None].expand(-1, self.mean.shape[1]).flatten().contiguous()
        output = functional.batch_norm(x, mean.view(-1), var.view(-1), weight, None, self.training, MOMENTUM, EPSILON)
        if self.training and not every:
            self.mean[chosen], self.var[chosen] = mean, var
        return output


class StackedPointwise(nn.Module):
    """A C×C convolution of size 1×1 in each slot."""

    def __init__(self, slots: int, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Conv2d(slots * channels, slots * channels, 1, groups=slots, bias=False).weight

    def forward(self, x: Stacked, chosen: Chosen) -> Stacked:
        """Each slot's features times its matrix."""
        weight = pick(self.weight, self.channels, chosen)
        slots = weight.shape[0] // self.channels
        blocks = weight.view(slots, self.channels, self.channels).transpose(1, 2)  # slot, in, out
        if self.channels >= _BATCHED and x.device.type == "cpu":
            batch, _, height, width = x.shape
            rows = x.permute(0, 2, 3, 1).reshape(-1, slots, self.channels).transpose(0, 1)
            return torch.bmm(rows, blocks).transpose(0, 1).reshape(batch, height, width, -1).permute(0, 3, 1, 2)
        if slots * self.channels > _DENSE or x.device.type != "cpu":
            return functional.conv2d(x, weight, groups=slots)
        identity = torch.eye(slots, dtype=weight.dtype, device=weight.device)
        diagonal = blocks[:, :, None, :] * identity[:, None, :, None]
        return per_pixel(x, diagonal.reshape(slots * self.channels, slots * self.channels))


class StackedBlock(nn.Module):
    """Depthwise k×k convolution, 1×1 convolution, batch norm, in each slot; the ReLU was before.

    Args:
        slots: number of slots.
        channels: channels C of each.
        kernel: k.
        stride: 1 or 2.
        dilation: 1 or 2.
    """

    def __init__(self, slots: int, channels: int, kernel: int, stride: int, dilation: int) -> None:
        super().__init__()
        total = slots * channels
        self.channels, self.stride, self.dilation = channels, stride, dilation
        self.depthwise = nn.Conv2d(total, total, kernel, groups=total, bias=False).weight
        self.pointwise = StackedPointwise(slots, channels)
        self.norm = StackedNorm(slots, channels)

    def native(self) -> Block:
        """Its tensors, as the native kernels take them."""
        return Block(self.norm.mean, self.norm.var, (self.depthwise, self.pointwise.weight), self.dilation)

    def forward(self, x: Stacked, chosen: Chosen, scale: Scale = None) -> Output:
        """The same number of channels, the strided size."""
        weight = pick(self.depthwise, self.channels, chosen)
        x = dilated_depthwise(x, weight, self.stride) if self.dilation == 2 else depthwise(x, weight, self.stride)
        output: Tensor = self.norm(self.pointwise(x, chosen), chosen, scale)
        return output


class StackedSeparable(nn.Module):
    """Two blocks with a ReLU between them, in each slot; the first has the stride."""

    def __init__(self, slots: int, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = StackedBlock(slots, channels, kernel, stride, dilation=1)
        self.second = StackedBlock(slots, channels, kernel, 1, dilation=1)

    def forward(self, x: Stacked, chosen: Chosen, scale: Scale = None) -> Output:
        """The same number of channels, the strided size."""
        output: Tensor = self.second(torch.relu(self.first(x, chosen)), chosen, scale)
        return output


class StackedReduce(nn.Module):
    """The skip of stride 2 in each slot: even pixels give one half of its channels, odd ones the other, batch norm."""

    def __init__(self, slots: int, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.channels = channels
        self.even = nn.Conv2d(channels, slots * half, 1, bias=False).weight
        self.odd = nn.Conv2d(channels, slots * (channels - half), 1, bias=False).weight
        self.norm = StackedNorm(slots, channels)

    def forward(
        self,
        x: Float[Tensor, "batch sources_channels height width"],
        owner: Float[Tensor, "running sources"],
        chosen: Chosen,
        scale: Scale = None,
    ) -> Output:
        """Half the size.

        Args:
            x: the rectified sources, side by side.
            owner: one-hot rows: the source of each running slot.
            chosen: the running slots.
            scale: weight of each.
        """
        height, width = x.shape[2:]
        odd = x[:, :, 1::2, 1::2]
        if height % 2 or width % 2:  # an odd side has one odd pixel less than even ones
            odd = functional.pad(odd, (0, width % 2, 0, height % 2))
        even_weight, odd_weight = (
            pick(weight, outputs, chosen).view(-1, outputs, self.channels)
            for weight, outputs in ((self.even, self.channels // 2), (self.odd, self.channels - self.channels // 2))
        )
        blocks = [
            torch.cat([even_weight, torch.zeros_like(odd_weight)], dim=1),
            torch.cat([torch.zeros_like(even_weight), odd_weight], dim=1),
        ]
        inputs = x.shape[1]
        matrix = torch.cat([torch.einsum("sr,soc->rcso", owner, block).reshape(inputs, -1) for block in blocks])
        output: Tensor = self.norm(per_pixel(torch.cat([x[:, :, ::2, ::2], odd], dim=1), matrix), chosen, scale)
        return output


def pick(weight: Float[Tensor, "rows inputs k k"], outputs: int, chosen: Chosen) -> Tensor:
    """The rows of the chosen slots, of which each has `outputs`."""
    return weight if chosen is None else weight.view(-1, outputs, *weight.shape[1:])[chosen].flatten(0, 1)
