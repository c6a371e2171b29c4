import pytest
import torch

from plain_supernet import compare, dense, gradients, one_hot, pair, sparse
from small import STACKED, often


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("draw", [dense, one_hot, sparse])
@pytest.mark.parametrize("space", often(STACKED, "darts-zero", "s1", "s4"))
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


@pytest.mark.parametrize("space", often(["darts", "s1", "s2"], "darts"))
@pytest.mark.parametrize(("stem", "sides"), [("cifar", (7, 9)), ("cifar", (14, 14)), ("imagenet", (37, 33))])
@pytest.mark.parametrize("channels", [3, 4])  # 4 go through the native kernels
def test_equals_it_for_odd_sizes_and_the_other_stem(space, stem, sides, channels, generator):
    plain, fast = pair(space, stem=stem, in_channels=3, channels=channels, own={"native": channels != 3})
    images = torch.randn(2, 3, *sides, generator=generator, dtype=torch.float64)
    compare(plain, fast, images, dense(fast.shapes, generator), True)


@pytest.mark.parametrize("channels", often([2, 3, 5, 8, 16], 2, 3))  # and 4: above
def test_equals_it_for_any_number_of_channels(channels, generator):
    plain, fast = pair("darts", channels=channels, own={"native": channels != 3})  # which saves to compile one of 12
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
