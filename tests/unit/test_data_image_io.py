import numpy as np
import pytest
import torch
from PIL import Image

from zarts.data import image_io
from zarts.data.image_io import FileSource, read_image
from zarts.errors import DataError

COLOUR = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
GREY = COLOUR[:, :, 0]


def decode(paths, size, **settings):
    return image_io.decode(FileSource(paths[0].parent), [path.name for path in paths], size, **settings)


def save(path, array, mode=None, **settings):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **settings)
    return path


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_modes(tmp_path, mode):
    array = (GREY > 127).astype(np.uint8) * 255
    path = save(tmp_path / "a.png", array, mode)
    assert decode([path], 12).shape == (1, 1, 12, 12)
    assert np.array_equal(decode([path], 12)[0, 0], array)


@pytest.mark.parametrize("shape", [(40, 20), (20, 40), (13, 29), (7, 5)])
def test_shorter_side_is_resized_and_the_centre_kept(tmp_path, shape):
    # a picture that differs only along its longer side
    h, w = shape
    ramp = np.linspace(0, 255, max(h, w)).round().astype(np.uint8)
    array = np.broadcast_to(ramp[:, None] if h > w else ramp[None], shape).copy()
    got = read_image(save(tmp_path / "a.png", array), 8).astype(float)
    assert got.shape == (8, 8)
    short, long = sorted(shape)
    along = got.mean(1) if h > w else got.mean(0)
    edges = 255 * ((long - short) / 2 + (np.arange(8) + 0.5) * short / 8 - 0.5) / (long - 1)
    assert np.abs(along - edges)[1:-1].max() < 3


@pytest.mark.parametrize("shape", [(400, 320), (80, 64)])
def test_large_photographs_are_nearly_as_if_decoded_whole(tmp_path, shape):
    blocks = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    photo = Image.fromarray(blocks).resize(shape, Image.Resampling.BICUBIC)
    photo.save(tmp_path / "a.jpg", quality=95)
    photo.save(tmp_path / "a.png")
    near, whole = read_image(tmp_path / "a.jpg", 16).astype(int), read_image(tmp_path / "a.png", 16)
    assert np.abs(near - whole).max() < 10


def test_channels_are_one_only_if_all_are_grey(tmp_path):
    grey = save(tmp_path / "grey.png", GREY)
    hidden = save(tmp_path / "hidden.png", GREY, "RGB")
    colour = save(tmp_path / "colour.png", COLOUR)
    assert decode([grey, hidden], 12).shape[1] == 1
    both = decode([grey, colour], 12)
    assert both.shape[1] == 3
    assert np.array_equal(both[0], np.broadcast_to(GREY, (3, 12, 12)))
    assert decode([colour], 12, channels=1).shape[1] == 1
    assert decode([grey], 12, channels=3).shape[1] == 3
    assert both.is_contiguous(memory_format=torch.channels_last)


def test_order_is_kept_over_many_chunks(tmp_path):
    paths = [save(tmp_path / f"{i}.png", np.full((8, 8), i, dtype=np.uint8)) for i in range(200)]
    assert decode(paths, 8)[:, 0, 0, 0].tolist() == list(range(200))


def test_the_first_broken_image_is_named(tmp_path):
    paths = [save(tmp_path / f"{i:03}.png", GREY) for i in range(150)]
    for i in (70, 140):
        paths[i].write_bytes(paths[i].read_bytes()[:60])
    with pytest.raises(DataError, match=r"070\.png"):
        decode(paths, 8)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"\xff\xd8\xff" + b"\0" * 50])
def test_not_an_image(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.jpg"):
        read_image(tmp_path / "a.jpg", 8)


def test_unreadable_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(DataError, match=r"a\.png"):
        read_image(tmp_path / "a.png", 8)
