import pytest
import torch

from zarts.data import Augment, Draws
from zarts.errors import SettingsError


def plain(image, augment, top, left, flip):
    """One (h, w, c) sample, as torchvision's RandomCrop and RandomHorizontalFlip would do it."""
    h, w, c = image.shape
    p = augment.crop_padding
    padded = torch.zeros(h + 2 * p, w + 2 * p, c, dtype=torch.uint8)
    padded[p : p + h, p : p + w] = image
    crop = padded[top : top + h, left : left + w]
    return torch.flip(crop, [1]) if flip else crop


def plain_cut(image, side, y, x):
    """One sample, as the Cutout of the DARTS code does it."""
    h, w, _ = image.shape
    y1, y2 = max(0, y - side // 2), min(h, y + side // 2)
    x1, x2 = max(0, x - side // 2), min(w, x + side // 2)
    image = image.clone()
    image[y1:y2, x1:x2] = 0.0
    return image


@pytest.mark.parametrize("shape", [(33, 12, 12, 3), (9, 8, 16, 1), (1, 32, 32, 3)])
@pytest.mark.parametrize("augment", [Augment(), Augment(2), Augment(0, True), Augment(4, True, 6), Augment(7, True, 2)])
def test_equals_a_loop_over_samples(shape, augment, generator):
    b, h, w, _ = shape
    pixels = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    kept = pixels.clone()
    draws = augment.draw(b, h, w, generator)
    moved = augment.crop_and_flip(pixels, draws)
    assert torch.equal(pixels, kept)
    floats = torch.randn(shape, generator=generator)
    cut = augment.cut_(floats.clone(), draws)
    for i in range(b):
        top, left, flip, y, x = (t[i].item() for t in draws)
        assert torch.equal(moved[i], plain(pixels[i], augment, top, left, flip and augment.flip))
        assert torch.equal(cut[i], plain_cut(floats[i], augment.cutout, y, x))


def test_cutout_of_odd_side_has_that_side():
    draws = Draws(*(torch.tensor([v]) for v in (0, 0)), torch.tensor([False]), torch.tensor([4]), torch.tensor([4]))
    cut = Augment(cutout=3).cut_(torch.ones(1, 8, 8, 1), draws)
    assert int((cut == 0).sum()) == 9


def test_draws_are_uniform_and_independent(generator):
    draws = Augment(crop_padding=4, flip=True, cutout=16).draw(90_000, 32, 32, generator)
    for values, levels in (
        (draws.top, 9),
        (draws.left, 9),
        (draws.flip, 2),
        (draws.cut_row, 32),
        (draws.cut_column, 32),
    ):
        counts = torch.bincount(values.long(), minlength=levels).double()
        expected = 90_000 / levels
        assert len(counts) == levels
        assert ((counts - expected).abs() < 5 * expected**0.5).all()
    correlations = torch.corrcoef(torch.stack([t.double() for t in draws]))
    assert (correlations - torch.eye(5, dtype=torch.float64)).abs().max() < 0.02


def test_scaled_is_the_papers_at_32():
    assert Augment.scaled(32, flip=True) == Augment(4, True, 16)
    assert Augment.scaled(8, flip=False) == Augment(1, False, 4)
    assert Augment.scaled(64, flip=True, cutout=False) == Augment(8, True, 0)


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (Augment(cutout=16), "cutout is 16"),
        (Augment(crop_padding=8), "crop_padding is 8"),
        (Augment(cutout=-1), r"cutout is -1"),
    ],
)
def test_what_leaves_nothing_is_refused(augment, message):
    with pytest.raises(SettingsError, match=message):
        augment.check(8)
