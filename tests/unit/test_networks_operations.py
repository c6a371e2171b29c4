import pytest
import torch
from torch import nn

from zarts.errors import SettingsError
from zarts.networks import OPERATIONS, build_operation
from zarts.networks.operations import FactorizedReduce, Noise, PointwiseBlock

CHANNELS = 6


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def images(generator):
    return torch.randn(3, CHANNELS, 8, 8, generator=generator)


@pytest.mark.parametrize("name", OPERATIONS)
class TestEveryOperation:
    @pytest.mark.parametrize("stride", [1, 2])
    @pytest.mark.parametrize("sides", [(8, 8), (7, 8), (5, 1), (1, 1)])
    def test_keeps_channels_and_divides_sides_by_the_stride_rounding_up(self, name, stride, sides, generator):
        operation = build_operation(name, CHANNELS, stride, affine=True)
        x = torch.randn(2, CHANNELS, *sides, generator=generator)
        expected = (2, CHANNELS, *(-(-side // stride) for side in sides))
        assert operation(x).shape == expected

    def test_output_is_finite_and_input_is_left_alone(self, name, images):
        before = images.clone()
        assert build_operation(name, CHANNELS, 2, affine=False)(images).isfinite().all()
        assert torch.equal(before, images)

    def test_odd_number_of_channels(self, name, generator):
        x = torch.randn(2, 5, 4, 4, generator=generator)
        assert build_operation(name, 5, 2, affine=True)(x).shape == (2, 5, 2, 2)

    def test_affine_is_all_or_nothing(self, name):
        for affine in (True, False):
            operation = build_operation(name, CHANNELS, 2, affine=affine)
            norms = [layer for layer in operation.modules() if isinstance(layer, nn.BatchNorm2d)]
            assert all(norm.affine is affine for norm in norms)


@pytest.mark.parametrize(
    ("name", "stride", "count"),
    [
        ("none", 1, 0),
        ("noise", 2, 0),
        ("max_pool_3x3", 2, 0),
        ("avg_pool_3x3", 1, 0),
        ("skip_connect", 1, 0),
        ("skip_connect", 2, CHANNELS**2 + 2 * CHANNELS),
        ("sep_conv_3x3", 1, 2 * (9 * CHANNELS + CHANNELS**2 + 2 * CHANNELS)),
        ("sep_conv_5x5", 2, 2 * (25 * CHANNELS + CHANNELS**2 + 2 * CHANNELS)),
        ("dil_conv_3x3", 1, 9 * CHANNELS + CHANNELS**2 + 2 * CHANNELS),
        ("dil_conv_5x5", 2, 25 * CHANNELS + CHANNELS**2 + 2 * CHANNELS),
    ],
)
def test_parameters_are_those_of_the_formula(name, stride, count):
    assert parameters(build_operation(name, CHANNELS, stride, affine=True)) == count


def test_unknown_operation():
    with pytest.raises(SettingsError, match="'sep_conv_3x3'"):
        build_operation("sep_conv_3", 4, 1, affine=True)


def test_none_is_zero_even_of_infinity():
    x = torch.full((1, CHANNELS, 4, 4), torch.inf)
    assert torch.equal(build_operation("none", CHANNELS, 2, affine=True)(x), torch.zeros(1, CHANNELS, 2, 2))


def test_skip_of_stride_one_is_the_identity(images):
    assert build_operation("skip_connect", CHANNELS, 1, affine=True)(images) is images


def test_average_pool_leaves_padding_out_of_the_mean():
    ones = torch.ones(1, CHANNELS, 4, 4)
    assert torch.equal(build_operation("avg_pool_3x3", CHANNELS, 1, affine=True)(ones), ones)


@pytest.mark.parametrize(("name", "reach"), [("sep_conv_3x3", 2), ("sep_conv_5x5", 4), ("dil_conv_3x3", 2)])
def test_receptive_field(name, reach):
    x = torch.zeros(1, CHANNELS, 17, 17, requires_grad=True)
    operation = build_operation(name, CHANNELS, 1, affine=True).eval()
    for layer in operation.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.1)
    operation(x + 1).sum(dim=1)[0, 8, 8].backward()
    rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten().tolist()
    assert (rows[0], rows[-1]) == (8 - reach, 8 + reach)
    assert len(rows) == (3 if name.startswith("dil") else 2 * reach + 1)  # dilated: every second row


def test_factorized_reduce_sees_even_pixels_in_one_half_and_odd_ones_in_the_other():
    reduce = FactorizedReduce(1, 2, affine=False).eval()
    nn.init.ones_(reduce.even.weight)
    nn.init.ones_(reduce.odd.weight)
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    output = reduce(x) * (1 + 1e-5) ** 0.5  # undo the epsilon of the batch norm
    assert torch.allclose(output[0, 0], x[0, 0, ::2, ::2])
    assert torch.allclose(output[0, 1], x[0, 0, 1::2, 1::2])


def test_blocks_take_the_relu_first(images):
    block = PointwiseBlock(CHANNELS, 4, affine=True)
    assert torch.equal(block(images), block(images.relu()))


class TestNoise:
    def test_is_standard_normal_when_training_and_when_testing(self, generator):
        noise = Noise(2, generator)
        for mode in (True, False):
            sample = noise.train(mode)(torch.full((8, 16, 32, 32), 5.0))
            assert sample.shape == (8, 16, 16, 16)
            assert abs(sample.mean()) < 0.03
            assert abs(sample.std() - 1) < 0.03

    def test_generator_alone_decides(self, images):
        generator = torch.Generator().manual_seed(5)
        noise = Noise(1, generator)
        state, before = generator.get_state(), torch.get_rng_state()
        first, second = noise(images), noise(images)
        generator.set_state(state)
        assert not torch.equal(first, second)
        assert torch.equal(first, noise(2 * images))
        assert torch.equal(before, torch.get_rng_state())

    def test_without_a_generator_torch_default_decides(self, images):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            first = Noise(1)(images)
            torch.manual_seed(1)
            assert torch.equal(first, Noise(1)(images))

    def test_gives_the_input_no_gradient(self, images):
        assert not Noise(1)(images.requires_grad_()).requires_grad
