"""The textbook supernet of PC-DARTS: partial channels, shuffled edge by edge, with edge normalization.

Source: Xu et al., PC-DARTS (ICLR 2020), sections 3.2 and 3.3.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.textbook import MixedEdge, PlainSuperNet

__all__ = ["plain_partial"]

Features = Float[Tensor, "batch channels height width"]


class PartialEdge(nn.Module):
    """An edge times its weight: its operations on some channels, the others unchanged, shuffled."""

    def __init__(self, names: tuple[str, ...], channels: int, stride: int, draw, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.mixed = MixedEdge(names, channels // parts, stride, draw)
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True) if stride == 2 else nn.Identity()

    @property
    def ops(self) -> nn.ModuleList:
        return self.mixed.ops

    def forward(self, x: Features, weights: Float[Tensor, " ops"]) -> Features:
        beta = weights.sum()
        shares = weights / beta
        seen, rest = x[:, : x.shape[1] // self.parts], self.pool(x[:, x.shape[1] // self.parts :])
        together = torch.cat([self.mixed(seen, shares), rest], dim=1)
        batch, channels, height, width = together.shape
        shuffled = together.view(batch, self.parts, channels // self.parts, height, width).transpose(1, 2)
        return beta * shuffled.reshape(batch, channels, height, width)


def build(space, *, parts: int, channels: int, cells: int, draw, **settings) -> PlainSuperNet:
    """`PlainSuperNet` with other edges."""
    plain = PlainSuperNet(space, channels=channels, cells=cells, draw=draw, **settings)
    for index, cell in enumerate(plain.cells):
        channels *= 2 if index in (cells // 3, 2 * cells // 3) else 1
        cell.edges = nn.ModuleList(
            PartialEdge(names, channels, 2 if cell.kind == "reduce" and source < 2 else 1, draw, parts)
            for (_, source), names in zip(space.edges, space.candidates[cell.kind], strict=True)
        )
    return plain


def plain_partial(parts: int):
    """A function that builds it, with the arguments of `PlainSuperNet`."""
    return partial(build, parts=parts)
