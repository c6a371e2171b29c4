"""Table of cases: a weight step of the textbook supernet, and the same step of the supernet of zarts.

A new case is one more entry of `CASES`. All its members can be pickled, because memory is measured in other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.textbook import PlainSuperNet
from benchmarks.textbook_nasbench201 import PlainNasBench201
from zarts.bilevel import Batch, BatchLoss, Bilevel
from zarts.config import SearchSettings
from zarts.networks import seeded
from zarts.relax import softmax
from zarts.spaces import get_space
from zarts.supernet import build_supernet
from zarts.training.setup import weight_optimizer

__all__ = ["CASES", "Case", "Size", "Step", "case", "fast_problem", "fast_step", "forward_flops", "plain_step"]

Step = Callable[[], object]
Weights = Mapping[str, Tensor]
CLASSES = 10


@dataclass(frozen=True)
class Size:
    """A supernet and its batch.

    Args:
        space: name of the space.
        channels: channels of a node in the first cells.
        cells: number of cells; with skeleton `nasbench201` cells a stage.
        batch: number of images.
        side: side of an image in pixels.
        stem: name of the stem.
    """

    space: str
    channels: int
    cells: int
    batch: int
    side: int
    stem: str = "cifar"

    @property
    def net(self) -> dict[str, Any]:
        """Arguments of a supernet, beside space and stem."""
        return {"channels": self.channels, "cells": self.cells, "num_classes": CLASSES}

    def __str__(self) -> str:
        return (
            f"{self.space}, {self.channels} channels, {self.cells} cells, batch {self.batch}, {self.side}×{self.side}"
        )


@dataclass(frozen=True)
class Case:
    """A row of the benchmark.

    Args:
        what: description for the reader.
        plain: builds the step of the textbook supernet.
        fast: builds the step of the zarts supernet.
        flops: floating-point operations of a forward pass: of the convolutions of the textbook supernet, and of those
            among them that the zarts supernet must run.
    """

    what: str
    plain: Callable[[], Step]
    fast: Callable[[], Step]
    flops: Callable[[], tuple[int, int]]


def data(size: Size) -> Batch:
    """A fixed batch of random images and labels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(size.batch, 3, size.side, size.side, generator=generator)
    return images, torch.randint(CLASSES, (size.batch,), generator=generator)


def architecture(space: str) -> Tensor:
    """Flat alpha at the start of a search."""
    return 1e-3 * torch.randn(get_space(space).dimension, generator=torch.Generator().manual_seed(0))


def mixed_weights(space: str) -> Weights:
    """The weights of all operations at the start of a search."""
    return softmax(get_space(space).split(architecture(space)))


def single_path(space: str) -> Weights:
    """One operation an edge, the candidates in turn."""
    return {kind: torch.eye(ops)[torch.arange(edges) % ops] for kind, (edges, ops) in get_space(space).shapes.items()}


def plain_net(size: Size) -> PlainSuperNet | PlainNasBench201:
    """The textbook supernet."""
    space = get_space(size.space)
    with seeded(0):
        if space.skeleton == "nasbench201":
            return PlainNasBench201(space, **size.net)
        return PlainSuperNet(space, **size.net, stem=size.stem)


def plain_step(size: Size, *, one_path: bool = False) -> Step:
    """The weight step of the textbook supernet, written plainly; with `one_path` it runs `single_path`."""
    net, (images, labels) = plain_net(size), data(size)
    weights = single_path(size.space) if one_path else mixed_weights(size.space)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)

    def step() -> None:
        optimizer.zero_grad()
        functional.cross_entropy(net(images, weights), labels).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()

    return step


def fast_problem(size: Size, *, one_path: bool = False, device: torch.device | str = "cpu") -> Bilevel:
    """The weights and optimizer of a search of that size; with `one_path` it runs `single_path`, whatever alpha is.

    Args:
        size: the supernet.
        one_path: run one operation an edge.
        device: of the supernet; weights and batches have to be there, too.
    """
    space, settings = get_space(size.space), SearchSettings()
    with seeded(0):
        net = build_supernet(space, **size.net, stem=size.stem).to(device)
    path = {kind: rows.to(device) for kind, rows in single_path(size.space).items()} if one_path else None

    def forward(alpha: Tensor, batch: Batch) -> BatchLoss:
        images, labels = batch
        logits = net(images, path or softmax(space.split(alpha)))
        return BatchLoss(functional.cross_entropy(logits, labels), (logits.detach().argmax(1) == labels).sum())

    return Bilevel(net, weight_optimizer(settings, net.parameters()), forward, grad_clip=settings.grad_clip)


def fast_step(size: Size, *, one_path: bool = False) -> Step:
    """The weight step of the zarts supernet."""
    return partial(fast_problem(size, one_path=one_path).weight_step, architecture(size.space), data(size))


def forward_flops(size: Size, *, one_path: bool = False) -> tuple[int, int]:
    """Floating-point operations of convolutions and classifier: with all operations, and with those that must run."""
    few = replace(size, batch=2)
    net, (images, _) = plain_net(few), data(few)

    def count(weights: Weights) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(images, weights)
        return counter.get_total_flops() * size.batch // few.batch

    mixed = count(mixed_weights(size.space))
    return mixed, count(single_path(size.space)) if one_path else mixed


def case(size: Size, *, one_path: bool = False, plain_one_path: bool = False) -> Case:
    """All operations in the textbook supernet against all in that of zarts, or single paths of either."""
    paths = "; one operation an edge" if one_path else ""
    return Case(
        f"{size}{paths}{' against all' if one_path and not plain_one_path else ''}",
        partial(plain_step, size, one_path=plain_one_path),
        partial(fast_step, size, one_path=one_path),
        partial(forward_flops, size, one_path=one_path),
    )


PAPER = Size("darts", channels=16, cells=8, batch=64, side=32)
NB201_SMALL = Size("nasbench201", channels=8, cells=1, batch=16, side=16)

CASES: dict[str, Case] = {
    "paper": case(PAPER),
    "small": case(Size("darts", channels=4, cells=5, batch=32, side=16)),
    "s2": case(Size("s2", channels=16, cells=8, batch=64, side=32)),
    "one-hot": case(PAPER, one_path=True),
    "nb201 paper": case(Size("nasbench201", channels=16, cells=5, batch=64, side=32)),
    "nb201 small": case(NB201_SMALL),
    "nb201 one-hot": case(NB201_SMALL, one_path=True, plain_one_path=True),
}
