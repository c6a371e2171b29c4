"""The supernet that fits a space."""

from __future__ import annotations

from collections.abc import Callable

import torch

from zarts.errors import SettingsError
from zarts.nets.nasbench201_supernet import NasBench201SuperNet
from zarts.nets.skeleton import cell_channels
from zarts.nets.supernet import SuperNet
from zarts.spaces import Space

__all__ = ["SUPERNETS", "build_supernet", "native_channels"]

AnySuperNet = SuperNet | NasBench201SuperNet


def _nasbench201(
    space: Space, *, stem: str, generator: torch.Generator | None, native: bool, **sizes: int
) -> NasBench201SuperNet:
    """Its stem is always the same, it has no `noise` to draw, and its operations have no native kernels."""
    if stem != "cifar":
        raise SettingsError(f"stem = {stem!r}: the networks of space {space.name!r} have the stem 'cifar' only")
    return NasBench201SuperNet(space, native=native, **sizes)


def native_channels(space: Space, channels: int) -> tuple[int, ...]:
    """Numbers of channels of the nodes that native kernels work on; none where the skeleton has no such kernels."""
    return cell_channels(channels) if space.skeleton == "darts" else ()


SUPERNETS: dict[str, Callable[..., AnySuperNet]] = {"darts": SuperNet, "nasbench201": _nasbench201}


def build_supernet(
    space: Space,
    *,
    channels: int,
    cells: int,
    num_classes: int,
    in_channels: int = 3,
    stem: str = "cifar",
    generator: torch.Generator | None = None,
    native: bool = True,
) -> AnySuperNet:
    """The supernet of a space, by its skeleton.

    Args:
        space: the candidates.
        channels: channels of a node in the first cells.
        cells: number of cells; of cells a stage where the skeleton is `nasbench201`.
        num_classes: number of logits.
        in_channels: channels of the images.
        stem: `cifar` or `imagenet`.
        generator: source of the `noise` operation; None is torch's default.
        native: use the native kernels where they suit.

    Raises:
        SettingsError: a number or name that cannot be used.
    """
    return SUPERNETS[space.skeleton](
        space,
        channels=channels,
        cells=cells,
        num_classes=num_classes,
        in_channels=in_channels,
        stem=stem,
        generator=generator,
        native=native,
    )
