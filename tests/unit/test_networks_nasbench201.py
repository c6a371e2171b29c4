import pytest
import torch
from torch import nn

from benchmarks.textbook_nasbench201 import PlainNasBench201
from plain_nasbench201 import copy_plain, same_tensors
from small import needs_compiler
from zarts.errors import RunError, SettingsError
from zarts.limits import count_macs, count_parameters
from zarts.networks import create_nasbench201, seeded
from zarts.spaces import get_space, published
from zarts.spaces.nasbench201 import NASBENCH201, from_string
from zarts.supernet import NasBench201SuperNet, build_supernet

FORM = "|{0}~0|+|{0}~0|{0}~1|+|{0}~0|{0}~1|{0}~2|"
NATIVE = [pytest.param(True, marks=needs_compiler), False]
MIXED = from_string("|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|")


def pair(native=True, **settings):
    """The plain and the fast supernet with the same parameters, and other running statistics than the initial ones."""
    settings = {"channels": 4, "cells": 2, "num_classes": 5, "in_channels": 1} | settings
    with seeded(0):
        plain = PlainNasBench201(NASBENCH201, **settings).double()
        fast = NasBench201SuperNet(NASBENCH201, native=native, **settings).double()
        for name, tensor in plain.named_buffers():
            if "running" in name:
                tensor.copy_(torch.rand_like(tensor) + (0.5 if name.endswith("var") else 0))
    copy_plain(plain, fast)
    return plain, fast


def dense(generator):
    return torch.rand(6, 5, generator=generator, dtype=torch.float64)


def one_hot(generator):
    return nn.functional.one_hot(torch.randint(5, (6,), generator=generator), 5).double()


def sparse(generator):
    return dense(generator) * (torch.rand(6, 5, generator=generator) < 0.4)


def compare(plain, fast, images, weights, differentiable):
    """Logits, gradients of images, weights and parameters, and running statistics are the same."""
    outcomes = []
    for net in (plain, fast):
        net.zero_grad()
        x, matrix = images.clone().requires_grad_(), weights.clone().requires_grad_(differentiable)
        logits = net(x, {"normal": matrix})
        logits.square().sum().backward()
        outcomes.append((logits, x.grad, matrix.grad))
    for ours, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, theirs)
    compared = 0
    for name, tensor, target, rows in same_tensors(plain, fast):
        ours, theirs = tensor, target
        if isinstance(tensor, nn.Parameter):
            compared += tensor.numel()
            assert (target.grad is not None) or (tensor.grad is None), name
            ours, theirs = (torch.zeros_like(p) if p.grad is None else p.grad for p in (tensor, target))
        torch.testing.assert_close(ours, theirs[rows].view_as(ours), msg=lambda m, name=name: f"{name}: {m}")
    assert compared == count_parameters(fast) == count_parameters(plain)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("draw", [dense, one_hot, sparse])
@pytest.mark.parametrize("sides", [(8, 8), (9, 7), (4, 1)])
@pytest.mark.parametrize("native", NATIVE)
def test_equals_the_plain_supernet(native, draw, mode, sides, generator):
    plain, fast = pair(native)
    plain.train(mode == "train")
    fast.train(mode == "train")
    images = torch.randn(3, 1, *sides, generator=generator, dtype=torch.float64)
    weights = draw(generator)
    for differentiable in (True,) if draw is dense else (False, True):
        compare(plain, fast, images, weights, differentiable)


@pytest.mark.parametrize("native", NATIVE)
def test_second_derivatives_are_those_of_the_plain_supernet(native, generator):
    images, weights = torch.randn(3, 1, 8, 8, generator=generator).double(), dense(generator)
    products = []
    for net in pair(native, cells=1):
        alpha = weights.clone().requires_grad_()
        loss = net(images, {"normal": alpha}).square().sum()
        gradients = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
        (product,) = torch.autograd.grad(sum(g.square().sum() for g in gradients), alpha)
        products.append(product)
    torch.testing.assert_close(*products)


def test_native_and_torch_leave_the_same_weights_without_a_gradient(generator):
    weights = torch.zeros(6, 5, dtype=torch.float64)
    weights[1, 3] = weights[2, 2] = weights[3, 1] = 1  # 3×3 on 2<-0, 1×1 on 2<-1, a skip on 3<-0: nobody reads node 2
    images = torch.randn(3, 1, 8, 8, generator=generator).double()
    without = []
    for native in (True, False):
        _, fast = pair(native, cells=1)
        fast(images, {"normal": weights}).square().sum().backward()
        without.append({name for name, p in fast.named_parameters() if p.grad is None})
    assert without[0] == without[1]
    assert len(without[0]) == 3 * 6  # of the convolutions of two sizes that leave three nodes, in three cells


@pytest.mark.parametrize("native", NATIVE)
def test_only_what_has_weight_runs(native):
    _, fast = pair(native, cells=1)
    before = {name: buffer.clone() for name, buffer in fast.named_buffers()}
    weights = torch.zeros(6, 5, dtype=torch.float64)
    weights[:, 1] = 1
    weights[2, 3] = 1  # a 3x3 convolution on 2<-1
    fast(torch.randn(3, 1, 8, 8).double(), {"normal": weights})
    changed = {name for name, buffer in fast.named_buffers() if not torch.equal(buffer, before[name])}
    stacked = {name for name in changed if "convolutions" in name}
    assert stacked == {
        f"skeleton.layers.{layer}.nodes.1.convolutions.nor_conv_3x3.norm.{statistic}"
        for layer in (0, 2, 4)
        for statistic in ("mean", "var")
    }
    mean = dict(fast.named_buffers())["skeleton.layers.0.nodes.1.convolutions.nor_conv_3x3.norm.mean"]
    assert torch.equal(mean[1], before["skeleton.layers.0.nodes.1.convolutions.nor_conv_3x3.norm.mean"][1])


@pytest.mark.parametrize("native", NATIVE)
def test_a_one_hot_supernet_is_the_derived_network(native, generator):
    """Batch norms without affine against those with scale 1 and shift 0."""
    _, fast = pair(native, num_classes=10)
    derived = create_nasbench201(MIXED, channels=4, cells=2, in_channels=1).double()
    ops, edges = NASBENCH201.candidates["normal"][0], NASBENCH201.edges
    chosen = {(node, c.source): c.op for node, choices in enumerate(MIXED.cells["normal"], start=1) for c in choices}
    weights = nn.functional.one_hot(torch.tensor([ops.index(chosen[edge]) for edge in edges]), 5).double()
    theirs = fast.state_dict()
    with torch.no_grad():
        for name, tensor in derived.named_parameters():
            layer, _, rest = name.partition(".ops.")
            if not rest:
                tensor.copy_(theirs[f"skeleton.{name}"])
            elif rest.endswith("conv.weight"):
                node, source = derived.get_submodule(layer).edges[int(rest.split(".")[0])]
                stack = theirs[f"skeleton.{layer}.nodes.{source}.convolutions.{chosen[node, source]}.weight"]
                tensor.copy_(stack.chunk(3 - source)[node - source - 1])
    images = torch.randn(3, 1, 8, 8, generator=generator).double()
    torch.testing.assert_close(derived(images), fast(images, {"normal": weights}))


@pytest.mark.parametrize(
    ("op", "parameters", "macs"),
    [("nor_conv_3x3", 1_531_546, 220_119_680), ("skip_connect", 73_306, 7_783_040), ("none", 73_306, 7_783_040)],
)
def test_size_and_cost_are_those_of_the_benchmark(op, parameters, macs):
    """Its files say 1.531546 million and 220.12 million for six 3×3 convolutions, 0.073306 and 7.78 for six skips."""
    net = create_nasbench201(from_string(FORM.format(op)))
    assert count_parameters(net) == parameters
    assert count_macs(net, (3, 32, 32)) == macs
    assert net.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_parameters_of_the_supernet_at_the_benchmarks_size():
    with torch.device("meta"):
        net = build_supernet(NASBENCH201, channels=16, cells=5, num_classes=10)
    convolutions = 5 * 6 * 10 * (16**2 + 32**2 + 64**2)  # 3×3 and 1×1 on six edges, without affine batch norms
    assert count_parameters(net) == 73_306 + convolutions == 1_686_106


def test_light_reductions_are_a_pool_and_a_convolution(generator):
    """What is left of the network of skips is known: stem, two reductions, batch norm, classifier."""
    net = build_supernet(NASBENCH201, channels=4, cells=2, num_classes=10, in_channels=1, reduction="light").double()
    assert net.skeleton.layers[2].conv.weight.shape == (8, 4, 1, 1)
    weights = torch.zeros(6, 5, dtype=torch.float64)
    weights[3, 1] = 1  # a skip on 3<-0
    images = torch.randn(3, 1, 9, 8, generator=generator).double()
    x = net.skeleton.stem(images)[0]
    for layer in (2, 5):
        x = nn.functional.avg_pool2d(x, 2, ceil_mode=True)
        x = nn.functional.conv2d(x, net.skeleton.layers[layer].conv.weight)
    expected = net.skeleton.classifier(torch.relu(net.skeleton.norm(x)).mean((2, 3)))
    torch.testing.assert_close(net(images, {"normal": weights}), expected)


def test_reductions_that_there_are_not():
    sizes = {"channels": 4, "cells": 3, "num_classes": 10}
    with pytest.raises(SettingsError, match="'light'"):
        build_supernet(NASBENCH201, **sizes, reduction="lite")
    with pytest.raises(SettingsError, match="reduction = 'light'"):
        build_supernet(get_space("s2"), **sizes, reduction="light")


def test_supernets_by_skeleton_and_what_they_refuse():
    sizes = {"channels": 4, "cells": 3, "num_classes": 5}
    assert type(build_supernet(get_space("s2"), **sizes)).__name__ == "SuperNet"
    assert isinstance(build_supernet(NASBENCH201, **sizes), NasBench201SuperNet)
    with pytest.raises(SettingsError, match="stem = 'imagenet'"):
        build_supernet(NASBENCH201, **sizes, stem="imagenet")
    with pytest.raises(SettingsError, match="cells is 0"):
        build_supernet(NASBENCH201, **{**sizes, "cells": 0})
    with pytest.raises(SettingsError, match=r"\(6, 4\)"):
        build_supernet(NASBENCH201, **sizes)(torch.zeros(2, 3, 8, 8), {"normal": torch.zeros(6, 4)})
    with pytest.raises(RunError, match="'darts-zero'"):
        create_nasbench201(published("DARTS_V2"))
