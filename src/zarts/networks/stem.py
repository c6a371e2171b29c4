"""Stems: from the image to the two inputs of the first cell."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from zarts.errors import SettingsError, did_you_mean
from zarts.networks.memory_format import channels_last, laid_out

__all__ = ["STEMS", "CifarStem", "ImageNetStem", "Stem", "build_stem"]

Images = Float[Tensor, "batch in_channels height width"]
Inputs = tuple[Float[Tensor, "batch channels height0 width0"], Float[Tensor, "batch channels height1 width1"]]


class CifarStem(nn.Module):
    """3×3 convolution and batch norm; both inputs of the first cell are its output."""

    first_larger = False

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, images: Images) -> Inputs:
        """The same size, twice the same features."""
        features = self.norm(channels_last(self.conv(laid_out(images, self)), self))
        return features, features


class ImageNetStem(nn.Module):
    """Three 3×3 convolutions of stride 2; the first cell sees the image at 1/4 and at 1/8 of its size."""

    first_larger = True

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()

        def half(inputs: int, outputs: int) -> list[nn.Module]:
            return [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs)]

        self.quarter = nn.Sequential(*half(in_channels, channels // 2), nn.ReLU(), *half(channels // 2, channels))
        self.eighth = nn.Sequential(nn.ReLU(), *half(channels, channels))

    def forward(self, images: Images) -> Inputs:
        """Features at 1/4 and at 1/8 of the size."""
        quarter = channels_last(self.quarter(laid_out(images, self)), self)
        return quarter, self.eighth(quarter)


Stem = CifarStem | ImageNetStem

STEMS: dict[str, type[CifarStem] | type[ImageNetStem]] = {"cifar": CifarStem, "imagenet": ImageNetStem}


def build_stem(name: str, in_channels: int, channels: int) -> Stem:
    """The stem of that name; its batch norms are affine, in the supernet too.

    Args:
        name: a key of `STEMS`.
        in_channels: channels of the images: 3 for colour, 1 for grey.
        channels: channels of the stem's output.

    Raises:
        SettingsError: there is no such stem.

    Source: the networks of Liu et al., DARTS (ICLR 2019), for CIFAR-10 and for ImageNet.
    """
    if name not in STEMS:
        raise SettingsError(did_you_mean("stem", name, STEMS))
    return STEMS[name](in_channels, channels)
