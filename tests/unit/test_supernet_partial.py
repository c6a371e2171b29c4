"""Partial channels: the supernet of PC-DARTS against its textbook form, and against the mixed one."""

import pytest
import torch

import zarts.supernet.mixed_cell as mixed
from plain_partial import plain_partial
from plain_supernet import compare, dense, gradients, one_hot, pair, sparse
from small import needs_compiler, often
from zarts.errors import SettingsError
from zarts.limits import count_parameters
from zarts.networks import seeded
from zarts.spaces import get_space
from zarts.supernet import SuperNet, build_supernet
from zarts.supernet.partial_channels import shuffle


def partial_pair(space, parts, **settings):
    return pair(space, plain=plain_partial(parts), own={"parts": parts}, **{"channels": 2 * parts} | settings)


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("draw", [dense, one_hot, sparse])
@pytest.mark.parametrize("space", often(["darts-zero", "s1", "s4"], "s4"))
def test_equals_the_plain_form(space, draw, mode, generator):
    plain, fast = partial_pair(space, 4)
    plain.train(mode == "train")
    fast.train(mode == "train")
    images = torch.randn(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    weights = draw(fast.shapes, generator)
    for row in (row for matrix in weights.values() for row in matrix if not row.any()):
        row[0] = 1  # shares of nothing have no derivative
    for differentiable in (False, True):
        compare(plain, fast, images, weights, differentiable)


@pytest.mark.parametrize(
    ("parts", "stem", "sides"),
    [
        (2, "cifar", (7, 9)),
        (3, "imagenet", (37, 33)),
        pytest.param(3, "cifar", (7, 9), marks=pytest.mark.long),
        pytest.param(2, "imagenet", (37, 33), marks=pytest.mark.long),
    ],
)
def test_equals_it_for_odd_sizes_and_other_parts(parts, stem, sides, generator):
    plain, fast = partial_pair("darts-zero", parts, channels=6 if parts == 2 else 9, stem=stem, in_channels=3)
    images = torch.randn(2, 3, *sides, generator=generator, dtype=torch.float64)
    compare(plain, fast, images, dense(fast.shapes, generator), True, rtol=1e-5, atol=1e-5)


@needs_compiler
@pytest.mark.parametrize("draw", [dense, one_hot, sparse])
@pytest.mark.parametrize("space", ["darts-zero", "s4"])
def test_equals_it_with_native_kernels(space, draw, generator, monkeypatch):
    plain, fast = partial_pair(space, 2, channels=8)
    seen, call = [], mixed.mixed_cell
    monkeypatch.setattr(mixed, "mixed_cell", lambda *arguments: seen.append(1) or call(*arguments))
    images = torch.randn(3, 1, 8, 8, generator=generator, dtype=torch.float64)
    weights = draw(fast.shapes, generator)
    for row in (row for matrix in weights.values() for row in matrix if not row.any()):
        row[0] = 1  # shares of nothing have no derivative
    compare(plain, fast, images, weights, draw is dense)
    assert len(seen) == 12, "four groups of three cells"


@pytest.mark.parametrize("channels", [4, 8])
def test_second_derivatives_are_those_of_the_plain_form(channels, generator):
    """In torch's operations and with native kernels."""
    plain, fast = partial_pair("s2", 2, channels=channels)
    images = torch.randn(2, 1, 6, 6, generator=generator, dtype=torch.float64)
    weights, products = dense(fast.shapes, generator), []
    for net in (plain, fast):
        alphas = [w.clone().requires_grad_() for w in weights.values()]
        loss = net(images, dict(zip(weights, alphas, strict=True))).square().sum()
        first = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
        products.append(torch.autograd.grad(sum(gradient.square().sum() for gradient in first), alphas))
    torch.testing.assert_close(products[1], products[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("native", [True, False])
def test_with_one_part_it_is_the_mixed_supernet(native, generator):
    """To the bit."""
    images, results = torch.randn(2, 1, 8, 8, generator=generator), []
    for form in ({"supernet": "mixed"}, {"supernet": "partial", "partial_channels": 1}):
        with seeded(0):
            net = build_supernet(
                get_space("darts"), channels=4, cells=3, num_classes=5, in_channels=1, native=native, **form
            )
        weights = {k: w.float() for k, w in dense(net.shapes, torch.Generator().manual_seed(0)).items()}
        logits, in_weights = gradients(net, images, weights, True)
        results.append([logits, *in_weights, *(p.grad for p in net.parameters()), *net.buffers()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_operations_have_a_sixteenth_of_the_pointwise_weights():
    """And a quarter of the depthwise ones; stem, classifier and what brings inputs to their size are whole."""
    space = get_space("darts")
    with torch.device("meta"):
        whole, part = (SuperNet(space, channels=16, cells=8, num_classes=10, parts=parts) for parts in (1, 4))

    def counts(net):
        inside = {name: p.numel() for name, p in net.named_parameters() if ".ops." in name}
        deep = sum(count for name, count in inside.items() if name.endswith("depthwise"))
        return count_parameters(net) - sum(inside.values()), deep, sum(inside.values()) - deep

    assert counts(part) == tuple(a // b for a, b in zip(counts(whole), (1, 4, 16), strict=True))


def test_a_shuffle_deals_out_the_parts():
    x = torch.arange(12.0).view(1, 12, 1, 1)
    assert shuffle(x, 3).flatten().tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]


def test_channels_that_no_operation_sees_reach_the_next_cell(generator):
    """An edge whose only operation is `none` still hands on the largest of 2×2 pixels, and what it hands on learns."""
    _, net = partial_pair("darts-zero", 4)
    weights = {kind: torch.zeros(shape, dtype=torch.float64) for kind, shape in net.shapes.items()}
    images = torch.randn(2, 1, 8, 8, generator=generator, dtype=torch.float64, requires_grad=True)
    assert not net(images, weights).sub(net.classifier.bias).any()
    for matrix in weights.values():
        matrix[:, 0] = 1
    net(images, weights).sum().backward()
    assert images.grad.any()
    assert not any(p.grad is not None and p.grad.any() for name, p in net.named_parameters() if ".ops." in name)


@pytest.mark.parametrize(("channels", "parts"), [(6, 4), (4, 4)])
def test_channels_that_cannot_be_divided_are_refused(channels, parts):
    with pytest.raises(SettingsError, match=f"channels is {channels}"):
        SuperNet(get_space("s2"), channels=channels, cells=3, num_classes=2, parts=parts)


def test_cells_of_nasbench201_are_refused():
    with pytest.raises(SettingsError, match="supernet = 'partial'"):
        build_supernet(get_space("nasbench201"), channels=8, cells=1, num_classes=2, supernet="partial")
