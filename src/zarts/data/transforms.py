"""Transforms of single images before they join a batch: a resized random crop, and jitter of the colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from zarts.data.preprocess import central_square

__all__ = ["Change", "CropDraw", "changed", "draw_changes"]

_TRIES = 10
_AREA = (0.08, 1.0)
_RATIO = (3 / 4, 4 / 3)
_ADJUSTMENTS = ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue")
_HUE = 3


@dataclass(frozen=True)
class CropDraw:
    """The draws for the crop of an image whose size is not known yet: numbers from 0 to below 1.

    Args:
        areas: of each try, for the share of the image's area.
        ratios: of each try, for width by height.
        corner: for row and column of the top left corner.
    """

    areas: Sequence[float]
    ratios: Sequence[float]
    corner: tuple[float, float]

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of the crop, in pixels.

        The area is uniform in 8 to 100 % of the image's area. The logarithm of the ratio is uniform between those of
        3/4 and 4/3. The first of ten tries that fits counts; if none fits, it is the largest central crop of such a
        ratio.

        Source: Szegedy et al., Going Deeper with Convolutions (CVPR 2015), section 6; torchvision's RandomResizedCrop.
        """
        least, most = (math.log(ratio) for ratio in _RATIO)
        for area, ratio in zip(self.areas, self.ratios, strict=True):
            pixels = height * width * (_AREA[0] + area * (_AREA[1] - _AREA[0]))
            aspect = math.exp(least + ratio * (most - least))
            w, h = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
            if 0 < w <= width and 0 < h <= height:
                top, left = (int(u * (room + 1)) for u, room in zip(self.corner, (height - h, width - w), strict=True))
                return top, left, h, w
        w, h = min(width, round(height * _RATIO[1])), min(height, round(width / _RATIO[0]))
        return (height - h) // 2, (width - w) // 2, h, w


@dataclass(frozen=True)
class Change:
    """The transform of one image: crop and colours as drawn.

    Args:
        crop: draws of its crop; None: the central square.
        adjustments: index into (brightness, contrast, saturation, hue) and factor, in the order of application.

    Source: colours as in torchvision's ColorJitter on Pillow's images, which the papers' code uses.
    Differs: colours change before the flip, which gives the same result.
    """

    crop: CropDraw | None = None
    adjustments: tuple[tuple[int, float], ...] = ()

    def __call__(self, image: Image.Image, size: int) -> Image.Image:
        """The transformed image, `size` pixels a side."""
        from torchvision.transforms.v2 import functional

        if self.crop is None:
            image = central_square(image, size)
        else:
            box = self.crop.box(image.height, image.width)
            image = functional.resized_crop(image, *box, size=[size, size], antialias=True)
        for number, factor in self.adjustments:
            image = getattr(functional, _ADJUSTMENTS[number])(image, factor)
        return image


def changed(pixels: np.ndarray[Any, np.dtype[np.uint8]], change: Change | None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pixels (size, size) or (size, size, 3) after a change, if there is one."""
    return pixels if change is None else np.asarray(change(Image.fromarray(pixels), len(pixels)))


def draw_changes(count: int, *, crop: bool, jitter: Sequence[float], generator: torch.Generator) -> list[Change]:
    """Draw the change of each of `count` images independently.

    Args:
        count: number of images.
        crop: whether they are cropped and resized.
        jitter: strengths of brightness, contrast, saturation and hue; empty: none. A factor is uniform in
            [max(0, 1 - strength), 1 + strength], for hue in [-strength, strength].
        generator: source of the draws; their number does not depend on `crop` and `jitter`.
    """

    def uniform(columns: int) -> list[list[float]]:
        drawn: list[list[float]] = torch.rand(count, columns, dtype=torch.float64, generator=generator).tolist()
        return drawn

    areas, ratios, corners, shares, orders = (uniform(n) for n in (_TRIES, _TRIES, 2, 4, 4))
    changes = []
    for i in range(count):
        adjustments = []
        for number in sorted(range(4), key=orders[i].__getitem__):
            if jitter and jitter[number] > 0:
                least = -jitter[number] if number == _HUE else max(0.0, 1 - jitter[number])
                most = jitter[number] if number == _HUE else 1 + jitter[number]
                adjustments.append((number, least + shares[i][number] * (most - least)))
        drawn = CropDraw(areas[i], ratios[i], (corners[i][0], corners[i][1])) if crop else None
        changes.append(Change(drawn, tuple(adjustments)))
    return changes
