import pytest
import torch
from torch import nn

from benchmarks.textbook import PlainSuperNet
from plain_supernet import copy_plain, same_tensors
from small import STACKED
from zarts.nets import SuperNet, seeded
from zarts.nets.operations import Noise
from zarts.spaces import get_space


def pair(space, dtype=torch.float64, **settings):
    """The plain and the fast supernet with the same parameters, and other running statistics than the initial ones."""
    settings = {"channels": 4, "cells": 3, "num_classes": 5, "in_channels": 1} | settings
    ours, theirs = (torch.Generator().manual_seed(3) for _ in range(2))
    noise = Noise(1, theirs)  # its numbers depend on the memory layout
    with seeded(0):
        plain = PlainSuperNet(
            get_space(space), draw=lambda x: noise(x.contiguous(memory_format=torch.channels_last)), **settings
        ).to(dtype)
        fast = SuperNet(get_space(space), generator=ours, **settings).to(dtype)
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


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("draw", [dense, one_hot, sparse])
@pytest.mark.parametrize("space", STACKED)
def test_equals_the_plain_supernet(space, draw, mode, generator):
    plain, fast = pair(space)
    plain.train(mode == "train")
    fast.train(mode == "train")
    images = torch.randn(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    weights = draw(fast.shapes, generator)
    for row in (row for matrix in weights.values() for row in matrix if not row.any()):
        row[0] = 1  # the plain one knows no edge without any weight
    for differentiable in (False, True):
        compare(plain, fast, images, weights, differentiable)


@pytest.mark.parametrize("space", ["darts", "s1", "s2"])
@pytest.mark.parametrize(("stem", "sides"), [("cifar", (7, 9)), ("cifar", (14, 14)), ("imagenet", (37, 33))])
def test_equals_it_for_odd_sizes_and_the_other_stem(space, stem, sides, generator):
    plain, fast = pair(space, stem=stem, in_channels=3, channels=3)
    images = torch.randn(2, 3, *sides, generator=generator, dtype=torch.float64)
    compare(plain, fast, images, dense(fast.shapes, generator), True)


@pytest.mark.parametrize("channels", [2, 5, 8, 16])
def test_equals_it_for_any_number_of_channels(channels, generator):
    plain, fast = pair("darts", channels=channels)
    images = torch.randn(2, 1, 8, 8, generator=generator, dtype=torch.float64)
    compare(plain, fast, images, dense(fast.shapes, generator), True)


def test_equals_it_in_single_precision(generator):
    plain, fast = pair("darts", torch.float32, cells=4)
    images = torch.randn(8, 1, 16, 16, generator=generator)
    weights = {kind: w.float() for kind, w in dense(fast.shapes, generator).items()}
    compare(plain.eval(), fast.eval(), images, weights, True, rtol=1e-3, atol=1e-3)


def test_second_derivatives_are_those_of_the_plain_supernet(generator):
    """The exact product with the mixed second derivative, which second-order DARTS needs."""
    plain, fast = pair("darts", cells=3, channels=2)
    images = torch.randn(2, 1, 6, 6, generator=generator, dtype=torch.float64)
    weights = dense(fast.shapes, generator)
    products = []
    for net in (plain, fast):
        alphas = [w.clone().requires_grad_() for w in weights.values()]
        loss = net(images, dict(zip(weights, alphas, strict=True))).square().sum()
        parameters = list(net.parameters())
        first = torch.autograd.grad(loss, parameters, create_graph=True)
        length = sum(gradient.square().sum() for gradient in first)
        products.append(torch.autograd.grad(length, alphas))
    torch.testing.assert_close(products[1], products[0])


def test_same_inputs_give_the_same_bits(generator):
    _, fast = pair("darts", torch.float32)
    images = torch.randn(8, 1, 16, 16, generator=generator)
    weights = {kind: w.float() for kind, w in dense(fast.shapes, generator).items()}
    fast.eval()
    results = []
    for _ in range(2):
        fast.zero_grad()
        logits, alphas = gradients(fast, images, weights, True)
        results.append([logits, *alphas, *(parameter.grad for parameter in fast.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
