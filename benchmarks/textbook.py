"""Textbook supernet: every operation on every edge is a stock module of torch, in torch's own memory layout.

It uses nothing of `zarts.networks` and `zarts.supernet`: it is the oracle of their tests, and the baseline of the
benchmarks. Source: Liu et al., DARTS (ICLR 2019), sections 2.1 and 3.1; the layers are those of its appendix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from zarts.spaces import Space

__all__ = ["PlainSuperNet"]

Features = Float[Tensor, "batch channels height width"]
Draw = Callable[[Tensor], Tensor]


class Zero(nn.Module):
    """`none`."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Features) -> Features:
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class Noise(nn.Module):
    """`noise`, drawn by `draw`."""

    def __init__(self, stride: int, draw: Draw) -> None:
        super().__init__()
        self.stride, self.draw = stride, draw

    def forward(self, x: Features) -> Features:
        return self.draw(x[:, :, :: self.stride, :: self.stride])


class PointwiseBlock(nn.Module):
    """ReLU, 1×1 convolution, batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=False)

    def forward(self, x: Features) -> Features:
        return self.norm(self.conv(self.relu(x)))


class FactorizedReduce(nn.Module):
    """ReLU, two 1×1 convolutions of stride 2, one of them a pixel further, batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=False)

    def forward(self, x: Features) -> Features:
        x = self.relu(x)
        height, width = x.shape[2:]
        padded = functional.pad(x, (0, width % 2, 0, height % 2)) if height % 2 or width % 2 else x
        return self.norm(torch.cat([self.even(x), self.odd(padded[:, :, 1:, 1:])], dim=1))


class DepthwiseBlock(nn.Module):
    """ReLU, depthwise k×k convolution, 1×1 convolution, batch norm."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(
            channels, channels, kernel, stride, padding, dilation=dilation, groups=channels, bias=False
        )
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x: Features) -> Features:
        return self.norm(self.pointwise(self.depthwise(self.relu(x))))


def build(name: str, channels: int, stride: int, draw: Draw) -> nn.Module:
    """The operation of that name, as it stands on an edge of the supernet."""
    if name == "none":
        return Zero(stride)
    if name == "noise":
        return Noise(stride, draw)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels)
    if name == "max_pool_3x3":
        return nn.Sequential(nn.MaxPool2d(3, stride, padding=1), nn.BatchNorm2d(channels, affine=False))
    if name == "avg_pool_3x3":
        pool = nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
        return nn.Sequential(pool, nn.BatchNorm2d(channels, affine=False))
    kernel = int(name[-1])
    if name.startswith("dil_conv"):
        return DepthwiseBlock(channels, kernel, stride, dilation=2)
    return nn.Sequential(DepthwiseBlock(channels, kernel, stride), DepthwiseBlock(channels, kernel, 1))


class MixedEdge(nn.Module):
    """The weighted sum of all candidates of an edge; one whose constant weight is 0 does not run."""

    def __init__(self, names: tuple[str, ...], channels: int, stride: int, draw: Draw) -> None:
        super().__init__()
        self.ops = nn.ModuleList(build(name, channels, stride, draw) for name in names)

    def forward(self, x: Features, weights: Float[Tensor, " ops"]) -> Features:
        mixed = weights.requires_grad
        return sum(weight * op(x) for weight, op in zip(weights, self.ops, strict=True) if mixed or weight != 0)


class Preprocess(nn.Module):
    """Brings both inputs of a cell to its number of channels and to the size of the second one."""

    def __init__(self, inputs: tuple[int, int], channels: int, first_larger: bool) -> None:
        super().__init__()
        self.before = (FactorizedReduce if first_larger else PointwiseBlock)(inputs[0], channels)
        self.previous = PointwiseBlock(inputs[1], channels)

    def forward(self, before: Features, previous: Features) -> tuple[Features, Features]:
        return self.before(before), self.previous(previous)


class MixedCell(nn.Module):
    """A cell: each node is the sum of its edges, the output the concatenation of the nodes."""

    def __init__(
        self, space: Space, kind: str, inputs: tuple[int, int], channels: int, first_larger: bool, draw: Draw
    ) -> None:
        super().__init__()
        self.space, self.kind = space, kind
        self.preprocess = Preprocess(inputs, channels, first_larger)
        self.edges = nn.ModuleList(
            MixedEdge(names, channels, 2 if kind == "reduce" and source < 2 else 1, draw)
            for (_, source), names in zip(space.edges, space.candidates[kind], strict=True)
        )

    def forward(self, before: Features, previous: Features, weights: Float[Tensor, "edges ops"]) -> Features:
        states = list(self.preprocess(before, previous))
        for node in range(2, 2 + self.space.nodes):
            incoming = [(edge, source) for edge, (target, source) in enumerate(self.space.edges) if target == node]
            states.append(sum(self.edges[edge](states[source], weights[edge]) for edge, source in incoming))
        return torch.cat(states[2:], dim=1)


class CifarStem(nn.Module):
    """3×3 convolution and batch norm."""

    first_larger = False

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, images: Features) -> tuple[Features, Features]:
        features = self.norm(self.conv(images))
        return features, features


class ImageNetStem(nn.Module):
    """Three 3×3 convolutions of stride 2."""

    first_larger = True

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()

        def half(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs)]

        self.quarter = nn.Sequential(*half(in_channels, channels // 2), nn.ReLU(), *half(channels // 2, channels))
        self.eighth = nn.Sequential(nn.ReLU(), *half(channels, channels))

    def forward(self, images: Features) -> tuple[Features, Features]:
        quarter = self.quarter(images)
        return quarter, self.eighth(quarter)


class PlainSuperNet(nn.Module):
    """A stack of mixed cells between a stem and a linear classifier; arguments and call as `zarts.supernet.SuperNet`.

    Args:
        space: the candidates; cells of two inputs, of the types `normal` and `reduce`.
        channels: channels of a node in the first cells; each reduction doubles them.
        cells: number of cells; those at 1/3 and 2/3 of the depth reduce.
        num_classes: number of logits.
        in_channels: channels of the images.
        stem: `cifar` or `imagenet`.
        draw: for the operation `noise`: noise of the shape of a tensor.
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
        draw: Draw = torch.randn_like,
    ) -> None:
        super().__init__()
        self.stem = {"cifar": CifarStem, "imagenet": ImageNetStem}[stem](in_channels, 3 * channels)
        self.cells = nn.ModuleList()
        before = previous = 3 * channels
        first_larger = self.stem.first_larger
        for index in range(cells):
            reduces = index in (cells // 3, 2 * cells // 3)
            channels *= 2 if reduces else 1
            kind = "reduce" if reduces else "normal"
            self.cells.append(MixedCell(space, kind, (before, previous), channels, first_larger, draw))
            before, previous, first_larger = previous, space.nodes * channels, reduces
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(previous, num_classes)

    def forward(self, images: Features, weights: Mapping[str, Float[Tensor, "_ _"]]) -> Float[Tensor, "batch classes"]:
        """The logits, under the weight of every operation on every edge for each cell type."""
        before, previous = self.stem(images)
        for cell in self.cells:
            before, previous = previous, cell(before, previous, weights[cell.kind])
        return self.classifier(self.pool(previous).flatten(1))
