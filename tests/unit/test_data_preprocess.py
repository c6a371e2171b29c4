"""The reader of images beside hand-made files and other decoders: every kind of picture, and the way it leaves."""

import contextlib
import io
import re
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from torchvision.transforms import v2

from pictures import COLOUR, DEEP, GREY, P3, PALETTE, READ, by_pillow, exif, gif, matrix_profile, pictures, png, tiff
from zarts.data import image_io, load_data, preprocess, python_data
from zarts.data.image_io import FileSource, levels_of, read_image
from zarts.data.pixels import pixels_of
from zarts.data.preprocess import LimitError, NotReadable, check_image, fewest_bits
from zarts.errors import DataError, SettingsError

PICTURES = pictures()
DOCS = Path(__file__).parents[2] / "docs"


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


def test_the_docs_name_every_kind():
    rows = "".join(f"| {kind} | {read} |\n" for kind, read in READ.items())
    assert f"| picture | what is read |\n| --- | --- |\n{rows}\n" in (DOCS / "data.md").read_text("utf-8")
    assert {picture.kind for picture in PICTURES} | {"AVIF"} == set(READ)  # Pillow may be without it
    assert len(PICTURES) > 100


def test_a_header_tells_what_is_refused_before_any_pixel_is_decoded():
    for picture in PICTURES:
        if isinstance(picture.shows, str) and picture.shows not in (
            *("damaged", "negative pixels", "32-bit pixels of unknown range"),
        ):
            with pytest.raises(NotReadable) as found:
                check_image(picture.content, f"a{picture.ending}")
            assert found.value.reason == picture.shows


def test_the_first_bytes_of_many_kinds_are_enough():
    photo = Image.fromarray(COLOUR.astype(np.uint8)).resize((300, 200), Image.Resampling.BICUBIC)
    for form in ("JPEG", "PNG", "GIF", "BMP", "PPM"):
        content = by_pillow(photo, form)
        assert len(content) > 4500
        check_image(content[:4096], "a")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from([p.content for p in PICTURES if p.content]), st.randoms(use_true_random=False))
def test_damage_is_named_or_read(content, random):
    """A few bytes of a file are others, or its end is missing: pixels or a `NotReadable`, never another error."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        changed[random.randrange(min(len(changed), 400))] = random.randrange(256)
    changed = changed[: random.choice((len(changed), random.randint(1, len(changed))))]
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(NotReadable):
        patch.setenv("ZARTS_MAX_PIXELS", "1000000")
        assert preprocess.read(bytes(changed), 8).shape[:2] == (8, 8)


def test_ordinary_pictures_keep_their_pixels():
    """The formula before there was this module, for files of 8 bits without a profile and for grey of 16."""
    photo = Image.fromarray(COLOUR.astype(np.uint8)).resize((90, 70), Image.Resampling.BICUBIC)
    box = (10.0, 0.0, 80.0, 70.0)
    for form, options in (("PNG", {}), ("JPEG", {"quality": 90}), ("BMP", {}), ("WEBP", {})):
        content = by_pillow(photo, form, **options)
        for size in (40, 16):
            image = Image.open(io.BytesIO(content))
            if form == "JPEG" and size == 16:
                image.draft(None, (32, 32))
                assert image.size == (45, 35)
            scale = image.width / 90
            then = image.resize((size, size), Image.Resampling.BILINEAR, box=tuple(edge * scale for edge in box))
            assert np.array_equal(preprocess.read(content, size), np.asarray(then))
    levels = np.arange(65536).reshape(256, 256)
    assert np.array_equal(pixels(png(levels, 16, 0)), (levels + 128) // 257)


@pytest.mark.parametrize("size", [8, 32, 224])
@pytest.mark.parametrize("shape", [(500, 375), (375, 500), (37, 37), (1000, 31), (256, 300), (9, 9)])
def test_the_centre_is_that_of_torchvision(shape, size):
    image = Image.fromarray(COLOUR.astype(np.uint8)).resize(shape, Image.Resampling.BICUBIC)
    theirs = v2.Compose([v2.Resize(round(size * 256 / 224)), v2.CenterCrop(size)])(image)
    assert np.array_equal(np.asarray(preprocess.centre_of_larger(image, size)), np.asarray(theirs))


def test_it_needs_neither_zarts_nor_torch(tmp_path):
    (tmp_path / "preprocess.py").write_bytes(Path(preprocess.__file__).read_bytes())
    (tmp_path / "a.png").write_bytes(png(COLOUR, 8, 2))
    code = """
import sys
sys.modules["zarts"] = sys.modules["torch"] = sys.modules["torchvision"] = None
import preprocess
images = preprocess.prepare(["a.png", open("a.png", "rb"), open("a.png", "rb").read()], {"image_size": 8, "mean": [0]})
print(images.shape, images.dtype, (images[0] == images[1:]).all(), {m.split(".")[0] for m in sys.modules} & {"scipy"})
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "(3, 1, 8, 8) float32 True set()\n", done.stderr


def test_forms_of_one_file_have_the_same_pixels():
    for content in (png(COLOUR, 8, 2), gif(GREY, PALETTE, key=3), tiff(DEEP, 16, order=">")):
        expected = preprocess.read(content, 4)
        for form in (io.BytesIO(content), Image.open(io.BytesIO(content)), memoryview(content), bytearray(content)):
            assert np.array_equal(preprocess.read(form, 4), expected)
    turned = png(COLOUR, 8, 2, [(b"eXIf", exif(6))])
    assert np.array_equal(pixels_of(Image.open(io.BytesIO(turned)), "here"), COLOUR[::-1].swapaxes(0, 1))


def test_objects_whose_16_bits_are_hardly_used():
    """Of objects nothing keeps the bits; what would be dark is refused."""

    def given(levels):
        others = (
            slice(None),
            slice(None, None, -1),
            np.roll(np.arange(len(levels)), 1),
            np.roll(np.arange(len(levels)), 2),
        )
        images = [Image.fromarray(part.astype(np.uint16)) for part in map(levels.__getitem__, others)]
        return python_data([(image, i % 2) for i, image in enumerate(images)])

    assert load_data(given(DEEP), image_size=8).train.size == 8
    with pytest.raises(DataError, match=r"16 bits reach only .* 8 bits"):
        load_data(given(DEEP >> 4), image_size=8)


def test_a_profile_that_is_srgb_changes_nothing():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(pixels(by_pillow(COLOUR, "PNG", icc_profile=srgb)), COLOUR)


def test_profiles_in_many_threads():
    """Transforms are not shared between threads, and few are kept."""
    contents = [
        png(COLOUR, 8, 2, [(b"iCCP", b"x\0\0" + zlib.compress(matrix_profile(P3, 1 + i / 40)))]) for i in range(40)
    ]
    alone = [pixels(content) for content in contents]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(pixels, contents * 3))
    assert all(np.array_equal(*pair) for pair in zip(together, alone * 3, strict=True))
    assert len({one.tobytes() for one in alone}) > 30
    assert 0 < len(preprocess._cached.changes) <= 16


def test_large_pictures_and_their_limit(tmp_path, monkeypatch, recwarn):
    """Without the warning that Pillow prints from half of its limit on; and its own limit is as before afterwards."""
    (tmp_path / "a.png").write_bytes(png(GREY[:4, :4], 8, 0))
    kept = Image.MAX_IMAGE_PIXELS
    with pytest.raises(DataError, match=r"20000x20000.*ZARTS_MAX_PIXELS"):
        read_image(_large(tmp_path), 8)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15)
    assert read_image(tmp_path / "a.png", 4).shape == (4, 4)  # Pillow warns above 15 pixels, and refuses above 30
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 7)
    with pytest.raises(DataError, match="4x4 = 16 pixels, more than 14"):
        read_image(tmp_path / "a.png", 4)
    assert preprocess.read(Image.fromarray(COLOUR.astype(np.uint8)), 4).shape == (4, 4, 3)  # is in memory already
    monkeypatch.setenv("ZARTS_MAX_PIXELS", "16")
    for name, content in (("PNG", png(GREY[:4, :4], 8, 0)), ("TIFF", tiff(GREY[:4, :4], 8)), ("WebP", _webp())):
        assert preprocess.read(content, 4).shape[:2] == (4, 4), name
    assert Image.MAX_IMAGE_PIXELS == 7
    monkeypatch.setenv("ZARTS_MAX_PIXELS", "5")
    with pytest.raises(NotReadable, match="ZARTS_MAX_PIXELS") as found:  # before its canvas is allocated
        preprocess.read(_webp(), 4)
    assert found.value.reason == "too large"
    monkeypatch.setenv("ZARTS_MAX_PIXELS", "16")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: preprocess.read(tmp_path / "a.png", 4), range(200)))
    assert (Image.MAX_IMAGE_PIXELS, preprocess._readers) == (7, [])
    for text in ("abc", "0", "-5", "1e9", "²"):
        monkeypatch.setenv("ZARTS_MAX_PIXELS", text)
        with pytest.raises(SettingsError, match="ZARTS_MAX_PIXELS"):
            read_image(tmp_path / "a.png", 4)
        with pytest.raises(SettingsError, match="ZARTS_MAX_PIXELS"):
            image_io.check_image(b"", "a.png")
        with pytest.raises(SettingsError, match="ZARTS_MAX_PIXELS"):
            image_io.decode(FileSource(tmp_path), ["a.png"], 8, failed={})
        with pytest.raises(LimitError):
            preprocess.prepare([tmp_path / "a.png"], {"image_size": 8, "mean": [0]})
    monkeypatch.undo()
    assert kept == Image.MAX_IMAGE_PIXELS
    assert not recwarn.list


def _large(folder):
    path = folder / "large.png"
    path.write_bytes(png(COLOUR, 8, 2, size=(20000, 20000)))
    return path


def _webp():
    return by_pillow(COLOUR[:4, :4], "WEBP", lossless=True)


def files_of(folder, **contents):
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return FileSource(folder), list(contents)


def test_the_bits_that_training_images_use(tmp_path):
    """The largest value of each kind counts; other images are not decoded."""
    source, names = files_of(
        tmp_path,
        a=png(DEEP >> 5, 16, 0),
        b=tiff(DEEP >> 4, 16, order=">"),
        c=tiff(GREY, 32, sample=2),
        d=png(COLOUR, 8, 2),
        e=b"broken",
        f=png(GREY, 8, 0)[:60],
        g=b"P5 7 5 1023\n" + (DEEP >> 6).astype(">u2").tobytes(),
    )
    bits, notes = levels_of(source, names)
    assert bits == {"I;16": 12, "I": 8}
    assert len(notes) == 2
    assert re.search(rf"^1 .* 32 bits .*{GREY.max()}.*255 \(8 bits\)", notes[0])
    assert re.search(rf"^2 .* 16 bits .*{(DEEP >> 4).max()}.*4095 \(12 bits\)", notes[1])
    assert levels_of(source, ["d", "e", "f", "g"]) == ({}, ())
    whole_range = files_of(tmp_path, h=png(DEEP, 16, 0), a=png(DEEP >> 5, 16, 0))
    assert levels_of(*whole_range) == ({}, ())
    assert [fewest_bits("I;16", most) for most in (0, 255, 256, 1023, 4096, 16383, 16384)] == [
        8,
        8,
        10,
        10,
        14,
        14,
        None,
    ]
    assert [fewest_bits("I", most) for most in (40000, 70000, 2**24, 2**31)] == [16, 24, 31, None]
    colours = np.stack([DEEP, DEEP, DEEP[::-1]], -1)
    assert levels_of(*files_of(tmp_path, a=png(colours, 16, 2), b=tiff(colours >> 4, 16, 2))) == ({}, ())
    for content in (png(colours >> 4, 16, 2), tiff(colours >> 4, 16, 2, order=">")):
        with pytest.raises(DataError, match=r"16 bits a channel .* 8 bits"):
            levels_of(*files_of(tmp_path, a=content))


@pytest.mark.parametrize("cache", ["memory", "streamed"])
def test_one_picture_in_every_depth(tmp_path, cache):
    """Case 11: 8 bits as a TIFF of 32, as a PNG of 16, and with alpha; the bits go with the data set."""
    ramp = np.tile(np.linspace(0, 234, 16).astype(int), (16, 1))
    for kind, grey in (("bright", ramp), ("dark", 234 - ramp)):
        for part in ("train", "test"):
            folder = tmp_path / part / kind
            folder.mkdir(parents=True)
            (folder / "1.tif").write_bytes(tiff(grey, 32, sample=2) + part.encode())
            (folder / "2.png").write_bytes(png(grey * 257, 16, 0) + part.encode())
            (folder / "3.png").write_bytes(png(np.dstack([grey] * 3 + [np.full_like(grey, 255)]), 8, 6) + part.encode())
    data = load_data(tmp_path, image_size=16, image_cache=cache)
    assert data.bits == {"I": 8}
    assert [note for note in data.notes if "32 bits that reach 234" in note]
    for images in (data.train, data.test()):
        got = images.pixels(torch.arange(6))
        assert np.array_equal(got[:3, 0], np.stack([ramp] * 3))
        assert np.array_equal(got[3:, 0], np.stack([234 - ramp] * 3))
    assert load_data(tmp_path, image_size=16, bits={"I": 10}).test().pixels(torch.tensor([0])).max() == 58  # 234 / 1023
    with pytest.raises(DataError, match=r"32-bit pixels of unknown range"):
        load_data(tmp_path, image_size=16, image_cache="memory", bits={})


def test_images_that_fail_are_left_out_with_their_reason(tmp_path):
    source, names = files_of(
        tmp_path,
        a=png(GREY, 8, 0),
        b=b"hello",
        c=png(COLOUR, 8, 2)[:90],
        d=png(255 - GREY, 8, 0),
        e=tiff(GREY / 9, 32, sample=3),
    )
    failed = {}
    got = image_io.decode(source, [*names, "f"], 8, failed=failed)
    reasons = {"b": "not an image", "c": "damaged", "e": "floating-point pixels", "f": "No such file or directory"}
    assert list(failed.items()) == list(reasons.items())
    assert np.array_equal(got, image_io.decode(source, ["a", "d"], 8))
    assert got.shape == (2, 1, 8, 8)
    with pytest.raises(DataError, match=r"/b "):
        image_io.decode(source, names, 8)
