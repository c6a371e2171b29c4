"""Hand-made networks: published chains by name, at any width and stride of the stem."""

from __future__ import annotations

from typing import NamedTuple

from zarts.errors import SettingsError, did_you_mean
from zarts.spaces.chain import Chain, ChainStem, Stage

__all__ = ["HANDMADE", "Handmade", "handmade"]


class Handmade(NamedTuple):
    """A hand-made network: its chain at width 1, what it is, and where it comes from."""

    chain: Chain
    summary: str
    source: str


def _resnet(depth: int) -> Chain:
    """ResNet for small images: `depth` pairs in each of three stages, with shortcuts of option A."""
    widths = ((16, 1), (32, 2), (64, 2))
    stages = (Stage("residual", width, depth, stride, shortcut="padding") for width, stride in widths)
    return Chain(ChainStem(16), tuple(stages), name=f"resnet{6 * depth + 2}")


_MOBILENET_V2 = (  # expansion, width, depth, stride: table 2 of the paper
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)

HANDMADE: dict[str, Handmade] = {
    "resnet8": Handmade(
        Chain(
            ChainStem(16),
            (Stage("residual", 16), Stage("residual", 32, stride=2), Stage("residual", 64, stride=2)),
            name="resnet8",
        ),
        "three residual pairs",
        "Banbury et al., MLPerf Tiny (NeurIPS 2021 Datasets and Benchmarks)",
    ),
    "resnet14": Handmade(_resnet(2), "six residual pairs", "He et al. (CVPR 2016), section 4.2"),
    "resnet20": Handmade(_resnet(3), "nine residual pairs", "He et al. (CVPR 2016), section 4.2"),
    "vgg": Handmade(
        Chain(
            ChainStem(64),
            (
                Stage("conv", 64),
                *(Stage("conv", width, 2, 2, downsampling="max-pool") for width in (128, 256)),
            ),
            name="vgg",
        ),
        "six convolutions with max pools: the first three stages of configuration B, with batch norm",
        "Simonyan and Zisserman (ICLR 2015), table 1",
    ),
    "ds_cnn": Handmade(
        Chain(ChainStem(64, stride=2), (Stage("separable", 64, 4),), dropout=0.4, name="ds_cnn"),
        "four separable convolutions; with a 3×3 stem in place of that for spectrograms",
        "Zhang et al., Hello Edge (2017); as in MLPerf Tiny",
    ),
    "mobilenet_v2": Handmade(
        Chain(
            ChainStem(32, stride=2),
            tuple(Stage("inverted", width, depth, stride, expansion=t) for t, width, depth, stride in _MOBILENET_V2),
            head=1280,
            dropout=0.2,
            activation="relu6",
            divisor=8,
            name="mobilenet_v2",
        ),
        "seventeen inverted bottlenecks",
        "Sandler et al., MobileNetV2 (CVPR 2018); as in torchvision",
    ),
}
"""The hand-made networks at width 1, by name."""


def handmade(name: str, width: float = 1.0, stem_stride: int | None = None) -> Chain:
    """The hand-made network of that name.

    Args:
        name: a key of `HANDMADE`.
        width: factor of its published widths, above 0.
        stem_stride: stride of its stem; None: as published.

    Raises:
        SettingsError: there is no such network, or a number cannot be used.
    """
    if name not in HANDMADE:
        raise SettingsError(did_you_mean("hand-made network", name, HANDMADE, "zarts list networks"))
    return HANDMADE[name].chain.scaled(width, stem_stride)
