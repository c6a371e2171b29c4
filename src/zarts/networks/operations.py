"""Candidate operations, each a plain module that keeps or halves the size of the features.

At stride 2 an odd side of n pixels becomes (n + 1) / 2 in every operation, so that any image size works.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import SettingsError, did_you_mean
from zarts.networks.depthwise import depthwise, dilated_depthwise
from zarts.networks.memory_format import dense_gradient

__all__ = [
    "OPERATIONS",
    "DepthwiseBlock",
    "FactorizedReduce",
    "Noise",
    "PointwiseBlock",
    "Zero",
    "build_operation",
]

Features = Float[Tensor, "batch channels height width"]
Output = Float[Tensor, "batch out_channels out_height out_width"]


class Zero(nn.Module):
    """`none`: no connection."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Features) -> Output:
        """Zeros of the strided shape."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class Noise(nn.Module):
    """`noise`: replaces its input by N(0, 1) noise of the strided shape, when training and when testing.

    Args:
        stride: 1 or 2.
        generator: source of the noise; None is torch's default one on the input's device.

    Source: Zela et al., RobustDARTS (ICLR 2020), space S4.
    """

    def __init__(self, stride: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.stride = stride
        self.generator = generator

    def forward(self, x: Features) -> Output:
        """Fresh noise; the values of `x` do not matter."""
        strided = x[:, :, :: self.stride, :: self.stride]
        if self.generator is None:  # a case of its own, because torch.export knows no generators
            return torch.randn_like(strided)
        noise = torch.empty_like(strided, device=self.generator.device)
        return noise.normal_(generator=self.generator).to(x.device)


class PointwiseBlock(nn.Module):
    """ReLU, 1×1 convolution, batch norm."""

    def __init__(self, in_channels: int, out_channels: int, affine: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The weight of the convolution."""
        return (self.conv.weight,)

    def forward(self, x: Features) -> Output:
        """Another number of channels, the same size."""
        output: Tensor = self.norm(self.conv(torch.relu(x)))
        return output


class FactorizedReduce(nn.Module):
    """ReLU, halve the size, batch norm: one half of the channels sees the even pixels, the other the odd ones.

    The pixels are picked before the 1×1 convolutions, which then have stride 1: oneDNN's backward pass of a
    strided one on few channels in channels_last writes outside its memory (seen with torch 2.14.1 on the CPU).
    """

    def __init__(self, in_channels: int, out_channels: int, affine: bool) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The weights for the even and for the odd pixels."""
        return self.even.weight, self.odd.weight

    def forward(self, x: Features) -> Output:
        """Another number of channels, half the size."""
        x = dense_gradient(torch.relu(x), self)
        odd = x[:, :, 1::2, 1::2]
        if x.shape[2] % 2 or x.shape[3] % 2:  # an odd side has one odd pixel less than even ones
            odd = nn.functional.pad(odd, (0, x.shape[3] % 2, 0, x.shape[2] % 2))
        output: Tensor = self.norm(torch.cat([self.even(x[:, :, ::2, ::2]), self.odd(odd)], dim=1))
        return output


class DepthwiseBlock(nn.Module):
    """ReLU, depthwise k×k convolution, 1×1 convolution, batch norm."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int, affine: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            channels,
            channels,
            kernel,
            stride=stride,
            padding=dilation * (kernel // 2),
            dilation=dilation,
            groups=channels,
            bias=False,
        )
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x: Features) -> Output:
        """The same number of channels, the strided size."""
        x = dense_gradient(torch.relu(x), self)
        layer = self.depthwise
        if not self.training:  # the plain layer, which exports
            x = layer(x)
        elif layer.dilation == (2, 2):
            x = dilated_depthwise(x, layer.weight, layer.stride[0])
        else:
            x = depthwise(x, layer.weight, layer.stride[0])
        output: Tensor = self.norm(self.pointwise(x))
        return output


def _separable(channels: int, kernel: int, stride: int, affine: bool) -> nn.Module:
    return nn.Sequential(
        DepthwiseBlock(channels, kernel, stride, 1, affine), DepthwiseBlock(channels, kernel, 1, 1, affine)
    )


def _skip(channels: int, stride: int, affine: bool) -> nn.Module:
    return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine)


Build = Callable[[int, int, bool, torch.Generator | None], nn.Module]

OPERATIONS: dict[str, Build] = {
    "none": lambda channels, stride, affine, generator: Zero(stride),
    "noise": lambda channels, stride, affine, generator: Noise(stride, generator),
    "max_pool_3x3": lambda channels, stride, affine, generator: nn.MaxPool2d(3, stride, padding=1),
    "avg_pool_3x3": lambda channels, stride, affine, generator: nn.AvgPool2d(
        3, stride, padding=1, count_include_pad=False
    ),
    "skip_connect": lambda channels, stride, affine, generator: _skip(channels, stride, affine),
    "sep_conv_3x3": lambda channels, stride, affine, generator: _separable(channels, 3, stride, affine),
    "sep_conv_5x5": lambda channels, stride, affine, generator: _separable(channels, 5, stride, affine),
    "dil_conv_3x3": lambda channels, stride, affine, generator: DepthwiseBlock(channels, 3, stride, 2, affine),
    "dil_conv_5x5": lambda channels, stride, affine, generator: DepthwiseBlock(channels, 5, stride, 2, affine),
}


def build_operation(
    name: str,
    channels: int,
    stride: int,
    *,
    affine: bool,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """The operation of that name.

    Args:
        name: a key of `OPERATIONS`.
        channels: channels in and out.
        stride: 1 or 2.
        affine: whether batch norms scale and shift: in the derived network, not in the supernet.
        generator: source of `noise`.

    Raises:
        SettingsError: there is no such operation.

    Source: Liu et al., DARTS (ICLR 2019), section 3.1; Zela et al., RobustDARTS (ICLR 2020), for `noise`.
    """
    if name not in OPERATIONS:
        raise SettingsError(did_you_mean("operation", name, OPERATIONS))
    return OPERATIONS[name](channels, stride, affine, generator)
