"""The hand-made networks that a fit compares first, and the variants of the better ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from zarts.planner.records import Candidate
from zarts.spaces import Chain, handmade

__all__ = ["Wanted", "others", "probes", "variants"]

_OTHERS = ("resnet14", "vgg", "mobilenet_v2", "ds_cnn", "resnet20")
"""Hand-made networks beside ResNet-8, those that were better on small images first."""


class Wanted(NamedTuple):
    """A network that is to be tried, at the widths that the limits allow."""

    chain: Chain
    image_size: int


def probes(sizes: Sequence[int]) -> list[Wanted]:
    """ResNet-8 at each image size with stem strides of 2 and 1: what the others are then tried at."""
    both = [Wanted(handmade("resnet8", 1.0, stride).for_images(size), size) for stride in (2, 1) for size in sizes]
    return list(dict.fromkeys(both))


def others(size: int, stem_stride: int) -> list[Wanted]:
    """The other hand-made networks at an image size, with a stride of the stem."""
    return [Wanted(handmade(name, 1.0, stem_stride).for_images(size), size) for name in _OTHERS]


def variants(one: Candidate, sizes: Sequence[int]) -> Iterator[Wanted]:
    """A network with other strides of its stem, and at other image sizes."""
    strides = [stride for stride in (1, 2) if stride != one.chain.stem.stride]
    for stride in strides:
        chain = replace(one.chain, stem=replace(one.chain.stem, stride=stride))
        yield Wanted(chain.for_images(one.image_size), one.image_size)
    for size in sizes:
        if size != one.image_size:
            yield Wanted(one.chain.for_images(size), size)
