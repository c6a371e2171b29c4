"""Networks of chains: published numbers of parameters and MACs, torchvision's networks to the last digits, any size."""

import copy

import pytest
import torch
import torchvision
from torch import nn

from small import EVERY_KIND
from zarts.limits import count_macs, count_parameters
from zarts.networks import BatchSlice, create_chain, seeded
from zarts.networks.chain import Dropout, PaddingShortcut, SqueezeExcitation
from zarts.spaces import HANDMADE, Chain, ChainStem, Stage, handmade


def built(name, width=1.0, stem_stride=None, **options):
    with torch.device("meta"):
        return create_chain(handmade(name, width, stem_stride), **options)


def of_norms(network):
    """Numbers that Keras counts as parameters and torch as buffers."""
    return sum(2 * part.num_features for part in network.modules() if isinstance(part, nn.BatchNorm2d))


def biases_before_norms(network):
    """Biases that Keras' convolutions have and that the batch norm behind them cancels."""
    return sum(part.out_channels for part in network.modules() if isinstance(part, nn.Conv2d))


def test_resnet8_is_that_of_mlperf_tiny():
    """Its reference has 78,666 by Keras' count, which has biases before batch norms and the statistics of these."""
    network = built("resnet8")
    assert count_parameters(network) == 77_850
    assert count_parameters(network) + of_norms(network) + biases_before_norms(network) == 78_666
    assert count_macs(network, (3, 32, 32)) == 12_501_632  # as published with it: 12.5 million


def test_ds_cnn_is_that_of_mlperf_tiny_but_for_its_stem():
    """Its reference has 24,908 by Keras' count with a stem of 10×4 for spectrograms; here it is 3×3."""
    network = built("ds_cnn", num_classes=12, in_channels=1)
    keras = count_parameters(network) + of_norms(network) + biases_before_norms(network)
    assert keras + (10 * 4 - 3 * 3) * 64 == 24_908


@pytest.mark.parametrize(("name", "depth", "million"), [("resnet14", 2, None), ("resnet20", 3, 0.27)])
def test_resnets_have_he_s_parameters(name, depth, million):
    """By the formula of 6n + 2 layers with shortcuts of option A, which have none; the paper's table 6."""

    def stage(inputs, outputs):
        return 9 * inputs * outputs + (2 * depth - 1) * 9 * outputs**2 + 2 * depth * 2 * outputs

    expected = 9 * 3 * 16 + 2 * 16 + stage(16, 16) + stage(16, 32) + stage(32, 64) + 64 * 10 + 10
    assert count_parameters(built(name)) == expected
    assert million is None or round(expected / 1e6, 2) == million
    macs = 32**2 * 9 * (3 * 16 + 2 * depth * 16 * 16) + 640
    macs += sum(side**2 * 9 * (c // 2 * c + (2 * depth - 1) * c * c) for side, c in ((16, 32), (8, 64)))
    assert count_macs(built(name), (3, 32, 32)) == macs


def test_mobilenet_v2_has_torchvision_s_parameters_and_macs():
    assert count_parameters(built("mobilenet_v2", num_classes=1000)) == 3_504_872
    assert count_macs(built("mobilenet_v2", num_classes=1000), (3, 224, 224)) == 300_774_272
    with torch.device("meta"):
        half = torchvision.models.mobilenet_v2(width_mult=0.5, num_classes=7)
    assert count_parameters(built("mobilenet_v2", 0.5, num_classes=7)) == count_parameters(half)
    assert count_macs(built("mobilenet_v2", stem_stride=1), (3, 32, 32)) > 3 * count_macs(
        built("mobilenet_v2"), (3, 32, 32)
    )


def same_logits(ours, theirs, image_size):
    """Copy `theirs` weights over, in the order of both, with statistics that are not the initial ones."""
    generator = torch.Generator().manual_seed(0)
    for name, value in theirs.state_dict().items():
        if value.dtype.is_floating_point and ("running" in name or value.dim() == 1):
            value.copy_(torch.rand(value.shape, generator=generator) + (0.5 if "var" in name else -0.3))
    values = list(theirs.state_dict().values())
    names = list(ours.state_dict())
    assert len(names) == len(values)
    ours.load_state_dict(dict(zip(names, values, strict=True)))
    images = torch.randn(2, 3, image_size, image_size, generator=generator)
    with torch.no_grad():
        expected = theirs.double().eval()(images.double())
        torch.testing.assert_close(ours.double().eval()(images.double()), expected, rtol=1e-9, atol=1e-9)
    assert expected.std() > 1e-3


def test_mobilenet_v2_gives_torchvision_s_logits_and_starts_from_its_weights():
    with seeded(3):
        theirs = torchvision.models.mobilenet_v2(num_classes=5, width_mult=0.35)
    with seeded(3):
        ours = create_chain(handmade("mobilenet_v2", 0.35), num_classes=5)
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))
    same_logits(ours, theirs, 96)


def test_vgg_gives_the_logits_of_torchvision_s_layers():
    layers = torchvision.models.vgg13_bn().features[:20]
    theirs = nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10))
    for part in layers:
        if isinstance(part, nn.Conv2d):
            part.bias = None
    same_logits(create_chain(handmade("vgg")), theirs, 24)


def test_squeeze_excitation_is_torchvision_s():
    theirs = torchvision.ops.SqueezeExcitation(12, 3, scale_activation=nn.Hardsigmoid)
    ours = SqueezeExcitation(12)
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, 12, 5, 5)
    torch.testing.assert_close(ours(x), theirs(x))


def test_a_residual_pair_adds_its_shortcut():
    """With a second batch norm of scale 0 only the shortcut is left: pixels left out, zeros as new channels."""
    x = torch.rand(2, 3, 5, 5)
    expected = torch.cat([x[:, :, ::2, ::2], torch.zeros(2, 2, 3, 3)], dim=1)
    assert torch.equal(PaddingShortcut(2, 2)(x), expected)
    network = create_chain(Chain(ChainStem(3), (Stage("residual", 5, 1, 2, shortcut="padding"),)))
    network.layers[0].second.norm.weight.data.zero_()
    assert torch.equal(network.layers[0](x), expected)


@pytest.mark.parametrize("name", ["every", *HANDMADE])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_from_8_pixels(name, channels):
    chain = EVERY_KIND if name == "every" else handmade(name, 0.25)
    network = create_chain(chain, num_classes=4, in_channels=channels)
    for size in (8, 13, 28):
        logits = network(torch.randn(2, channels, size, size))
        assert logits.shape == (2, 4)
        assert torch.isfinite(logits).all()
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_layers_have_the_sizes_of_their_strides():
    seen = []
    network = create_chain(EVERY_KIND)
    for layer in network.layers:
        layer.register_forward_hook(lambda layer, _, output: seen.append(tuple(output.shape[1:])))
    network.eval()(torch.zeros(1, 3, 33, 33))
    widths = [8, 8, 12, 12, 16, 10, 10, 14, 14, 14, 9, 24]
    sides = [5, 5, 3, 3, 3, 3, 3, 2, 2, 2, 1, 1]  # 33 by the stem of 2 × 2: 17, 9
    assert seen == [(width, side, side) for width, side in zip(widths, sides, strict=True)]


def test_dropout_keeps_the_mean_and_does_not_depend_on_how_a_batch_is_divided():
    drop = Dropout(0.4, torch.Generator())
    x = torch.ones(64, 100)
    drop.generator.manual_seed(1)
    whole = drop(x)
    assert sorted(set(whole.flatten().tolist())) == pytest.approx([0, 1 / 0.6])
    assert whole.mean() == pytest.approx(1, abs=4 * (0.4 / 0.6 / 6400) ** 0.5)
    pieces = []
    for first in (0, 24):
        drop.generator.manual_seed(1)
        pieces.append(drop(x[first : first + (24 if first == 0 else 40)], BatchSlice(first, 64)))
    assert torch.equal(torch.cat(pieces), whole)
    assert torch.equal(drop.eval()(x), x)


def test_a_copy_and_checkpointed_layers_give_the_same_gradients():
    network = create_chain(EVERY_KIND, generator=torch.Generator())
    images = torch.randn(3, 3, 16, 16)
    gradients = []
    for on in (False, True):
        one = copy.deepcopy(network) if not on else network
        one.checkpointing.on = on
        one.dropout.generator = torch.Generator().manual_seed(5)
        one(images).square().sum().backward()
        gradients.append([parameter.grad for parameter in one.parameters()])
    assert all(map(torch.equal, *gradients))
