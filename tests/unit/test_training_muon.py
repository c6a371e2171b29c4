"""Muon: its steps are those that theory says, whatever the shapes, and all other weights take SGD's."""

import copy

import pytest
import torch

import zarts
from zarts.config import retrain_settings
from zarts.spaces import handmade
from zarts.training.muon import DECAY, MOMENTUM, Muon, is_convolution, orthogonal
from zarts.training.setup import weight_optimizer


def polar(matrix):
    """Jordan's iteration on singular values, which is what it is on matrices: U p(p(...S / |S|)) V^T."""
    left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = start = values / values.norm()
    for _ in range(5):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ torch.diag(values) @ right, values[start > 0.002]


def test_matrices_are_made_orthogonal_as_in_theory():
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 72), (8, 9), (72, 8), (16, 16), (8, 1)]
    matrices = [torch.randn(shape, generator=generator) * 10.0 ** (4 - 3 * i) for i, shape in enumerate(shapes)]
    for matrix, found in zip(matrices, orthogonal(matrices), strict=True):
        expected, values = polar(matrix)
        torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)
        assert values.min() > 0.68
        assert values.max() < 1.21


def test_a_matrix_of_zeros_stays():
    assert orthogonal([torch.zeros(4, 9)])[0].abs().max() == 0


def _network():
    torch.manual_seed(0)
    network = zarts.create_model(handmade("ds_cnn", 0.25, 1), num_classes=3, in_channels=1)
    network(torch.randn(8, 1, 8, 8)).square().sum().backward()
    return network


def test_a_step_is_of_the_given_length_and_weights_decay():
    network = _network()
    weight = next(p for p in network.parameters() if is_convolution(p))
    before, gradient = weight.detach().clone(), weight.grad.clone()
    settings = retrain_settings({"recipe": "fast", "data": "digits", "muon_rate": 0.03}, handmade=True)
    optimizer = weight_optimizer(settings, network.parameters())
    optimizer.step()
    first = polar(gradient.flatten(1))[0]
    expected = before.flatten(1) * (1 - 0.03 * DECAY) - 0.03 * first
    torch.testing.assert_close(weight.detach().flatten(1).double(), expected.double(), atol=1e-5, rtol=0)

    second = torch.randn_like(gradient)
    weight.grad.copy_(second)
    before = weight.detach().clone()
    for group in optimizer.param_groups:  # a schedule changes Muon's step and SGD's by the same factor
        group["lr"] *= 0.5
    optimizer.step()
    ahead = second + MOMENTUM * (MOMENTUM * gradient + second)
    expected = before.flatten(1) * (1 - 0.015 * DECAY) - 0.015 * polar(ahead.flatten(1))[0]
    torch.testing.assert_close(weight.detach().flatten(1).double(), expected.double(), atol=1e-5, rtol=0)


def test_all_other_weights_take_the_steps_of_sgd():
    """Depthwise convolutions, norms and the head, to the bit; the stem sees one channel only."""
    network = _network()
    plain = copy.deepcopy(network)
    settings = {"recipe": "fast", "data": "digits"}
    ours = weight_optimizer(retrain_settings(settings, handmade=True), network.parameters())
    sgd = weight_optimizer(retrain_settings({**settings, "muon_rate": 0}, handmade=True), plain.parameters())
    assert isinstance(ours, Muon)
    assert type(sgd) is torch.optim.SGD
    for own, other in zip(network.parameters(), plain.parameters(), strict=True):
        other.grad = own.grad.clone()
    for _ in range(3):
        ours.step()
        sgd.step()
    changed = 0
    for own, other in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(own, other) != is_convolution(own)
        changed += is_convolution(own)
    assert 0 < changed < len(list(network.parameters())) / 2


@pytest.mark.parametrize("unused", [True, False])
def test_a_saved_state_continues_to_the_same_bits(unused):
    """Also where some weights have had no gradient."""
    network = _network()
    if unused:
        next(p for p in network.parameters() if is_convolution(p)).grad = None
    settings = retrain_settings({"recipe": "fast", "data": "digits"}, handmade=True)
    optimizer = weight_optimizer(settings, network.parameters())
    optimizer.step()
    other = copy.deepcopy(network)
    resumed = weight_optimizer(settings, other.parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for own, copied in zip(network.parameters(), other.parameters(), strict=True):
        copied.grad = None if own.grad is None else own.grad.clone()
    optimizer.step()
    resumed.step()
    assert all(torch.equal(*pair) for pair in zip(network.parameters(), other.parameters(), strict=True))
