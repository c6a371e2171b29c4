"""Merged convolutions: the supernet of MergeNAS against the separate convolutions that it stands for."""

import pytest
import torch
from torch.nn import functional

from plain_merged import TAPS, MergedEdge, plain_merged
from plain_supernet import compare, dense, gradients, one_hot, pair, sparse
from zarts.errors import SettingsError
from zarts.limits import count_parameters
from zarts.networks.operations import DepthwiseBlock
from zarts.spaces import Space, get_space
from zarts.supernet import SuperNet, build_supernet
from zarts.supernet.active_ops import Place
from zarts.supernet.merged_ops import CONVOLUTIONS, StackedMerged, convolutions, mask, with_merged


def merged_pair(space, **settings):
    return pair(space, plain=plain_merged, own={"merged": True}, **settings)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("draw", [dense, one_hot, sparse])
@pytest.mark.parametrize("space", ["darts", "s1", "s3", "s4"])
def test_equals_the_plain_form(space, draw, mode, generator):
    plain, fast = merged_pair(space)
    plain.train(mode == "train")
    fast.train(mode == "train")
    images = torch.randn(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    weights = draw(fast.shapes, generator)
    for row in (row for matrix in weights.values() for row in matrix if not row.any()):
        row[0] = 1  # the plain one knows no edge without any weight
    compare(plain, fast, images, weights, draw is dense)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("stem", "sides"), [("cifar", (7, 9)), ("imagenet", (37, 33))])
def test_equals_it_for_odd_sizes_with_and_without_native_kernels(stem, sides, native, generator):
    plain, fast = merged_pair("darts", stem=stem, in_channels=3)
    for cell in fast.cells:
        cell.native = native
    images = torch.randn(2, 3, *sides, generator=generator, dtype=torch.float64)
    compare(plain, fast, images, dense(fast.shapes, generator), True)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_merged_convolution_is_the_weighted_sum_of_separate_ones(stride, generator):
    """Before the norm, by linearity."""
    names = ("skip_connect", *TAPS)
    edge = MergedEdge(names, 3, stride, torch.randn_like).double()
    place = Place(0, len(names), 0, 0, tuple((op, name) for op, name in enumerate(names) if name in CONVOLUTIONS))
    stack = StackedMerged([place], 3, stride).double()
    stack.depthwise.data, stack.pointwise.weight.data = edge.depthwise.data, edge.pointwise.weight.data
    x = torch.randn(2, 3, 11, 12, generator=generator, dtype=torch.float64)
    weights = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    kernel = stack.kernel(weights)
    assert kernel.shape == (3, 1, 9, 9)
    assert (kernel != 0).sum() == 3 * (25 + 25 - 9), "what a 5×5 convolution has and a dilated one"
    y = functional.conv2d(functional.conv2d(x.relu(), kernel, None, stride, 4, groups=3), stack.pointwise.weight)
    torch.testing.assert_close(y, edge.convolutions(x, weights[0, :5]))
    torch.testing.assert_close(stack(x.relu(), None, kernel), edge.norm(y))


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_one_convolution_alone_is_that_convolution(name, generator):
    """The block of the derived network with the taps that it has of the shared kernel; whatever its weight."""
    place = Place(0, 4, 0, 0, tuple(enumerate(CONVOLUTIONS)))
    stack = StackedMerged([place], 4, 1).double()
    stack.depthwise.data *= 100  # so that the norm's epsilon is nothing beside the variance
    size, dilation = CONVOLUTIONS[name]
    block = DepthwiseBlock(4, size, 1, dilation, affine=False).double()
    block.depthwise.weight.data = stack.depthwise.data[:, :, TAPS[name], TAPS[name]]
    block.pointwise.weight.data = stack.pointwise.weight.data
    x = torch.randn(2, 4, 8, 8, generator=generator, dtype=torch.float64)
    expected = block(x)
    row = torch.zeros(1, 5, dtype=torch.float64)
    for weight in (1.0, 7.0):
        row[0, list(CONVOLUTIONS).index(name)] = weight
        tolerance = {} if weight == 1 else {"rtol": 1e-5, "atol": 1e-5}
        torch.testing.assert_close(stack(x.relu(), None, stack.kernel(row)), expected, **tolerance)


def test_kernels_are_as_large_as_their_convolutions():
    sizes = {("sep_conv_3x3",): 3, ("dil_conv_3x3",): 5, ("sep_conv_3x3", "sep_conv_5x5"): 5, ("dil_conv_5x5",): 9}
    for names, size in sizes.items():
        assert StackedMerged([Place(0, 9, 0, 0, tuple(enumerate(names)))], 2, 1).depthwise.shape[-1] == size
    assert mask("dil_conv_3x3", 5).tolist() == [[1, 0, 1, 0, 1], [0] * 5] * 2 + [[1, 0, 1, 0, 1]]
    stacks = SuperNet(get_space("s1"), channels=2, cells=3, num_classes=2, merged=True).cells[0].groups[0].ops
    assert {name for name in stacks if name.startswith("merged")} == {"merged_3", "merged_5", "merged_9"}


@pytest.mark.parametrize(("settings", "count"), [({}, 725_498), ({"stem": "imagenet", "num_classes": 1000}, 1_010_528)])
def test_parameters_at_paper_size(settings, count):
    with torch.device("meta"):
        net = SuperNet(get_space("darts"), **{"channels": 16, "cells": 8, "num_classes": 10, "merged": True} | settings)
    assert count_parameters(net) == count


def test_the_scale_of_the_convolutions_does_not_matter(generator):
    """All weights of an edge's convolutions times 3: what the norm leaves is the same, and the gradient along it 0."""
    _, net = merged_pair("s3")
    for name, parameter in net.named_parameters():
        if name.endswith("depthwise"):
            parameter.data *= 100  # so that the norm's epsilon is nothing beside the variance
    merged = {kind: convolutions(get_space("s3"), kind) for kind in net.shapes}
    images = torch.randn(2, 1, 8, 8, generator=generator, dtype=torch.float64)
    weights = dense(net.shapes, generator)
    larger = {kind: torch.where(merged[kind], 3 * matrix, matrix) for kind, matrix in weights.items()}
    torch.testing.assert_close(net(images, weights), net(images, larger), atol=1e-5, rtol=1e-5)
    _, slopes = gradients(net, images, weights, True)
    for matrix, slope, of in zip(weights.values(), slopes, merged.values(), strict=True):
        along = (matrix * slope * of).sum(-1)
        assert along.abs().max() < 1e-5 * slope[~of].abs().max()


def test_it_runs_where_a_convolution_has_a_weight():
    merged = torch.tensor([[False, True, True]] * 3)
    weights = torch.tensor([[1.0, 0, 0], [0, 0.2, 0], [0.5, 0, -0.1]])
    assert with_merged(weights, merged)[:, 3].tolist() == [0, 1, 1]
    assert with_merged(weights.requires_grad_(), merged)[:, 3].tolist() == [1, 1, 1]


def test_second_derivatives_are_those_of_the_plain_form(generator):
    plain, fast = merged_pair("darts", channels=4)
    images = torch.randn(2, 1, 6, 6, generator=generator, dtype=torch.float64)
    weights, products = dense(fast.shapes, generator), []
    for net in (plain, fast):
        alphas = [w.clone().requires_grad_() for w in weights.values()]
        loss = net(images, dict(zip(weights, alphas, strict=True))).square().sum()
        first = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
        products.append(torch.autograd.grad(sum(gradient.square().sum() for gradient in first), alphas))
    torch.testing.assert_close(products[1], products[0])


@pytest.mark.parametrize("channels", [4, 8])
def test_with_fixed_parameters_the_weights_have_the_same_gradient(channels, generator):
    """The gradient of alpha's loss, where only the merged kernel is differentiated."""
    _, net = merged_pair("darts", channels=channels)
    images = torch.randn(2, 1, 8, 8, generator=generator, dtype=torch.float64)
    weights = dense(net.shapes, generator)
    _, expected = gradients(net, images, weights, True)
    net.requires_grad_(False)
    _, found = gradients(net, images, weights, True)
    torch.testing.assert_close(found, expected)


def test_what_cannot_be_merged_is_refused():
    space = Space("pools", dict.fromkeys(("normal", "reduce"), (("skip_connect", "max_pool_3x3"),) * 14), "nowhere")
    with pytest.raises(SettingsError, match="sep_conv"):
        SuperNet(space, channels=2, cells=3, num_classes=2, merged=True)
    with pytest.raises(SettingsError, match="supernet = 'merged'"):
        build_supernet(get_space("nasbench201"), channels=8, cells=1, num_classes=2, supernet="merged")
