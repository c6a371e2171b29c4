"""Stratified splits and subsets: every part has the class proportions of the whole."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from zarts.errors import DataError, SettingsError
from zarts.runtime.seed import keyed_generator

__all__ = ["halves", "split_test", "subset_indices"]

TEST_FRACTION = 0.2


def halves(labels: Int64[Tensor, " n"], seed: int) -> tuple[Int64[Tensor, " a"], Int64[Tensor, " b"]]:
    """Two disjoint stratified halves of the training images: one trains the weights, one evaluates alpha.

    The images are shuffled, sorted by class, and dealt in turn to the two halves. So the halves differ by at most one
    image, in each class and in all.

    Args:
        labels: (n,) class of each image.
        seed: another seed gives other halves.

    Returns:
        `(weights, alpha)`: ascending indices; an odd image goes to `weights`.

    Raises:
        DataError: there are fewer than two images.

    Source: Liu et al., DARTS (ICLR 2019), section 3.1 (two halves).
    Differs: DARTS cuts a random order in two, without stratification.
    """
    if len(labels) < 2:
        raise DataError(f"the training set has {len(labels)} images; two halves need 2 or more")
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
