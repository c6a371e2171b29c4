"""Drop-path and dropout on identities in the supernets: the mean stays, and without them nothing changes."""

import pytest
import torch

from small import STACKED
from zarts.networks import seeded
from zarts.spaces import SPACES, get_space
from zarts.supernet import build_supernet
from zarts.supernet.active_ops import Running, layout
from zarts.supernet.drop import Drop

SIZES = {"channels": 4, "cells": 1, "num_classes": 3}


def network(name, generator=None, **other):
    space = get_space(name)
    with seeded(0):
        return build_supernet(space, **{**SIZES, "cells": 3 if name in STACKED else 1, **other}, generator=generator)


def mixture(name, requires_grad=False):
    return {
        kind: torch.full(shape, 1 / shape[1]).requires_grad_(requires_grad)
        for kind, shape in get_space(name).shapes.items()
    }


@pytest.fixture
def images(generator):
    return torch.randn(4, 3, 8, 8, generator=generator)


@pytest.mark.parametrize("form", ["paths", "elements"])
def test_the_mean_is_the_undropped_output(generator, form):
    drop, x = Drop(generator), torch.randn(2, 6, 2, 2, generator=generator)
    drop.path, drop.skip = 0.25, 0.25
    draw = {"paths": lambda: drop.paths(x, 3), "elements": lambda: drop.elements(x)}[form]
    draws = torch.stack([draw() for _ in range(4000)])
    error = (1 / 3 / 4000) ** 0.5 * x.abs()  # p / (1 - p) is the variance of a mask of mean 1
    assert ((draws.mean(0) - x).abs() <= 5 * error).all()
    assert {round(float(ratio), 4) for ratio in (draws / x).unique()} == {0.0, 1.3333}
    masks = (draws != 0).view(4000, 2, 2, 3, 4)  # draw, image, slot, channel, pixel
    together = (masks == masks[..., :1, :1]).all()
    assert bool(together) == (form == "paths")
    apart = masks[:, 0, 0, 0, 0] != masks[:, 1, 0, 0, 0]
    assert apart.float().mean() == pytest.approx(2 * 0.25 * 0.75, abs=0.05), "images are dropped independently"
    apart = masks[:, 0, 0, 0, 0] != masks[:, 0, 1, 0, 0]
    assert apart.float().mean() == pytest.approx(2 * 0.25 * 0.75, abs=0.05), "and so are operations"


@pytest.mark.parametrize("name", [*SPACES])
@pytest.mark.parametrize("kind", ["path", "skip"])
def test_masks_of_ones_are_the_plain_path(monkeypatch, images, name, kind):
    """The way through masks is that without them: a probability so small that nothing is dropped."""
    plain, dropped = (network(name, torch.Generator().manual_seed(1), native=False) for _ in range(2))
    setattr(dropped.drop, kind, 1e-30)
    space, kept = get_space(name), []
    one = space.one_hot(space.random(torch.Generator().manual_seed(0)))
    for weights in (mixture(name), mixture(name, requires_grad=True), one):

        def ones(self, x, shape, probability, kept=kept):
            kept.append(shape)
            return x.new_ones(shape)

        monkeypatch.setattr(Drop, "_kept", ones)
        outputs = [n(images, weights) for n in (plain, dropped)]
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    has_skips = "skip_connect" in space.operations
    assert bool(kept) == (kind == "path" or has_skips)


@pytest.mark.parametrize("name", ["darts", "s4", "nasbench201"])
@pytest.mark.parametrize("native", [False, True])
def test_without_probabilities_and_where_nothing_is_differentiated_nothing_is_dropped(images, name, native):
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    plain, other = (network(name, g, native=native) for g in generators)
    other.drop.path = other.drop.skip = 0.5
    weights = mixture(name)
    with torch.no_grad():
        assert torch.equal(plain(images, weights), other(images, weights)), "without gradients"
    plain.eval(), other.eval()
    assert torch.equal(plain(images, weights), other(images, weights)), "in eval mode"
    plain.train(), other.train()
    with other.drop.off():
        assert torch.equal(plain(images, weights), other(images, weights))
    assert torch.equal(generators[0].get_state(), generators[1].get_state())
    assert not torch.equal(plain(images, weights), other(images, weights))
    other.drop.path = other.drop.skip = 0.0
    generators[1].set_state(generators[0].get_state())
    buffers = dict(plain.named_buffers())
    for key, tensor in other.named_buffers():
        tensor.copy_(buffers[key])
    assert torch.equal(plain(images, weights), other(images, weights)), "to the bit"


@pytest.mark.parametrize("name", ["s2", "s4", "nasbench201"])
def test_the_same_generator_drops_the_same(images, name):
    outputs = []
    for seed in (1, 1, 2):
        dropped = network(name, torch.Generator().manual_seed(seed))
        dropped.drop.path = 0.5
        outputs.append(dropped(images, mixture(name)))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize(("op", "kind"), [(0, "skip"), (1, "path")])
def test_identities_are_spared_by_drop_path_and_only_they_lose_elements(generator, op, kind):
    """In a normal cell of space s2 where all edges are skips, or all are convolutions."""
    space = get_space("s2")
    weights = torch.nn.functional.one_hot(torch.full((14,), op), 2).float()
    net = network("s2", torch.Generator().manual_seed(1), native=False)
    inputs = [torch.randn(4, 12, 8, 8, generator=generator) for _ in range(2)]

    def output():
        return net.cells[0](*inputs, Running(layout(space, "normal"), weights))

    plain = output()
    setattr(net.drop, {"skip": "path", "path": "skip"}[kind], 0.5)
    assert torch.equal(output(), plain)
    setattr(net.drop, kind, 0.5)
    assert not torch.equal(output(), plain)
