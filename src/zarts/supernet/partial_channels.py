"""Partial channel connections: the channels that bypass the operations."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from zarts.errors import SettingsError
from zarts.supernet.batched_ops import expand_blocks, per_pixel

__all__ = ["bypass", "seen_channels", "shuffle"]


def seen_channels(channels: int, parts: int) -> int:
    """How many channels operations see: the first 1 / `parts` of a node's.

    Raises:
        SettingsError: the channels cannot be divided so.
    """
    if channels % parts or channels < 2 * parts:
        raise SettingsError(
            f"channels is {channels}; operations see 1 / {parts} of them (partial_channels) and need at least 2: take "
            f"a multiple of {parts} from {2 * parts} on, or another partial_channels"
        )
    return channels // parts


def bypass(
    sources: Float[Tensor, "batch sources_rest height width"],
    stride: int,
    weights: Float[Tensor, "*batch sources targets"],
    channels: int,
    sums: Float[Tensor, "batch targets_rest out_height out_width"] | None,
) -> Float[Tensor, "batch targets_rest out_height out_width"]:
    """Add to the targets' sums what the edges of a group hand on without an operation.

    Args:
        sources: the other channels of the sources, side by side.
        stride: of the edges; at stride 2 the largest of 2×2 pixels is handed on.
        weights: of each edge: the sum of the weights of its operations, because each of them stands for its output
            beside the unchanged other channels. Of each image by itself, or the same for all.
        channels: of each source and target here.
        sums: of the targets so far, side by side.
    """
    if stride == 2:
        sources = functional.max_pool2d(sources, 2, ceil_mode=True)
    if weights.dim() == 2:
        return per_pixel(sources, expand_blocks(weights, channels), sums)
    batch, _, height, width = sources.shape
    parts = sources.reshape(batch, -1, channels, height, width)
    passed = torch.einsum("bschw,bst->btchw", parts, weights).flatten(1, 2)
    return passed if sums is None else sums + passed


def shuffle(
    x: Float[Tensor, "batch channels height width"], parts: int
) -> Float[Tensor, "batch channels height width"]:
    """The first channel of each of the parts, then the second of each, and so on; dense and `channels_last`."""
    batch, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(batch, height, width, parts, channels // parts).transpose(3, 4)
    return rows.reshape(batch, height, width, channels).permute(0, 3, 1, 2)
