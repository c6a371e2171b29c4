"""The reader of images beside hand-made files and other decoders: every kind of picture, and the way it leaves."""

import re

import numpy as np
import pytest

from pictures import pictures
from zarts.data import preprocess
from zarts.data.preprocess import NotReadable, check_image

pytestmark = pytest.mark.usefixtures("unchecked")

PICTURES = pictures()


def whole(image, _):
    return image


def pixels(content, **options):
    return preprocess.read(content, 8, fit=whole, **options).astype(int)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: f"{p.kind}: {p.name}")
def test_a_picture_shows_what_it_was_made_of(picture, tmp_path):
    path = tmp_path / f"a{picture.ending}"
    path.write_bytes(picture.content)
    if isinstance(picture.shows, str):
        with pytest.raises(NotReadable) as found:
            pixels(path, bits=picture.bits)
        assert found.value.reason == picture.shows
        assert re.search("save it|repair|remove|copy it|ZARTS_MAX_PIXELS", str(found.value))
        return
    check_image(picture.content, path.name)
    shown = pixels(path, bits=picture.bits)
    expected = picture.shows
    if shown.ndim > expected.ndim:  # grey over white has three equal channels
        expected = np.repeat(expected[:, :, None], 3, 2)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).max() <= picture.tolerance
