"""Textbook supernet of NAS-Bench-201: every operation on every edge is a stock module of torch.

Like `benchmarks.textbook` it uses nothing of `zarts.networks` and `zarts.supernet`. Source: Dong and Yang,
NAS-Bench-201 (ICLR 2020), section 2.1 and its released code.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.textbook import CifarStem, Features, Zero
from zarts.spaces import Space

__all__ = ["PlainNasBench201"]

_STAGES = 3


class ConvolutionBlock(nn.Module):
    """ReLU, k×k convolution, batch norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, affine: bool = True) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=affine)

    def forward(self, x: Features) -> Features:
        return self.norm(self.conv(self.relu(x)))


class ResidualBlock(nn.Module):
    """Two 3×3 blocks beside a pool and a 1×1 convolution: twice the channels, half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvolutionBlock(channels, 2 * channels, 3, stride=2)
        self.second = ConvolutionBlock(2 * channels, 2 * channels, 3)
        self.pool = nn.AvgPool2d(2, ceil_mode=True)
        self.shortcut = nn.Conv2d(channels, 2 * channels, 1, bias=False)

    def forward(self, x: Features) -> Features:
        return self.second(self.first(x)) + self.shortcut(self.pool(x))


def build(name: str, channels: int) -> nn.Module:
    """The operation of that name, as it stands on an edge of the supernet."""
    if name == "none":
        return Zero(1)
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    return ConvolutionBlock(channels, channels, int(name[-1]), affine=False)


class MixedCell(nn.Module):
    """Each node is the sum of all weighted operations on its edges; one whose constant weight is 0 does not run."""

    def __init__(self, space: Space, channels: int) -> None:
        super().__init__()
        self.space = space
        self.edges = nn.ModuleList(
            nn.ModuleList(build(name, channels) for name in names) for names in space.candidates["normal"]
        )

    def forward(self, x: Features, weights: Float[Tensor, "edges ops"]) -> Features:
        states = [x]
        for node in range(1, self.space.nodes + 1):
            total = torch.zeros_like(x)
            for row, ops, (target, source) in zip(weights, self.edges, self.space.edges, strict=True):
                if target == node:
                    for weight, op in zip(row, ops, strict=True):
                        if weights.requires_grad or weight != 0:
                            total = total + weight * op(states[source])
            states.append(total)
        return states[-1]


class PlainNasBench201(nn.Module):
    """Stem, three stages of cells with residual blocks between them; arguments as `zarts.supernet.NasBench201SuperNet`.

    Args:
        space: the candidates.
        channels: channels of the first stage; each residual block doubles them.
        cells: cells a stage.
        num_classes: number of logits.
        in_channels: channels of the images.
    """

    def __init__(self, space: Space, *, channels: int, cells: int, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        self.stem = CifarStem(in_channels, channels)
        self.layers = nn.ModuleList()
        for stage in range(_STAGES):
            if stage:
                self.layers.append(ResidualBlock(channels))
                channels *= 2
            self.layers.extend(MixedCell(space, channels) for _ in range(cells))
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(
        self, images: Features, weights: Mapping[str, Float[Tensor, "edges ops"]]
    ) -> Float[Tensor, "_ classes"]:
        """The logits, under the weight of every operation on every edge."""
        x, _ = self.stem(images)
        for layer in self.layers:
            x = layer(x, weights["normal"]) if isinstance(layer, MixedCell) else layer(x)
        return self.classifier(self.pool(self.relu(self.norm(x))).flatten(1))
