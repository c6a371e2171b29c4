"""Crops and colours drawn for each image, beside torchvision's on the same draws."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2 import _geometry

from zarts.data import Augment, Batches, ImageSet
from zarts.data.transforms import Change, CropDraw, draw_changes
from zarts.errors import SettingsError
from zarts.runtime.seed import keyed_generator

JITTER = (0.4, 0.4, 0.4, 0.2)


def photo(width, height, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def drawn(count, seed=0, *, crop=True, jitter=JITTER):
    return draw_changes(count, crop=crop, jitter=jitter, generator=torch.Generator().manual_seed(seed))


class Drawn:
    """Stands for torch inside torchvision: what its algorithm draws is what `CropDraw` has."""

    def __init__(self, draw):
        self.tries = [u for pair in zip(draw.areas, draw.ratios, strict=True) for u in pair]
        self.corner = list(draw.corner)
        self.exp = torch.exp

    def empty(self, _):
        return self

    def uniform_(self, low, high):
        return torch.tensor(float(low) + self.tries.pop(0) * (float(high) - float(low)), dtype=torch.float64)

    def randint(self, low, high, size):
        return torch.tensor(low + int(self.corner.pop(0) * (high - low)))


@pytest.mark.parametrize(
    ("width", "height"), [(224, 224), (500, 375), (375, 500), (33, 1), (1, 33), (40, 10), (8, 8), (7, 200)]
)
def test_crops_are_torchvisions_on_the_same_draws(monkeypatch, width, height):
    image, transform = photo(width, height), v2.RandomResizedCrop(16)
    transform._log_ratio = torch.log(torch.tensor(transform.ratio, dtype=torch.float64))
    for change in drawn(40):
        monkeypatch.setattr(_geometry, "torch", Drawn(change.crop))
        theirs = transform.make_params([image])
        monkeypatch.undo()
        assert change.crop.box(height, width) == tuple(theirs[key] for key in ("top", "left", "height", "width"))


def test_no_try_fits_a_strip():
    thin = CropDraw([0.9] * 10, [0.5] * 10, (0.3, 0.3))
    assert thin.box(10, 90) == (0, 38, 10, 13)  # 4 / 3 wide, in the middle
    assert thin.box(90, 9) == (39, 0, 12, 9)  # 3 / 4 wide


def test_crops_are_of_every_area_ratio_and_place():
    boxes = torch.tensor([change.crop.box(400, 400) for change in drawn(2000)], dtype=torch.float64)
    top, _, height, width = boxes.unbind(1)
    areas, ratios = height * width / 400**2, width / height
    assert (areas.min() > 0.079, areas.max() < 1.005) == (True, True)
    assert (ratios.min() > 0.74, ratios.max() < 1.35) == (True, True)
    # of area a above 3 / 4 a share of -ln a / ln (4 / 3) fits, so that the mean is 0.478, not 0.54
    assert areas.mean() == pytest.approx(0.478, abs=0.02)
    assert ratios.log().mean() == pytest.approx(0, abs=0.02)
    middle = (top + height / 2 - 200) / (400 - height).clamp_min(1)
    assert middle.mean() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("size", [(60, 45), (32, 32)])
def test_changed_images_are_torchvisions_to_the_pixel(size):
    image, crop, colours = photo(*size), v2.RandomResizedCrop(32), v2.ColorJitter(*JITTER)
    names = [f"{name}_factor" for name in ("brightness", "contrast", "saturation", "hue")]
    for change in drawn(12):
        box = dict(zip(("top", "left", "height", "width"), change.crop.box(*reversed(size)), strict=True))
        factors = {names[number]: factor for number, factor in change.adjustments}
        order = torch.tensor([number for number, _ in change.adjustments])
        assert len(order) == 4
        theirs = colours.transform(crop.transform(image, box), {"fn_idx": order, **factors})
        assert np.array_equal(np.asarray(change(image, 32)), np.asarray(theirs))


def test_factors_and_their_order():
    changes = [dict(change.adjustments) for change in drawn(500, jitter=(0.4, 2.0, 0.0, 0.2))]
    bounds = {0: (0.6, 1.4), 1: (0.0, 3.0), 3: (-0.2, 0.2)}
    assert all(set(change) == set(bounds) for change in changes)
    for number, (low, high) in bounds.items():
        factors = torch.tensor([change[number] for change in changes])
        assert (factors.min() >= low, factors.max() <= high) == (True, True)
        assert factors.mean() == pytest.approx((low + high) / 2, abs=0.06 * (high - low))
    assert len({tuple(change) for change in changes}) == math.factorial(3)


def test_other_settings_leave_the_draws_of_each_part_alone():
    both, crop, colours = drawn(3), drawn(3, jitter=()), drawn(3, crop=False)
    assert [(c.crop, k.adjustments) for c, k in zip(crop, colours, strict=True)] == [
        (b.crop, b.adjustments) for b in both
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_changed_flipped_and_normalised(channels):
    pixels = torch.randint(256, (8, channels, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    jitter = JITTER if channels == 3 else (0.4, 0.4, 0.0, 0.0)
    augment = Augment(flip=True, resized=True, jitter=jitter)
    mean, std = (0.5, 0.4, 0.3)[:channels], (0.2, 0.3, 0.4)[:channels]
    batches = Batches(
        ImageSet(pixels, torch.arange(8)), batch_size=4, seed=3, stream="w", mean=mean, std=std, augment=augment
    )
    for index in (0, 5):
        x, y = batches[index]
        assert x.is_contiguous(memory_format=torch.channels_last)
        changes = draw_changes(4, crop=True, jitter=jitter, generator=keyed_generator(3, "w", "samples", index))
        flips = augment.draw(4, 16, 16, keyed_generator(3, "w", "augment", index)).flip
        for image, label, change, flip in zip(x, y, changes, flips, strict=True):
            source = pixels[label].permute(1, 2, 0).squeeze(2).numpy()
            seen = np.asarray(change(Image.fromarray(source), 16)).reshape(16, 16, channels)
            seen = torch.from_numpy(seen[:, ::-1].copy() if flip else seen.copy()).permute(2, 0, 1)
            expected = (seen / 255 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
            torch.testing.assert_close(image, expected, rtol=1e-5, atol=1e-5)


def test_jitter_without_a_crop_keeps_what_is_where():
    black = ImageSet(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.arange(4))
    black.images[:, :, 2, 5] = 255
    augment = Augment(jitter=(0.4, 0.0, 0.0, 0.0))
    x, _ = Batches(black, batch_size=4, seed=0, stream="w", mean=(0.0,) * 3, std=(1.0,) * 3, augment=augment)[0]
    assert (x > 0).nonzero()[:, 2:].unique(dim=0).tolist() == [[2, 5]]
    assert len(x[:, 0, 2, 5].unique()) > 1


@pytest.mark.parametrize(
    ("augment", "channels", "message"),
    [
        (Augment(resized=True, crop_padding=4), 3, "crop_padding is 4"),
        (Augment(jitter=JITTER), 1, "grey"),
        (Augment(jitter=(0.0, 0.0, 0.0, 0.1)), 1, "grey"),
    ],
)
def test_what_makes_no_sense(augment, channels, message):
    with pytest.raises(SettingsError, match=message):
        augment.check(16, channels)


def test_colours_of_grey_batches():
    grey = ImageSet(torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.arange(4))
    with pytest.raises(SettingsError, match="grey"):
        Batches(grey, batch_size=4, seed=0, stream="w", mean=(0.0,), std=(1.0,), augment=Augment(jitter=JITTER))


def test_a_change_without_draws_is_the_central_square():
    image = photo(20, 16)
    assert np.array_equal(np.asarray(Change()(image, 16)), np.asarray(image)[:, 2:18])
