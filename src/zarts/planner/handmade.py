"""The hand-made networks that a fit compares first, the variants of the better ones, and these at several widths."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from zarts.planner.candidates import Candidates
from zarts.planner.costs import TimeOver
from zarts.planner.promises import clearly_behind
from zarts.planner.records import Candidate, Plan
from zarts.spaces import Chain, handmade

__all__ = ["Wanted", "filled", "first_share", "others", "probes", "variants", "worthwhile"]

_OTHERS = ("vgg", "resnet14", "mobilenet_v2", "ds_cnn", "resnet20")
"""Hand-made networks beside ResNet-8, those that were better on small images first."""
_EPOCHS = 10
"""Epochs of a final training that are enough for a network as wide as the limits allow."""
_HALVES = 6
_FILLED, _MORE = 3, 1.15
"""Networks that are tried with other widths, at most, and how much more of a limit they need to use for that."""
_BEHIND = 0.3
"""Share of the value that the best one promises: one that promises so much more is not tried wider."""


class Wanted(NamedTuple):
    """A network that is to be tried, as wide as a share of the limits allows."""

    chain: Chain
    image_size: int
    share: float = 1.0


def first_share(epochs: float) -> float:
    """The share of the limits that hand-made networks begin with: 1 or, where time is short, 1/2, 1/4 and so on.

    A narrower network takes more steps in the same time. With a quarter of its multiply-adds ResNet-8 was better on
    CIFAR-10 where the widest one had time for three epochs, see docs/fit.md.

    Args:
        epochs: of a final training of a network that uses all of the limits.
    """
    return float(2 ** -min(_HALVES, max(0, round(math.log2(_EPOCHS / epochs)))))


def probes(sizes: Sequence[int], share: float) -> list[Wanted]:
    """ResNet-8 as the others are then tried: at each image size, with stem strides of 2 and 1, or wider.

    Args:
        sizes: of the images.
        share: of the limits. Where it is 1 both strides are tried; below, a stride of 2 and, too, twice the share.
    """
    if share < 1:
        widths = [(size, share) for size in sizes] + [(sizes[0], 2 * share)]
        return [Wanted(handmade("resnet8", 1.0, 2).for_images(size), size, part) for size, part in widths]
    both = [Wanted(handmade("resnet8", 1.0, stride).for_images(size), size) for stride in (2, 1) for size in sizes]
    return list(dict.fromkeys(both))


def others(size: int, stem_stride: int, share: float = 1.0) -> list[Wanted]:
    """The other hand-made networks at an image size, with a stride of the stem, as wide as that share allows."""
    return [Wanted(handmade(name, 1.0, stem_stride).for_images(size), size, share) for name in _OTHERS]


def worthwhile(tried: Sequence[Candidate], times: float) -> list[Candidate]:
    """The networks without those that another one dwarfs: with so many times their weights and multiply-adds.

    In little RAM ResNet-8 with a stem of stride 1 has room for one channel.
    """

    def dwarfs(big: Candidate, small: Candidate) -> bool:
        return big.parameters > times * small.parameters and big.macs > times * small.macs

    return [one for one in tried if not any(dwarfs(other, one) for other in tried)]


def variants(one: Candidate, sizes: Sequence[int], share: float = 1.0) -> Iterator[Wanted]:
    """A network with other strides of its stem, and at other image sizes, as wide as that share allows."""
    strides = [stride for stride in (1, 2) if stride != one.chain.stem.stride]
    for stride in strides:
        chain = replace(one.chain, stem=replace(one.chain.stem, stride=stride))
        yield Wanted(chain.for_images(one.image_size), one.image_size, share)
    for size in sizes:
        if size != one.image_size:
            yield Wanted(one.chain.for_images(size), size, share)


def filled(known: Candidates, plan: Plan, length: str, shares: Mapping[int, float]) -> list[Candidate]:
    """The better hand-made networks with what one width leaves of the limits, see `Costing.filled`; the best first.

    Only those that use clearly more of a limit then, and none that promises much less than the best one. None in a plan
    of a search that began before there were such.

    Args:
        known: the networks of a fit.
        plan: what was decided before.
        length: hand-made networks are compared by what they promise after a training of it.
        shares: of the limits, that they may use, by number; 1 for those that are not there.
    """

    def decide() -> list[dict[str, Any]]:
        promises, found = known.promises(length), list[dict[str, Any]]()
        best = min(promises.values(), default=math.inf)
        for one in known.numbered(sorted(promises, key=lambda number: (promises[number], number))):
            behind = clearly_behind(promises[one.number], best, _BEHIND)
            if one.origin != "hand-made" or behind or len(found) == _FILLED:
                continue
            share = shares.get(one.number, 1.0)
            try:
                wide = known.costing.filled(one.chain, one.image_size, share, known.measuring)
            except TimeOver:
                break
            costs = [known.costing.of(chain, one.image_size) for chain in (one.chain, wide)]
            before, after = map(known.costing.shares, costs)
            if any(more.share >= _MORE * used.share for used, more in zip(before, after, strict=True)):
                found.append({"chain": wide.to_dict(), "image_size": one.image_size, "parent": one.number})
        return found

    rows = [] if plan.has("round 1") and not plan.has("filled") else plan.decide("filled", decide)
    return [known.add(Chain.from_dict(row["chain"]), row["image_size"], "found", row["parent"]) for row in rows]
