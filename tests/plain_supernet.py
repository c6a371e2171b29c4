"""Comparison of the textbook supernet, the oracle, with the fast one at the same parameters."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from benchmarks.textbook import PlainSuperNet
from zarts.networks import seeded
from zarts.networks.operations import Noise
from zarts.spaces import get_space
from zarts.supernet import SuperNet

__all__ = ["compare", "copy_plain", "dense", "gradients", "one_hot", "pair", "same_tensors", "sparse"]


def same_tensors(plain: PlainSuperNet, fast: SuperNet) -> Iterator[tuple[str, Tensor, Tensor, slice]]:
    """Every parameter and running statistic: name, tensor of the plain one, and rows of which tensor of the fast one.

    Outside the edges the names are the same in both.
    """
    theirs, every = dict(fast.named_parameters()) | dict(fast.named_buffers()), slice(None)
    for name, tensor in [*plain.named_parameters(), *plain.named_buffers()]:
        if ".edges." not in name and not name.endswith("num_batches_tracked"):
            yield name, tensor, theirs[name], every
    for index, (old, _new) in enumerate(zip(plain.cells, fast.cells, strict=True)):
        for number, group in enumerate(fast.layouts[fast.kinds[index]]):
            for op, places in group.places.items():
                for slot, place in enumerate(places):
                    edge = old.edges[place.edge]
                    edge = MergedPart(edge) if place.merges else edge.ops[place.op]
                    prefix = f"cells.{index}.groups.{number}.ops.{op}."
                    for name, tensor in [*edge.named_parameters(), *edge.named_buffers()]:
                        if name.endswith("num_batches_tracked"):
                            continue
                        target = theirs[prefix + _translate(name, op)]
                        rows = target.shape[0] // len(places)
                        view = slice(slot, slot + 1) if "running" in name else slice(slot * rows, (slot + 1) * rows)
                        yield f"cell {index} edge {place.edge} {op} {name}", tensor, target, view


class MergedPart(nn.Module):
    """The shared tensors of an edge of `plain_merged`."""

    def __init__(self, edge: nn.Module) -> None:
        super().__init__()
        self.depthwise, self.pointwise, self.norm = edge.depthwise, edge.pointwise, edge.norm


def _translate(name: str, op: str) -> str:
    """Name of a tensor within the fast supernet's stack, from that within the plain operation."""
    if "pool" in op:
        return name.replace("1.running_", "")
    name = name.replace("0.", "first.", 1) if name.startswith("0.") else name.replace("1.", "second.", 1)
    name = name.replace("depthwise.weight", "depthwise").replace("even.weight", "even").replace("odd.weight", "odd")
    return name.replace("running_", "")


def copy_plain(plain: PlainSuperNet, fast: SuperNet) -> None:
    """Give the fast supernet the parameters and statistics of the plain one."""
    with torch.no_grad():
        for _, tensor, target, rows in same_tensors(plain, fast):
            target[rows] = tensor.view_as(target[rows])


def pair(space, dtype=torch.float64, plain=PlainSuperNet, own=None, **settings):
    """The plain and the fast supernet with the same parameters, and other running statistics than the initial ones.

    Args:
        space: by name.
        dtype: of all numbers.
        plain: builds the plain one.
        own: settings that only the fast one has.
        settings: of both.
    """
    settings = {"channels": 4, "cells": 3, "num_classes": 5, "in_channels": 1} | settings
    ours, theirs = (torch.Generator().manual_seed(3) for _ in range(2))
    noise = Noise(1, theirs)  # its numbers depend on the memory layout
    with seeded(0):
        plain = plain(
            get_space(space), draw=lambda x: noise(x.contiguous(memory_format=torch.channels_last)), **settings
        ).to(dtype)
        fast = SuperNet(get_space(space), generator=ours, **settings, **(own or {})).to(dtype)
        for name, tensor in plain.named_buffers():
            if "running" in name:
                tensor.copy_(torch.rand_like(tensor) + (0.5 if name.endswith("var") else 0))
    copy_plain(plain, fast)
    return plain, fast


def dense(shapes, generator):
    return {kind: torch.rand(shape, generator=generator, dtype=torch.float64) for kind, shape in shapes.items()}


def one_hot(shapes, generator):
    chosen = {kind: torch.randint(ops, (edges,), generator=generator) for kind, (edges, ops) in shapes.items()}
    return {kind: nn.functional.one_hot(rows, shapes[kind][1]).double() for kind, rows in chosen.items()}


def sparse(shapes, generator):
    return {kind: w * (w > 0.5) for kind, w in dense(shapes, generator).items()}


def gradients(net, images, weights, differentiable):
    weights = {kind: w.clone().requires_grad_(differentiable) for kind, w in weights.items()}
    logits = net(images, weights)
    logits.square().sum().backward()
    return logits.detach(), [w.grad for w in weights.values()]


def compare(plain, fast, images, weights, differentiable, **tolerance):
    (logits, alphas), (expected, expected_alphas) = (
        gradients(net, images, weights, differentiable) for net in (fast, plain)
    )
    torch.testing.assert_close(logits, expected, **tolerance)
    torch.testing.assert_close(alphas, expected_alphas, **tolerance)
    compared = 0
    for name, tensor, target, rows in same_tensors(plain, fast):
        torch.testing.assert_close(target[rows].reshape(tensor.shape), tensor, msg=lambda m, name=name: f"{name}: {m}")
        if isinstance(tensor, nn.Parameter):
            compared += tensor.numel()
            gradient = torch.zeros_like(target) if target.grad is None else target.grad
            theirs = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
            torch.testing.assert_close(
                gradient[rows].reshape(tensor.shape), theirs, msg=lambda m, name=name: f"{name}: {m}", **tolerance
            )
    assert compared == sum(parameter.numel() for parameter in fast.parameters())
