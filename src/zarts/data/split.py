"""Stratified splits and subsets: every part has the class proportions of the whole."""

from __future__ import annotations

from collections import Counter

import torch
from jaxtyping import Int64
from torch import Tensor

from zarts.errors import DataError, SettingsError
from zarts.runtime.seed import keyed_generator

__all__ = ["TEST_FRACTION", "UnitsError", "halves", "split_test", "split_units", "subset_indices"]

TEST_FRACTION = 0.2


def halves(
    labels: Int64[Tensor, " n"], seed: int, units: Int64[Tensor, " n"] | None = None
) -> tuple[Int64[Tensor, " a"], Int64[Tensor, " b"]]:
    """Two disjoint stratified halves of the training images: one trains the weights, one evaluates alpha.

    The images are shuffled, sorted by class, and dealt in turn to the two halves. So the halves differ by at most one
    image, in each class and in all.

    Args:
        labels: (n,) class of each image.
        seed: another seed gives other halves.
        units: (n,) images of the same unit stay together, see `split_units`; None: each image is one.

    Returns:
        `(weights, alpha)`: ascending indices; an odd image goes to `weights`.

    Raises:
        DataError: there are fewer than two images.

    Source: Liu et al., DARTS (ICLR 2019), section 3.1 (two halves).
    Differs: DARTS cuts a random order in two, without stratification.
    """
    if len(labels) < 2:
        raise DataError(f"the training set has {len(labels)} images; two halves need 2 or more")
    if units is not None:
        return split_units(labels, units, seed, "halves", share=0.5, each=False)
    order = _shuffled(len(labels), keyed_generator(seed, "halves"))
    by_class = order[torch.argsort(labels.cpu()[order], stable=True)]
    return by_class[0::2].sort().values, by_class[1::2].sort().values


def subset_indices(labels: Int64[Tensor, " n"], size: int | float | None, seed: int) -> Int64[Tensor, " m"]:
    """Ascending indices of a stratified subset with at least one image of each class.

    With the same seed, a smaller subset is part of a larger one.

    Args:
        labels: (n,) class of each training image.
        size: number of images, or, as a float below 1, their share; None is all.
        seed: another seed gives another subset.

    Raises:
        SettingsError: `size` is not positive, or a float of 1 or more.
        DataError: `size` exceeds the number of images, or is less than the number of classes.
    """
    if size is None:
        return torch.arange(len(labels))
    if isinstance(size, float) and 0 < size < 1:
        size = round(size * len(labels))
    elif isinstance(size, float) or size < 1:
        raise SettingsError(f"subset is {size}: take a number of training images, 1 or more, or a share below 1")
    classes = _classes_in(labels)
    if size > len(labels):
        raise DataError(f"subset is {size}, but there are {len(labels)} training images: take that many or fewer")
    if size < classes:
        raise DataError(f"subset is {size}, but there are {classes} classes: take one image of each or more")
    return _stratified_order(labels, keyed_generator(seed, "subset"))[:size].sort().values


def split_test(labels: Int64[Tensor, " n"], *key: int | str) -> tuple[Int64[Tensor, " a"], Int64[Tensor, " b"]]:
    """Set a fifth of the images aside for the test, stratified, at least one image of each class.

    Args:
        labels: (n,) class of each image; every class has two images or more.
        key: all that the split depends on, for example the seed.

    Returns:
        `(train, test)`: ascending indices.
    """
    size = max(round(TEST_FRACTION * len(labels)), _classes_in(labels))
    order = _stratified_order(labels, keyed_generator(*key, "test"))
    return order[size:].sort().values, order[:size].sort().values


def split_units(
    labels: Int64[Tensor, " n"],
    units: Int64[Tensor, " n"],
    *key: int | str,
    share: float = TEST_FRACTION,
    known: Int64[Tensor, " n"] | None = None,
    each: bool = True,
) -> tuple[Int64[Tensor, " a"], Int64[Tensor, " b"]]:
    """Split images in two parts so that the images of a unit stay together.

    The units are dealt in random order. A unit goes to the second part if that brings its classes nearer to their
    share there. A class without any image in the second part then gives its smallest unit, unless images have a part
    already.

    Args:
        labels: (n,) class of each image.
        units: (n,) unit of each image, such as copies of one picture, or frames of one film.
        key: all that the split depends on, for example the seed.
        share: of the images of each class that the second part gets, rounded, and at least one image.
        known: (n,) 0 or 1 is the part that an image has already, -1 that it has none; None: none has.
        each: whether each class needs images in both parts; otherwise a class of a single unit is in the first one.

    Returns:
        `(first, second)`: ascending indices.

    Raises:
        UnitsError: each class needs images in both parts, and all those of one are in one unit.
    """
    given = [-1] * len(labels) if known is None else known.tolist()
    wanted = (share * torch.bincount(labels)).round().clamp(min=1).long().tolist()
    classes: list[int] = labels.tolist()
    members: dict[int, list[int]] = {}
    for index, unit in enumerate(units.tolist()):
        members.setdefault(unit, []).append(index)
    part = list(given)
    for index, where in enumerate(given):
        wanted[classes[index]] -= where == 1
    free: list[list[int]] = []
    for images in members.values():
        fixed = [given[i] for i in images if given[i] >= 0]
        if not fixed:
            free.append(images)
        for i in images:
            if fixed and part[i] < 0:
                part[i] = fixed[0]
                wanted[classes[i]] -= fixed[0]
    order = _shuffled(len(free), keyed_generator(*key, "units")).tolist()
    for images in (free[i] for i in order):
        counts = Counter(classes[i] for i in images)
        nearer = sum(abs(wanted[kind]) - abs(wanted[kind] - count) for kind, count in counts.items()) > 0
        for i in images:
            part[i] = int(nearer)
            wanted[classes[i]] -= nearer
    if known is None:
        _give_each_class_one(part, classes, [free[i] for i in order], each=each)
    second = torch.tensor(part) == 1
    return (~second).nonzero().flatten(), second.nonzero().flatten()


def _give_each_class_one(part: list[int], classes: list[int], units: list[list[int]], *, each: bool) -> None:
    """Move a unit to the second part for each class that has none there, and to the first one likewise.

    Raises:
        UnitsError: a class has but one unit, and `each` class needs images in both parts.
    """
    for where in (1, 0):
        there = Counter(kind for kind, own in zip(classes, part, strict=True) if own == where)
        for kind in sorted(set(classes) - set(there)):
            count = Counter(classes[i] for i, own in enumerate(part) if own != where)
            fitting = [
                images
                for images in units
                if any(classes[i] == kind for i in images)
                and all(count[other] > images_of for other, images_of in Counter(classes[i] for i in images).items())
            ]
            if not fitting and each:
                raise UnitsError(kind)
            if not fitting and where == 0:
                fitting = [images for images in units if any(classes[i] == kind for i in images)]
            for i in min(fitting, key=len, default=()):
                part[i] = where


class UnitsError(Exception):
    """A class cannot be divided, because all its images stay together.

    Args:
        kind: the class.
    """

    def __init__(self, kind: int) -> None:
        super().__init__(f"all images of class {kind} stay together")
        self.kind = kind


def _stratified_order(labels: Int64[Tensor, " n"], generator: torch.Generator) -> Int64[Tensor, " n"]:
    """A random order of which every prefix is stratified.

    The image of rank r among the n_c of its class comes at (r + 1/2) / n_c, so each class is spread
    evenly over the order (a Sainte-Laguë apportionment). One image of each class comes before all others.
    """
    order = _shuffled(len(labels), generator)
    counts = torch.bincount(labels)
    by_class = order[torch.argsort(labels[order], stable=True)]
    counts_of = counts[labels[by_class]]
    starts = (counts.cumsum(0) - counts)[labels[by_class]]
    rank = torch.arange(len(labels)) - starts
    quantile = torch.where(rank == 0, -1.0, (rank + 0.5) / counts_of.double())
    position = torch.empty(len(labels), dtype=torch.float64)
    position[by_class] = quantile
    return order[torch.argsort(position[order], stable=True)]  # ties stay in random order


def _classes_in(labels: Int64[Tensor, " n"]) -> int:
    return int((torch.bincount(labels) > 0).sum())


def _shuffled(n: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
    return torch.randperm(n, generator=generator)
