"""A user-defined operation: a 3x3 convolution whose channels are scaled by a gate that sees the whole image."""

import torch
from torch import nn

import zarts


class GatedConvolution(nn.Module):
    """ReLU, 3x3 convolution, batch norm, and a gate between 0 and 1 for each channel."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)
        self.gate = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(torch.relu(x)))
        return y * self.gate(y.mean(dim=(2, 3))).sigmoid()[:, :, None, None]


@zarts.register_operation("gated_conv")
def gated_conv(channels: int, stride: int, affine: bool) -> nn.Module:
    """`stride` is 1 or 2; `affine` is false in the supernet, whose batch norms neither scale nor shift."""
    return GatedConvolution(channels, stride, affine)
