"""The textbook supernet of MergeNAS: the convolutions of an edge, each with its taps of one kernel, added up.

Source: Wang et al., MergeNAS (IJCAI 2020).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.textbook import PlainSuperNet, build

__all__ = ["MergedEdge", "plain_merged"]

Features = Float[Tensor, "batch channels height width"]

# Rows and columns of each convolution in a 9×9 kernel, and the part of the kernel that it needs without larger ones.
TAPS = {
    "sep_conv_3x3": slice(3, 6),
    "sep_conv_5x5": slice(2, 7),
    "dil_conv_3x3": slice(2, 7, 2),
    "dil_conv_5x5": slice(0, 9, 2),
}
INNER = {
    "sep_conv_3x3": slice(3, 6),
    "sep_conv_5x5": slice(2, 7),
    "dil_conv_3x3": slice(2, 7),
    "dil_conv_5x5": slice(9),
}


class MergedEdge(nn.Module):
    """The weighted sum of an edge's operations, in which the convolutions share a kernel, and one norm behind them."""

    def __init__(self, names: tuple[str, ...], channels: int, stride: int, draw) -> None:
        super().__init__()
        self.names, self.stride = names, stride
        self.ops = nn.ModuleList(build(name, channels, stride, draw) if name not in TAPS else None for name in names)
        if set(names) & set(TAPS):
            inner = min((INNER[name] for name in names if name in TAPS), key=lambda part: part.start or 0)
            self.depthwise = nn.Parameter(torch.randn(channels, 1, 9, 9)[:, :, inner, inner] / 9)
            self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
            self.norm = nn.BatchNorm2d(channels, affine=False)

    def convolutions(self, x: Features, weights: Float[Tensor, " ops"]) -> Features:
        """The weighted sum of separate convolutions, before the norm."""
        margin = (9 - self.depthwise.shape[-1]) // 2
        whole, total = functional.pad(self.depthwise, [margin] * 4), 0
        for name, weight in zip(self.names, weights, strict=True):
            if name in TAPS:
                dilation = TAPS[name].step or 1
                kernel = whole[:, :, TAPS[name], TAPS[name]]
                padding = dilation * (kernel.shape[-1] // 2)
                y = functional.conv2d(torch.relu(x), kernel, None, self.stride, padding, dilation, groups=x.shape[1])
                total = total + weight * self.pointwise(y)
        return total

    def forward(self, x: Features, weights: Float[Tensor, " ops"]) -> Features:
        mixed = weights.requires_grad
        total = 0
        for name, op, weight in zip(self.names, self.ops, weights, strict=True):
            if name not in TAPS and (mixed or weight != 0):
                total = total + weight * op(x)
        merged = [weight for name, weight in zip(self.names, weights, strict=True) if name in TAPS]
        if merged and (mixed or any(weight != 0 for weight in merged)):
            total = total + self.norm(self.convolutions(x, weights))
        return total


def plain_merged(space, *, channels: int, cells: int, draw, **settings) -> PlainSuperNet:
    """`PlainSuperNet` with other edges."""
    plain = PlainSuperNet(space, channels=channels, cells=cells, draw=draw, **settings)
    for index, cell in enumerate(plain.cells):
        channels *= 2 if index in (cells // 3, 2 * cells // 3) else 1
        cell.edges = nn.ModuleList(
            MergedEdge(names, channels, 2 if cell.kind == "reduce" and source < 2 else 1, draw)
            for (_, source), names in zip(space.edges, space.candidates[cell.kind], strict=True)
        )
    return plain
