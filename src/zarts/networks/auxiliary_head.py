"""Auxiliary head: a second classifier at two thirds of the depth, which helps in training and is then dropped."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import SettingsError

__all__ = ["AuxiliaryHead"]

_HIDDEN = 128
_FEATURES = 768


class AuxiliaryHead(nn.Module):
    """Pool to 2×2, 1×1 convolution, 2×2 convolution, linear.

    Args:
        channels: channels of the cell that it reads.
        num_classes: number of logits.
        stem: `cifar` (average pool 5×5 of stride 3, made for 8×8 features) or `imagenet` (stride 2, made for 7×7).

    Source: the released code of Liu et al., DARTS (ICLR 2019).
    Differs: feature sizes that the published pool does not bring to 2×2 are pooled adaptively. As in the released code
        (and in the parameter counts of its followers) the ImageNet head has no batch norm after the 2×2 convolution.
    """

    def __init__(self, channels: int, num_classes: int, stem: str) -> None:
        super().__init__()
        self.stride = 3 if stem == "cifar" else 2
        self.pool = nn.AvgPool2d(5, self.stride, count_include_pad=False)
        self.adaptive_pool = nn.AdaptiveAvgPool2d(2)
        self.features = nn.Sequential(
            nn.Conv2d(channels, _HIDDEN, 1, bias=False),
            nn.BatchNorm2d(_HIDDEN),
            nn.ReLU(),
            nn.Conv2d(_HIDDEN, _FEATURES, 2, bias=False),
            nn.BatchNorm2d(_FEATURES) if stem == "cifar" else nn.Identity(),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(_FEATURES, num_classes)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """The auxiliary logits.

        Raises:
            SettingsError: a batch of one image in training; batch norm over 1×1 features needs two.
        """
        if self.training and x.shape[0] == 1:
            raise SettingsError(
                "the auxiliary head got a batch of 1 image; needs at least 2 while training (batch norm over 1x1 "
                "features): choose another batch size, drop the last batch, or train without the head"
            )
        pooled = [(side - 5) // self.stride + 1 for side in x.shape[2:]]
        pool = self.pool if pooled == [2, 2] else self.adaptive_pool
        logits: Tensor = self.classifier(self.features(pool(torch.relu(x))).flatten(1))
        return logits
