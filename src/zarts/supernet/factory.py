"""Factory of supernets: the supernet that fits a space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from zarts.errors import SettingsError, did_you_mean
from zarts.spaces import Space
from zarts.supernet.nasbench201 import NasBench201SuperNet
from zarts.supernet.supernet import SuperNet

__all__ = ["FORMS", "SUPERNETS", "AnySuperNet", "build_supernet"]

AnySuperNet = SuperNet | NasBench201SuperNet

FORMS: dict[str, Callable[[int], dict[str, Any]]] = {
    "mixed": lambda parts: {},
    "partial": lambda parts: {"parts": parts},
    "merged": lambda parts: {"merged": True},
}
"""Name of a supernet to the options of `SuperNet` that make it, from K of `partial`."""


def _stacked(space: Space, *, reduction: str, supernet: str, partial_channels: int, **options: Any) -> SuperNet:
    """A stack of cells, in which two cells reduce."""
    if reduction != "residual":
        raise SettingsError(f"reduction = {reduction!r}: in space {space.name!r} cells reduce: leave it out")
    return SuperNet(space, **FORMS[supernet](partial_channels), **options)


def _nasbench201(
    space: Space, *, stem: str, supernet: str, partial_channels: int, **options: Any
) -> NasBench201SuperNet:
    """A supernet of NAS-Bench-201: its stem is fixed, and its operations see all channels."""
    if supernet != "mixed":
        raise SettingsError(f"supernet = {supernet!r}: space {space.name!r} has the supernet 'mixed' only: take it")
    if stem != "cifar":
        raise SettingsError(
            f"stem = {stem!r}: the networks of space {space.name!r} have the stem 'cifar' only: take it"
        )
    return NasBench201SuperNet(space, **options)


SUPERNETS: dict[str, Callable[..., AnySuperNet]] = {"darts": _stacked, "nasbench201": _nasbench201}


def build_supernet(
    space: Space,
    *,
    channels: int,
    cells: int,
    num_classes: int,
    in_channels: int = 3,
    stem: str = "cifar",
    reduction: str = "residual",
    generator: torch.Generator | None = None,
    native: bool = True,
    supernet: str = "mixed",
    partial_channels: int = 4,
) -> AnySuperNet:
    """The supernet of a space, by its skeleton.

    Args:
        space: the candidates.
        channels: channels of a node in the first cells.
        cells: number of cells; of cells a stage where the skeleton is `nasbench201`.
        num_classes: number of logits.
        in_channels: channels of the images.
        stem: `cifar` or `imagenet`.
        reduction: between the stages of skeleton `nasbench201`: `residual` or `light`.
        generator: source of the `noise` operation and of what is dropped; None is torch's default.
        native: use the native kernels where they suit.
        supernet: `mixed`, all operations on all channels; `partial` or `merged`, see `zarts.supernet.SuperNet`.
        partial_channels: K of `partial`.

    Raises:
        SettingsError: a number or name that cannot be used.
    """
    if supernet not in FORMS:
        raise SettingsError(did_you_mean("supernet", supernet, FORMS))
    return SUPERNETS[space.skeleton](
        space,
        channels=channels,
        cells=cells,
        num_classes=num_classes,
        in_channels=in_channels,
        stem=stem,
        reduction=reduction,
        generator=generator,
        native=native,
        supernet=supernet,
        partial_channels=partial_channels,
    )
