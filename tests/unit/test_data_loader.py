import hashlib
import subprocess
import sys

import pytest
import torch

from zarts.data import Augment, Batches, ImageSet, channel_statistics
from zarts.errors import DataError, SettingsError

MEAN, STD = (0.5, 0.25, 0.1), (0.5, 0.2, 0.3)


def numbered(n, size=8, channels=3):
    """Images whose labels are their numbers."""
    images = torch.randint(
        256, (n, channels, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    return ImageSet(images, torch.arange(n))


def make(images, indices=None, **settings):
    return Batches(images, indices, **{"batch_size": 4, "seed": 0, "stream": "w", "mean": MEAN, "std": STD, **settings})


def epoch_labels(batches, epoch):
    return torch.cat([batches[epoch * len(batches) + step][1] for step in range(len(batches))]).tolist()


AUGMENT = Augment(crop_padding=1, flip=True, cutout=4)


def test_a_batch_is_a_pure_function_of_its_index():
    images = numbered(18)
    one, other = make(images, augment=AUGMENT), make(images, augment=AUGMENT)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    forwards = [one[i] for i in range(20)]
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    for i in reversed(range(20)):
        x, y = other[i]
        assert torch.equal(x, forwards[i][0])
        assert torch.equal(y, forwards[i][1])


def test_every_image_once_an_epoch_in_another_order_each_time():
    batches = make(numbered(18))
    first, second = epoch_labels(batches, 0), epoch_labels(batches, 1)
    assert sorted(first) == sorted(second) == list(range(18))
    assert len({tuple(first), tuple(second), tuple(range(18))}) == 3


def test_only_the_given_indices():
    assert sorted(epoch_labels(make(numbered(18), torch.tensor([3, 5, 7, 11, 13, 17])), 2)) == [3, 5, 7, 11, 13, 17]


@pytest.mark.parametrize("change", [{"stream": "alpha"}, {"seed": 1}])
def test_other_stream_or_seed_other_order_and_other_augmentation(change):
    images = numbered(32)
    one, other = make(images), make(images, **change)
    assert epoch_labels(one, 0) != epoch_labels(other, 0)
    same = ImageSet(images.images[:1].expand(32, -1, -1, -1), images.labels)
    assert not torch.equal(make(same, augment=AUGMENT)[0][0], make(same, augment=AUGMENT, **change)[0][0])


def test_augmentation_differs_between_batches_and_samples():
    same = ImageSet(numbered(1).images.expand(32, -1, -1, -1), torch.arange(32))
    batches = make(same, augment=Augment(crop_padding=4), batch_size=16)
    assert not torch.equal(batches[0][0], batches[2][0])
    assert len({image.numpy().tobytes() for image in batches[0][0]}) > 8


@pytest.mark.parametrize(
    ("count", "shuffle", "sizes"),
    [(8, True, [4, 4]), (10, True, [4, 4, 2]), (9, True, [4, 4]), (9, False, [4, 4, 1]), (3, False, [3])],
)
def test_last_batch(count, shuffle, sizes):
    batches = make(numbered(count), shuffle=shuffle)
    assert len(batches) == len(sizes)
    assert [len(batches[i][1]) for i in range(len(sizes))] == sizes


def test_a_left_out_image_is_another_one_each_epoch():
    batches = make(numbered(9))
    left_out = {next(iter(set(range(9)) - set(epoch_labels(batches, epoch)))) for epoch in range(12)}
    assert len(left_out) > 2


def test_in_order_for_testing():
    images = numbered(10)
    batches = make(images, shuffle=False)
    assert torch.cat([y for _, y in batches]).tolist() == list(range(10))
    x, y = batches[3]
    assert torch.equal(y, batches[0][1])
    expected = (images.images[:4] / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(x, expected, rtol=1e-5, atol=1e-5)


def test_shuffled_batches_are_not_iterated():
    with pytest.raises(TypeError, match="'w'"):
        iter(make(numbered(8)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augment", [None, AUGMENT])
def test_float32_channels_last(channels, augment):
    x, y = make(numbered(8, channels=channels), mean=MEAN[:channels], std=STD[:channels], augment=augment)[0]
    assert x.shape == (4, channels, 8, 8)
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_normalised_with_own_statistics_is_standard():
    images = numbered(64)
    mean, std = channel_statistics(images.images)
    x = torch.cat([x for x, _ in make(images, mean=mean, std=std, shuffle=False)])
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_padding_is_black_and_cutout_is_the_mean():
    white = ImageSet(torch.full((8, 1, 8, 8), 255, dtype=torch.uint8), torch.arange(8))
    settings = {"mean": (0.5,), "std": (0.5,), "batch_size": 8}
    assert make(white, augment=Augment(crop_padding=4), **settings)[0][0].unique().tolist() == [-1.0, 1.0]
    assert make(white, augment=Augment(cutout=4), **settings)[0][0].unique().tolist() == [0.0, 1.0]


def test_statistics():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    images[:, 1] = 255
    images[0, 2] = 255
    mean, std = channel_statistics(images)
    assert mean == pytest.approx((0, 1, 0.5))
    assert std == pytest.approx((1 / 255, 1 / 255, 0.5))  # constant channels: one grey level, not 0
    big = numbered(50).images
    mean, std = channel_statistics(big)
    assert mean == pytest.approx((big / 255).mean((0, 2, 3)).tolist(), abs=1e-5)
    assert std == pytest.approx((big / 255).std((0, 2, 3), correction=0).tolist(), abs=1e-5)


_CODE = """
import hashlib, torch
from zarts.data import Augment, Batches, ImageSet
images = torch.randint(256, (20, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
batches = Batches(ImageSet(images, torch.arange(20)), batch_size=4, seed=5, stream="w",
                  mean=(0.5, 0.25, 0.1), std=(0.5, 0.2, 0.3), augment=Augment(1, True, 4))
print(hashlib.sha256(b"".join(batches[i][0].contiguous().numpy().tobytes() for i in (0, 7, 13))).hexdigest())
"""


def test_same_batches_in_another_process():
    batches = make(numbered(20), seed=5, augment=AUGMENT)
    pixels = b"".join(batches[i][0].contiguous().numpy().tobytes() for i in (0, 7, 13))
    out = subprocess.run(
        [sys.executable, "-c", _CODE], env={"PYTHONHASHSEED": "42"}, capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == hashlib.sha256(pixels).hexdigest()


@pytest.mark.parametrize(
    ("count", "settings", "error", "message"),
    [
        (3, {}, DataError, "batch_size"),
        (0, {"shuffle": False}, DataError, "'w'"),
        (8, {"batch_size": 0}, SettingsError, "batch_size is 0"),
        (8, {"mean": (0.5,)}, SettingsError, "mean has 1"),
        (8, {"augment": Augment(cutout=16)}, SettingsError, r"cutout is 16"),
    ],
)
def test_impossible_batches(count, settings, error, message):
    with pytest.raises(error, match=message):
        make(numbered(count), **settings)


def test_negative_index():
    with pytest.raises(IndexError, match="-1"):
        make(numbered(8))[-1]


def test_image_set_take():
    images = ImageSet(numbered(3).images, torch.arange(3), ("a", "b", "c"))
    taken = images.take(torch.tensor([2, 0]))
    assert (len(taken), taken.labels.tolist(), taken.names) == (2, [2, 0], ("c", "a"))
    assert torch.equal(taken.images[0], images.images[2])
