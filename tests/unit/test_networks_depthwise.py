import pytest
import torch
from torch.nn import functional

from zarts.networks.depthwise import depthwise


@pytest.mark.parametrize("kernel", [3, 5, 9])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("sides", [(8, 8), (7, 8), (9, 6), (4, 4), (2, 2), (1, 1), (3, 1), (12, 11)])
def test_equals_the_plain_convolution(kernel, stride, sides, generator):
    x = torch.randn(2, 3, *sides, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, kernel, kernel, generator=generator, dtype=torch.float64, requires_grad=True)
    output = depthwise(x, weight, stride)
    expected = functional.conv2d(x, weight, stride=stride, padding=kernel // 2, groups=3)
    assert torch.equal(output, expected)
    direction = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    gradients = torch.autograd.grad(output, (x, weight), direction)
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, (x, weight), direction))


@pytest.mark.parametrize("stride", [1, 2])
def test_is_twice_differentiable(stride, generator):
    x = torch.randn(2, 2, 5, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 1, 5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x, weight: depthwise(x, weight, stride), (x, weight))
