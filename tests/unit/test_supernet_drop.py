"""Drop-path and dropout on identities in the supernets: the textbook's edges times a mask, and the mean stays."""

import pytest
import torch

from benchmarks.textbook_nasbench201 import PlainNasBench201
from plain_merged import plain_merged
from plain_nasbench201 import copy_plain
from plain_partial import plain_partial
from plain_supernet import compare, dense, gradients, one_hot, pair
from small import STACKED
from zarts.networks import seeded
from zarts.spaces import SPACES, get_space
from zarts.supernet import NasBench201SuperNet, build_supernet
from zarts.supernet.active_ops import Running, layout
from zarts.supernet.drop import Drop

SIZES = {"channels": 4, "cells": 1, "num_classes": 3}
P = 0.3
FORMS = {
    "mixed": lambda space: pair(space),
    "partial": lambda space: pair(space, plain=plain_partial(2), own={"parts": 2}),
    "merged": lambda space: pair(space, plain=plain_merged, own={"merged": True}),
}


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


def given(monkeypatch, net, masks):
    """The cells of the supernet take these masks, one after the other."""
    net.drop.path, left = P, list(masks)
    monkeypatch.setattr(Drop, "_kept", lambda self, x, shape, p: left.pop(0))
    return left


def drop_edges(plain, masks):
    """The textbook supernet whose cells multiply what their edges give by the masks `(batch, edges)`."""
    cells = [cell for cell in plain.modules() if hasattr(cell, "edges")]
    for cell, mask in zip(cells, masks, strict=True):
        for number, edge in enumerate(cell.edges):
            for part in edge if isinstance(edge, torch.nn.ModuleList) else [edge]:
                part.register_forward_hook(lambda _, x, y, kept=mask[:, number]: y * kept[:, None, None, None])


def drawn(generator, cells, images, edges):
    return [(torch.rand(images, edges, generator=generator) >= P).double() / (1 - P) for _ in range(cells)]


@pytest.mark.parametrize("draw", [dense, one_hot])
@pytest.mark.parametrize(
    ("form", "space"), [("mixed", "darts-zero"), ("mixed", "s2"), ("mixed", "s4"), ("partial", "s3"), ("merged", "s1")]
)
def test_an_edge_is_dropped_with_all_its_operations(monkeypatch, generator, form, space, draw):
    """The textbook's mixed edge times one mask, skip and bypassing channels included: outputs and all gradients."""
    plain, fast = FORMS[form](space)
    masks = drawn(generator, 3, 3, 14)
    drop_edges(plain, masks)
    left = given(monkeypatch, fast, masks)
    images = torch.randn(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    compare(plain, fast, images, draw(fast.shapes, generator), draw is dense)
    assert not left


def test_an_edge_of_nasbench201_is_dropped_with_all_its_operations(monkeypatch, generator):
    space, sizes = get_space("nasbench201"), {"channels": 4, "cells": 1, "num_classes": 5, "in_channels": 1}
    plain, fast = PlainNasBench201(space, **sizes).double(), NasBench201SuperNet(space, **sizes).double()
    copy_plain(plain, fast)
    masks = drawn(generator, 3, 3, 6)
    drop_edges(plain, masks)
    left = given(monkeypatch, fast, masks)
    images = torch.randn(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    weights = dense(space.shapes, generator)
    (ours, alpha), (theirs, expected) = (gradients(net, images, weights, True) for net in (fast, plain))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(alpha, expected)
    assert not left


def cell_output(net, space, weights, generator):
    inputs = [torch.randn(4, 12, 4, 4, generator=generator) for _ in range(2)]
    return lambda: net.cells[0](*inputs, Running(layout(space, "normal"), weights))


def test_a_cell_whose_edges_are_all_dropped_gives_0(monkeypatch, generator):
    """In spaces with skips, pools and noise too; what is spared would be up to 15."""
    for name in ("darts", "s2", "s4"):
        space, net = get_space(name), network(name, torch.Generator().manual_seed(1))
        output = cell_output(net, space, mixture(name)["normal"], generator)
        assert output().abs().max() > 1
        monkeypatch.setattr(Drop, "_kept", lambda self, x, shape, p: x.new_zeros(shape))
        net.drop.path = P
        assert output().abs().max() == 0
        monkeypatch.undo()


def test_the_first_node_has_the_distribution_of_two_independent_edges(generator):
    """With edges a and b: 0, a, b or a + b, over 1 - p; of mean a + b and variance p / (1 - p) (a^2 + b^2)."""
    space, net, images = get_space("s2"), network("s2", torch.Generator().manual_seed(1)), 4000
    weights = torch.rand(14, 2, generator=generator)
    inputs = [torch.randn(images, 12, 4, 4, generator=generator) for _ in range(2)]

    def first_node(without=()):
        rows = torch.tensor([float(edge not in without) for edge in range(14)])
        return net.cells[0](*inputs, Running(layout(space, "normal"), weights * rows[:, None]))[:, :4].detach()

    a, b = first_node([1]), first_node([0])
    net.drop.path = P
    node = first_node()
    distance = (node - torch.stack([0 * a, a, b, a + b]) / (1 - P)).abs().amax(dim=(2, 3, 4))  # case, image
    assert distance.amin(0).max() < 1e-4, "an image loses an edge as a whole"
    shares = torch.bincount(distance.argmin(0), minlength=4) / images
    expected = torch.tensor([P * P, (1 - P) * P, P * (1 - P), (1 - P) ** 2])
    torch.testing.assert_close(shares, expected, atol=4 * 0.5 / images**0.5, rtol=0)
    variance = P / (1 - P) * (a**2 + b**2).mean()
    assert float((node - a - b).square().mean()) == pytest.approx(float(variance), rel=0.05)


def test_the_mean_of_dropped_elements_is_the_undropped_output(generator):
    drop, x = Drop(generator), torch.randn(2, 6, 2, 2, generator=generator)
    drop.skip = 0.25
    draws = torch.stack([drop.elements(x) for _ in range(4000)])
    error = (1 / 3 / 4000) ** 0.5 * x.abs()  # p / (1 - p) is the variance of a mask of mean 1
    assert ((draws.mean(0) - x).abs() <= 5 * error).all()
    assert {round(float(ratio), 4) for ratio in (draws / x).unique()} == {0.0, 1.3333}
    masks = (draws != 0).flatten(1)
    apart = (masks[:, 1:] != masks[:, :1]).float().mean(0)
    torch.testing.assert_close(apart, torch.full_like(apart, 2 * 0.25 * 0.75), atol=0.05, rtol=0)


@pytest.mark.parametrize("name", [*SPACES])
def test_dropout_on_skips_with_masks_of_ones_is_the_plain_path(monkeypatch, images, name):
    """The way through masks is that without them: a probability so small that nothing is dropped."""
    plain, dropped = (network(name, torch.Generator().manual_seed(1), native=False) for _ in range(2))
    dropped.drop.skip = 1e-30
    space, kept = get_space(name), []
    one = space.one_hot(space.random(torch.Generator().manual_seed(0)))
    for weights in (mixture(name), mixture(name, requires_grad=True), one):

        def ones(self, x, shape, probability, kept=kept):
            kept.append(shape)
            return x.new_ones(shape)

        monkeypatch.setattr(Drop, "_kept", ones)
        outputs = [n(images, weights) for n in (plain, dropped)]
        torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-4, atol=1e-5)
    assert bool(kept) == ("skip_connect" in space.operations)


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


def test_only_identities_lose_elements(generator):
    """In a normal cell of space s2 where all edges are skips, or all are convolutions."""
    space, net = get_space("s2"), network("s2", torch.Generator().manual_seed(1), native=False)
    for op, name in enumerate(("skip_connect", "sep_conv_3x3")):
        assert space.candidates["normal"][0][op] == name
        weights = torch.nn.functional.one_hot(torch.full((14,), op), 2).float()
        output = cell_output(net, space, weights, generator)
        net.drop.skip = 0.0
        plain = output()
        net.drop.skip = 0.5
        assert torch.equal(output(), plain) == (name == "sep_conv_3x3")
