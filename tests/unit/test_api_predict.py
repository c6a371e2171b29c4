"""Predictions for everything that people call an image, by every kind of model file."""

import numpy as np
import pytest
import torch
from PIL import Image

import zarts
from zarts.data.image_io import read_image
from zarts.errors import DataError
from zarts.exports import Served, write_model
from zarts.networks import seeded
from zarts.spaces import published
from zarts.training import ModelCard

pytestmark = pytest.mark.usefixtures("unchecked")

NAMES = {"safetensors": "model.safetensors", "torchscript": "model.pt", "python": "."}
"""The formats, without ONNX, which takes long to write: see `test_exports.py`."""


def made(channels, size=8):
    card = ModelCard(
        published("DARTS_V2"), 2, 3, "cifar", ("ant", "bee", "cat"), size, (0.4,) * channels, (0.3,) * channels
    )
    with seeded(1):
        return card.build().eval(), card


@pytest.fixture(scope="module", params=[1, 3], ids=["grey", "colour"])
def model(request, tmp_path_factory):
    """A model file, the network and its card."""
    network, card = made(request.param)
    return write_model(network, card, "safetensors", tmp_path_factory.mktemp("model"))[0], network, card


@pytest.fixture
def photo(request, tmp_path):
    pixels = torch.randint(256, (*request.param, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    Image.fromarray(pixels.numpy()).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(
    ("model", "photo"),
    [
        (1, (8, 8)),
        (3, (13, 10)),
        pytest.param(1, (13, 10), marks=pytest.mark.long),
        pytest.param(3, (8, 8), marks=pytest.mark.long),
    ],
    ids=["grey-its size", "colour-another size", "grey-another size", "colour-its size"],
    indirect=True,
)
def test_one_image_in_every_form_has_one_prediction(model, photo, monkeypatch):
    """To the bit: pixels, divided by 255 or not, go the way of the file."""
    path, network, card = model
    pixels = np.asarray(Image.open(photo))
    first = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    monkeypatch.chdir(photo.parent)
    monkeypatch.setenv("HOME", str(photo.parent))
    (expected,) = zarts.predict(path, photo, top=3)
    kept = torch.from_numpy(read_image(photo, 8, "L" if len(card.mean) == 1 else "RGB").copy())
    kept = kept.reshape(8, 8, -1).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        chances = Served(network, card)(kept).softmax(1)[0]
    assert dict(expected.classes) == pytest.approx(dict(zip(card.classes, chances.tolist(), strict=True)))
    assert (expected.label, expected.probability) == expected.classes[0]
    forms = {
        "a text": "photo.png",
        "home": "~/photo.png",
        "Pillow": Image.open(photo),
        "array": pixels,
        "floats, last": (pixels / 255).astype(np.float64),
        "tensor": first,
        "floats": first / 255,
        "half": (first / 255).half(),
        "whole numbers": pixels.astype(np.int64),
        "folder": photo.parent,
    }
    for name, form in forms.items():
        for images in (form, [form], iter([form])):
            (found,) = zarts.predict(path, images, top=3)
            assert found.classes == expected.classes, name
    batch = zarts.predict(path, first[None].repeat(3, 1, 1, 1) / 255, top=3)
    assert [one.image for one in batch] == [0, 1, 2]
    assert zarts.predict(path, [photo, pixels[None], Image.open(photo)])[1].image == 1
    for one in batch:
        assert dict(one.classes) == pytest.approx(dict(expected.classes))


def test_grey_images_and_transparent_ones(model):
    """One grey image in four forms; where all is transparent, a network sees white."""
    path = model[0]
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    forms = (grey, grey[..., None], torch.from_numpy(grey)[None] / 255, grey[None, :, :, None])
    assert len({str(zarts.predict(path, form, top=3)[0].classes) for form in forms}) == 1
    clear, white = Image.new("RGBA", (8, 8), (0, 0, 0, 0)), np.full((8, 8, 3), 255, np.uint8)
    assert zarts.predict(path, clear)[0].classes == zarts.predict(path, white)[0].classes
    assert clear.mode == "RGBA"


@pytest.mark.parametrize("form", NAMES)
def test_every_kind_of_model_file_takes_images_in_memory(tmp_path, form):
    network, card = made(3)
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    write_model(network, card, form, tmp_path)
    found = zarts.predict(tmp_path / NAMES[form], images, top=3, trust=True)
    with torch.no_grad():
        chances = Served(network, card)((images * 255).round() / 255).softmax(1)
    for one, row in zip(found, chances.tolist(), strict=True):
        assert dict(one.classes) == pytest.approx(dict(zip(card.classes, row, strict=True)), abs=1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 3)) + 1.5, "floats from 0 to 1"),
        (np.full((8, 8, 3), np.nan), "NaN"),
        (torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0)), "normalization"),
        (np.zeros((8, 8, 3), np.int64) - 1, "0 to 255"),
        (np.zeros((9, 8, 7), np.uint8), "shape"),
        (np.zeros((2, 8, 8, 8, 3), np.uint8), "shape"),
        (np.zeros((8, 0), np.uint8), "shape"),
        ([[0, 1]], "list is no image"),
        (7, "int is no image"),
    ],
)
def test_what_is_no_image_is_refused(model, images, message):
    with pytest.raises(DataError, match=message):
        zarts.predict(model[0], images)


def test_an_image_that_cannot_be_read_raises_where_its_class_is_asked_for(model, tmp_path):
    (found,) = zarts.predict(model[0], str(tmp_path / "none.jpg"))
    assert found.classes == []
    for name in ("label", "probability"):
        with pytest.raises(DataError, match=r"none\.jpg"):
            getattr(found, name)
