"""The networks of NAS-Bench-201: three stages of cells with residual blocks between them.

Source: Dong and Yang, NAS-Bench-201 (ICLR 2020), section 2.1 and its released code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import SettingsError, did_you_mean
from zarts.networks.activation_checkpointing import ActivationCheckpointing
from zarts.networks.memory_format import dense_gradient
from zarts.networks.operations import build_operation
from zarts.networks.stem import CifarStem
from zarts.spaces import CellGenotype, Genotype
from zarts.spaces.nasbench201 import NASBENCH201

__all__ = ["KERNELS", "REDUCTIONS", "Skeleton", "build_edge", "create_nasbench201"]

Features = Float[Tensor, "batch channels height width"]
Output = Float[Tensor, "batch out_channels out_height out_width"]
Images = Float[Tensor, "batch in_channels height width"]
Logits = Float[Tensor, "batch classes"]

_STAGES = 3
KERNELS = {"nor_conv_3x3": 3, "nor_conv_1x1": 1}
"""Convolutions of the space, and the sides of their kernels."""


class ConvolutionBlock(nn.Module):
    """ReLU, k×k convolution, batch norm."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x: Features) -> Output:
        """Another number of channels, the strided size."""
        output: Tensor = self.norm(self.conv(torch.relu(x)))
        return output


class ResidualBlock(nn.Module):
    """Two 3×3 convolution blocks beside a 2×2 average pool and a 1×1 convolution: twice the channels, half the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvolutionBlock(channels, 2 * channels, 3, 2, affine=True)
        self.second = ConvolutionBlock(2 * channels, 2 * channels, 3, 1, affine=True)
        self.pool = nn.AvgPool2d(2, ceil_mode=True)
        self.shortcut = nn.Conv2d(channels, 2 * channels, 1, bias=False)

    def forward(self, x: Features) -> Output:
        """An odd side of n pixels becomes (n + 1) / 2."""
        output: Tensor = self.second(self.first(x)) + self.shortcut(self.pool(x))
        return output


class LightReduction(nn.Module):
    """The shortcut of a residual block alone: too weak to carry a small network without its cells."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2, ceil_mode=True)
        self.conv = nn.Conv2d(channels, 2 * channels, 1, bias=False)

    def forward(self, x: Features) -> Output:
        """An odd side of n pixels becomes (n + 1) / 2."""
        output: Tensor = self.conv(self.pool(x))
        return output


REDUCTIONS: dict[str, type[ResidualBlock] | type[LightReduction]] = {
    "residual": ResidualBlock,
    "light": LightReduction,
}


class Skeleton(nn.Module):
    """Stem, stages of cells with reductions between them, batch norm, linear classifier.

    Args:
        build_cell: number of channels to a cell, which keeps the number of channels and the size.
        channels: channels of the first stage; each reduction doubles them.
        cells: cells a stage.
        num_classes: number of logits.
        in_channels: channels of the images.
        reduction: `residual`, the benchmark's block, or `light`.

    Raises:
        SettingsError: less than one cell a stage, or there is no such reduction.
    """

    def __init__(
        self,
        build_cell: Callable[[int], nn.Module],
        *,
        channels: int,
        cells: int,
        num_classes: int,
        in_channels: int = 3,
        reduction: str = "residual",
    ) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise SettingsError(did_you_mean("reduction", reduction, REDUCTIONS))
        if cells < 1:
            raise SettingsError(f"cells is {cells}; needs at least 1 a stage")
        self.stem = CifarStem(in_channels, channels)
        layers: list[nn.Module] = []
        for stage in range(_STAGES):
            width = channels * 2**stage
            layers += [REDUCTIONS[reduction](width // 2)] if stage else []
            layers += [build_cell(width) for _ in range(cells)]
        self.layers = nn.ModuleList(layers)
        self.checkpointing = ActivationCheckpointing()
        """Runs the layers; see `ActivationCheckpointing`."""
        self.norm = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, images: Images, *context: Any) -> Logits:
        """The logits; `context` goes to every cell, beside the features."""
        x, _ = self.stem(images)
        for layer in self.layers:
            inputs = () if isinstance(layer, tuple(REDUCTIONS.values())) else context
            x = self.checkpointing(layer, x, *inputs)
        features = dense_gradient(torch.relu(self.norm(x)), self)
        logits: Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits


def build_edge(name: str, channels: int, *, affine: bool) -> nn.Module:
    """The operation of that name as a module of its own; `affine`: whether batch norms scale and shift."""
    if name in KERNELS:
        return ConvolutionBlock(channels, channels, KERNELS[name], 1, affine)
    return build_operation(name, channels, 1, affine=affine)


class Cell(nn.Module):
    """A cell of chosen operations; its output is its last node."""

    def __init__(self, genotype: CellGenotype, channels: int) -> None:
        super().__init__()
        self.last = len(genotype)
        chosen = [(node, choice) for node, choices in enumerate(genotype, start=1) for choice in choices]
        chosen = [(node, choice) for node, choice in chosen if choice.op != "none"]
        self.edges = [(node, choice.source) for node, choice in chosen]
        self.ops = nn.ModuleList(build_edge(choice.op, channels, affine=True) for _, choice in chosen)

    def forward(self, x: Features) -> Features:
        """A node is the sum of its operations; zeros without any."""
        states = [x]
        for node in range(1, self.last + 1):
            running = zip(self.ops, self.edges, strict=True)
            terms = [op(states[source]) for op, (target, source) in running if target == node]
            states.append(reduce(add, terms) if terms else torch.zeros_like(x))
        return states[-1]


def create_nasbench201(
    genotype: Genotype, *, channels: int = 16, cells: int = 5, num_classes: int = 10, in_channels: int = 3
) -> Skeleton:
    """The network of a genotype of space `nasbench201`, with torch's initial weights; defaults: the benchmark's.

    Args:
        genotype: the cell.
        channels: channels of the first stage.
        cells: cells a stage.
        num_classes: number of logits.
        in_channels: channels of the images.

    Raises:
        RunError: a genotype of another space.
        SettingsError: no cell.
    """
    NASBENCH201.check(genotype)
    return Skeleton(
        lambda width: Cell(genotype.cells["normal"], width),
        channels=channels,
        cells=cells,
        num_classes=num_classes,
        in_channels=in_channels,
    )
