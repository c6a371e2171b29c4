import pytest
import torch
from torch.nn import functional

from zarts.networks import build_operation
from zarts.networks.depthwise import dilated_depthwise


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("sides", [(8, 8), (7, 8), (8, 5), (7, 7), (3, 1), (1, 1), (2, 2)])
def test_equals_the_dilated_convolution(kernel, stride, sides, generator):
    x = torch.randn(2, 3, *sides, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, kernel, kernel, generator=generator, dtype=torch.float64, requires_grad=True)
    output = dilated_depthwise(x, weight, stride)
    padding = 2 * (kernel // 2)
    expected = functional.conv2d(x, weight, stride=stride, padding=padding, dilation=2, groups=3)
    torch.testing.assert_close(output, expected)
    direction = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    gradients = torch.autograd.grad(output, (x, weight), direction)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, (x, weight), direction))


def test_keeps_the_layout(generator):
    x = torch.randn(2, 3, 8, 8, generator=generator).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(3, 1, 3, 3, generator=generator)
    for stride in (1, 2):
        assert dilated_depthwise(x, weight, stride).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["dil_conv_3x3", "dil_conv_5x5"])
def test_training_and_testing_compute_the_same_convolution(name, generator):
    operation = build_operation(name, 4, 1, affine=True)
    x = torch.randn(2, 4, 7, 8, generator=generator)
    operation.norm = torch.nn.Identity()
    assert torch.allclose(operation(x), operation.eval()(x), atol=1e-6)
