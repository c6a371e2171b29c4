"""The pixels of an image file as a network knows them; `zarts export` writes a copy of this file beside each model.

It needs Pillow (10.1 or newer) and NumPy alone, so that a server without zarts gets the same pixels to the bit:

    import json, pathlib, preprocess
    config = json.loads(pathlib.Path("config.json").read_text("utf-8"))
    images = preprocess.prepare(["photo.jpg"], config)  # float32 (1, channels, size, size), scaled to [0, 1]

An image is what a picture viewer shows: the first frame or page, upright by EXIF, in sRGB by its colour profile, over
white where it is transparent, with 8 bits a channel. What cannot be known is refused (`NotReadable`).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageCms

__all__ = [
    "FORMATS",
    "Bits",
    "Fit",
    "ImageFile",
    "LimitError",
    "Mode",
    "NotReadable",
    "Pixels",
    "central_square",
    "centre_of_larger",
    "check_image",
    "eight_bits",
    "fewest_bits",
    "fitted",
    "largest_level",
    "prepare",
    "read",
]

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "JPEG2000", "AVIF", "ICO", "PCX", "QOI", "SGI", "SUN")
"""Formats of Pillow that are read; and TGA, which only its name or its end tells."""

Fit = Callable[[Image.Image, int], Image.Image]
"""Brings an image of any size to a square of the given side in pixels."""

Mode = Literal["L", "RGB"]
"""Grey or colour."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""(h, w) or (h, w, 3), 0 to 255."""

Bits = Mapping[str, int]
"""The bits that whole numbers of 16 (`I;16`) and of 32 bits (`I`) use in the training images, where not all."""

ImageFile = str | os.PathLike[str] | bytes | bytearray | memoryview | io.BufferedIOBase | Image.Image
"""A path, the content of a file, a file opened in binary mode, or an image of Pillow."""

_START = 4096
_REMOVE = "remove it, or save it as JPEG or PNG"
_UNUSUAL = "its kind of pixels is not read; save it with 8 or 16 bits"
_SMALLER = "make it smaller, or set the environment variable ZARTS_MAX_PIXELS to a larger number"
_RAW = re.compile("3fr|arw|cr2|cr3|crw|dcr|dng|erf|iiq|kdc|mef|mos|mrw|nef|nrw|orf|pef|raf|raw|rw2|rwl|sr2|srf|srw|x3f")
_OTHERS = (
    (b"8BPS", "PSD"),
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"gimp xcf", "XCF"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    *((magic, "camera raw") for magic in (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"FOVb", b"\0MRM")),
)
_HEIC = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_TURNS = dict(enumerate((0, 3, 1, 5, 4, 6, 2), 2))  # EXIF orientation to Pillow's Transpose
_USUAL_BITS = {"I;16": (8, 10, 12, 14), "I": (8, 10, 12, 14, 16, 24, 31), "RGB;16": (8, 10, 12, 14)}
_MOST_KNOWN = 2**24
_SAME = 2  # levels: a profile that changes colours by no more is sRGB
_PROFILES = 16
_TEST_MARGIN = 256 / 224


class NotReadable(ValueError):
    """A file that is no image, or an image that is not read: the text says why, and the way out.

    Args:
        reason: why, in few words that are the same for all files of a kind, such as `HEIC` or `damaged`.
        details: the rest of the text.
    """

    def __init__(self, reason: str, details: str = "save it as JPEG or PNG") -> None:
        super().__init__(f"{reason}: {details}")
        self.reason = reason


class LimitError(ValueError):
    """The environment variable `ZARTS_MAX_PIXELS` is no number."""


def prepare(images: Sequence[ImageFile], config: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Images as the network takes them.

    Args:
        images: paths, contents of files, files opened in binary mode, or images of Pillow.
        config: that of the network, from its `config.json`: `image_size`, `mean`, `crop`, `bits`.

    Returns:
        (n, channels, size, size), scaled to [0, 1], without a normalization.

    Raises:
        NotReadable: one of them cannot be read.
        OSError: a file cannot be opened.
    """
    size, channels = config["image_size"], len(config["mean"])
    fit = centre_of_larger if config.get("crop") == "resized" else central_square
    pixels = np.empty((len(images), size, size, channels), np.float32)
    for i, image in enumerate(images):
        got = read(image, size, "L" if channels == 1 else "RGB", fit, config.get("bits", {}))
        pixels[i] = got.reshape(size, size, channels)
    pixels /= 255
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def central_square(image: Image.Image, size: int) -> Image.Image:
    """The central square, resized (bilinear, antialiased): the same as resizing the shorter side and cropping."""
    if image.size == (size, size):
        return image
    width, height = image.size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def centre_of_larger(image: Image.Image, size: int) -> Image.Image:
    """The centre after the shorter side was resized to `size` times 256 / 224: how ImageNet is tested.

    Source: torchvision's transforms `Resize(256)` and `CenterCrop(224)`, in the code of DARTS and its peers.
    """
    larger, short = round(size * _TEST_MARGIN), min(image.size)
    width, height = (larger if side == short else int(larger * side / short) for side in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def read(
    image: ImageFile, size: int, mode: Mode | None = None, fit: Fit = central_square, bits: Bits | None = None
) -> Pixels:
    """One image, upright, brought to `size`. Of several frames or pages the first is taken.

    Args:
        image: a path, the content of a file, a file opened in binary mode, or an image of Pillow.
        size: height and width of the result.
        mode: grey or colour; None leaves it as it is in the file.
        fit: brings the image to that size.
        bits: see `Bits`.

    Returns:
        (size, size) or (size, size, 3).

    Raises:
        NotReadable: it is no image, or one that is not read, or damaged.
        OSError: the file cannot be opened.
        LimitError: the limit on pixels is no number.
    """
    with _opened(image) as opened:
        if (
            not isinstance(image, Image.Image)
            and fit is central_square
            and opened.format == "JPEG"
            and min(opened.size) >= 4 * size
        ):
            opened.draft(None, (2 * size, 2 * size))  # a large photo at a fraction of its size
        return fitted(eight_bits(opened, bits), size, mode, fit)


def fitted(image: Image.Image, size: int, mode: Mode | None, fit: Fit) -> Pixels:
    """An image of mode L or RGB, in `mode` if that is given, brought to `size`."""
    if mode is not None and image.mode != mode:
        image = image.convert(mode)
    return np.asarray(fit(image, size))


def check_image(content: bytes | io.BufferedIOBase, name: str) -> None:
    """Check by its header that a file is an image that is read; pixels are not decoded.

    Args:
        content: of the whole file, or the file opened in binary mode. (Of JPEG, PNG, GIF, BMP and PPM some first
            kilobytes are enough.)
        name: of the file; only its ending is used, for what no content tells (TGA, raw files of cameras).

    Raises:
        NotReadable: it is not; `reason` says why in few words.
        LimitError: the limit on pixels is no number.
    """
    with _opened(content, name):
        pass


def largest_level(path: str) -> tuple[str, int] | None:
    """The kind and the largest value of an image of more than 8 bits: `I;16` or `I`, grey, or `RGB;16`, colour.

    None for all others, after a look at their first bytes, and for files that cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a million files)
            start = file.read(25)
        if start[:2] not in (b"II", b"MM") and not (start[1:4] == b"PNG" and start[24:] == b"\x10"):
            return None
        with _opened(path) as image:
            if not image.mode.startswith("I"):
                colour = image.format == "PNG" or _tags(image).get(258, (8,))[0] == 16
                upper = np.asarray(image.convert("RGB")).max() if colour else 0
                return ("RGB;16", 256 * int(upper) + 255) if colour else None
            kind, levels, _ = _whole_numbers(image)
            return None if kind is None else (kind, int(levels.max()))
    except (NotReadable, OSError):
        return None


def fewest_bits(kind: str, largest: int) -> int | None:
    """The fewest of the usual bits that hold the largest value of a kind; None: all of them."""
    return next((bits for bits in _USUAL_BITS[kind] if largest < 2**bits), None)


def eight_bits(image: Image.Image, bits: Bits | None = None) -> Image.Image:
    """An image of Pillow upright, in mode L or RGB, in sRGB and over white; it stays as it is.

    Raises:
        NotReadable: its pixels have no known range, or it is the thumbnail in a raw file of a camera.
    """
    _check_kind(image)
    tiles = getattr(image, "tile", None) if image.format == "GIF" else None
    frame = tiles[0][1] if tiles else None
    image.load()
    colours, alpha = _grey(image, bits or {}) if image.mode.startswith("I") else _colours(image)
    change = _change_of(image.info.get("icc_profile"), colours.mode)
    if change is not None:
        colours = change(colours)
    if colours.mode == "CMYK":
        colours = colours.convert("RGB")
    if alpha is None and frame is not None and frame != (0, 0, *image.size):  # viewers show nothing around it
        alpha = Image.new("L", image.size, 0)
        alpha.paste(255, frame)
    if alpha is not None:
        colours = colours.convert("RGB")
        colours.putalpha(alpha)
        colours = Image.alpha_composite(Image.new("RGBA", colours.size, "white"), colours).convert("RGB")
    try:
        turn = _TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # damaged EXIF data, which viewers ignore
        turn = None
    return colours if turn is None else colours.transpose(Image.Transpose(turn))


def _check_kind(image: Image.Image) -> None:
    """Refuse what Pillow opens but does not show as it is."""
    if image.mode == "F":
        raise NotReadable("floating-point pixels", "save it with 8 or 16 bits")
    tags = _tags(image)
    if 50706 in tags or tags.get(262) in (32803, 34892) or (330 in tags and tags.get(254, 0) & 1):
        raise NotReadable("camera raw")  # DNG, a colour filter array, or a thumbnail before the raw image
    depth, signed, packed = tags.get(258, (1,)), tags.get(339, (1,))[0] == 2, tags.get(259, 1) != 1
    if signed and depth[0] == 8:
        raise NotReadable("signed 8-bit pixels", "save it with unsigned ones")
    if (tags.get(284) == 2 and len(depth) > 1 and depth[0] == 16 and not packed) or (
        signed and packed and getattr(tags, "prefix", b"II") == b"MM"
    ):  # Pillow mixes up their bytes
        raise NotReadable("unusual TIFF", _UNUSUAL)


def _tags(image: Image.Image) -> Mapping[int, Any]:
    """The tags of a TIFF image."""
    return getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}


def _colours(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """An image of 8 bits a channel in mode L, RGB or CMYK, and its alpha channel."""
    grey = image.mode in ("1", "L", "LA", "La")
    if image.mode in ("La", "RGBa"):  # colours times alpha
        image = image.convert(image.mode.upper())
    if image.has_transparency_data:
        image = image.convert("LA" if grey else "RGBA")
        return image.convert("L" if grey else "RGB"), image.getchannel("A")
    mode = "L" if grey else "CMYK" if image.mode == "CMYK" else "RGB"
    return image if image.mode == mode else image.convert(mode), None


def _grey(image: Image.Image, bits: Bits) -> tuple[Image.Image, Image.Image | None]:
    """An image of whole numbers of more than 8 bits in mode L, and its alpha channel."""
    kind, levels, depth = _whole_numbers(image)
    most = int(levels.max())
    if kind == "I" and kind not in bits and most < _MOST_KNOWN:
        raise NotReadable("32-bit pixels of unknown range", f"they reach only {most}; save it with 8 or 16 bits")
    top = 2 ** min(depth, bits.get(kind or "", depth)) - 1
    values = np.arange(2**16) if most < 2**16 else levels.astype(np.int64)
    shown = ((values.clip(max=top) * 255 + top // 2) // top).astype(np.uint8)
    if most < 2**16:
        shown = shown[levels]
    if _tags(image).get(262) == 0:  # white is zero
        shown = 255 - shown
    key = image.info.get("transparency")
    alpha = Image.fromarray(((levels != key) * 255).astype(np.uint8)) if isinstance(key, int) else None
    return Image.fromarray(shown), alpha


def _whole_numbers(image: Image.Image) -> tuple[str | None, np.ndarray[Any, np.dtype[Any]], int]:
    """Kind, values and bits of an image of whole numbers; no kind where the file says how many bits it uses."""
    levels, tags = np.asarray(image), _tags(image)
    kind, depth = ("I", 31) if image.mode == "I" and image.format != "PNG" else ("I;16", 16)
    if tags:
        depth, signed = tags.get(258, (1,))[0], tags.get(339, (1,))[0] == 2
        if depth == 32 and not signed:
            levels = levels.view(np.uint32)
        kind, depth = {16: "I;16", 32: "I"}.get(depth, ""), depth - signed
    elif image.format in ("PPM", "JPEG2000"):
        kind, depth = "", 16  # Pillow has scaled them
    if levels.min() < 0:
        raise NotReadable("negative pixels", "save it with 8 or 16 bits, from 0 up")
    return kind or None, levels, depth


_cached = threading.local()


def _change_of(profile: bytes | None, mode: str) -> Callable[[Image.Image], Image.Image] | None:
    """Changes the colours of an image of this mode from its profile to sRGB; None: they are so, or it has no use."""
    if not profile:
        return None
    known: dict[tuple[bytes, str], Any] = _cached.__dict__.setdefault("changes", {})  # of this thread alone
    if (profile, mode) not in known:
        if len(known) >= _PROFILES:
            known.clear()
        try:
            known[profile, mode] = _new_change(profile, mode)
        except Exception:  # a damaged profile, which viewers ignore
            known[profile, mode] = None
    change: Callable[[Image.Image], Image.Image] | None = known[profile, mode]
    return change


def _new_change(profile: bytes, mode: str) -> Callable[[Image.Image], Image.Image] | None:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if source.profile.xcolor_space.strip() != ("GRAY" if mode == "L" else mode):
        return None
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode == "CMYK":
        return transform.apply
    steps = np.arange(256, dtype=np.uint8) if mode == "L" else np.arange(0, 256, 15, dtype=np.uint8)
    levels = steps[None] if mode == "L" else np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    changed = np.asarray(transform.apply(Image.fromarray(levels)).convert(mode))
    if np.abs(changed.astype(int) - levels).max() <= _SAME:
        return None
    if mode == "L":
        return lambda image: image.point(changed[0].tolist())
    return transform.apply


@contextlib.contextmanager
def _opened(image: ImageFile, name: str = "") -> Iterator[Image.Image]:
    """An image whose pixels are not decoded yet; what goes wrong with it inside is a `NotReadable`."""
    with contextlib.ExitStack() as stack:
        most = stack.enter_context(_own_limit())
        if isinstance(image, str | os.PathLike):
            name, image = name or os.fspath(image), stack.enter_context(Path(image).open("rb"))
        elif isinstance(image, bytes | bytearray | memoryview):
            image = io.BytesIO(image)
        with _damage("damaged"):
            opened = image if isinstance(image, Image.Image) else _open(image, name, most)
            _check_kind(opened)
            yield opened


def _open(file: io.BufferedIOBase, name: str, most: float) -> Image.Image:
    """Read the header of an image of so many pixels at most; the formats are tried by their first bytes."""
    file.seek(0)
    start, ending = file.read(_START), name.rpartition(".")[2].lower()
    if not start:
        raise NotReadable("empty", "copy it again, or remove it")
    Image.init()
    form, fits = _format(start[:16])
    if form in (None, "TIFF", "AVIF") and (other := _other_kind(start, ending)):
        raise NotReadable(other)
    if form is None and (ending in ("tga", "icb", "vda", "vst") or _ends_as_tga(file)):
        form = "TGA"
    if form is None:
        raise NotReadable("not an image", _REMOVE)
    if isinstance(fits, str):  # Pillow is without its library
        raise NotReadable(form)
    file.seek(0)
    try:
        with _damage("damaged header"):
            opens: Any = Image.OPEN[form][0]
            image: Image.Image = opens(file, "")
    except NotReadable as error:
        if start.isascii() and b"\0" not in start:
            raise NotReadable("not an image", _REMOVE) from None  # a text
        if form == "TIFF" and ("pixel mode" in str(error) or "data organi" in str(error)):
            raise NotReadable("unusual TIFF", _UNUSUAL) from None
        raise
    if (pixels := image.width * image.height) > most:
        side = f"{image.width}x{image.height}"
        raise NotReadable("too large", f"{side} = {pixels} pixels, more than {most:.0f}: {_SMALLER}")
    key = image.info.get("transparency")
    if form == "PNG" and key is not None:  # Pillow scales levels of few and of many bits to 8, but not their key
        depth = start[24]
        if isinstance(key, tuple) and depth == 16:
            image.info["transparency"] = tuple(level >> 8 for level in key)
        elif start[25] == 0 and depth in (2, 4):
            image.info["transparency"] = key * 255 // (2**depth - 1)
    return image


def _format(start: bytes) -> tuple[str | None, bool | str]:
    """The format that these first bytes are of, and Pillow's answer to them: a text if it lacks a library."""
    for form in FORMATS:
        accept = Image.OPEN.get(form, (None, None))[1]
        if accept is not None and (fits := accept(start)):
            return form, fits
    return None, False


def _other_kind(start: bytes, ending: str) -> str | None:
    """The name of a kind of image that is not read."""
    if _RAW.fullmatch(ending) and (start[:2] in (b"II", b"MM") or start[4:8] == b"ftyp"):
        return "camera raw"
    if start[4:8] == b"ftyp":
        brands = {start[i : i + 4] for i in range(8, min(int.from_bytes(start[:4], "big"), len(start)), 4)}
        if brands & {b"avif", b"avis"}:
            return None if "AVIF" in Image.OPEN else "AVIF"
        return "HEIC" if brands & _HEIC else "camera raw" if b"crx " in brands else "video"
    if start[128:132] == b"DICM":
        return "DICOM"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return "SVG"
    return next((kind for magic, kind in _OTHERS if start.startswith(magic)), None)


def _ends_as_tga(file: io.BufferedIOBase) -> bool:
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - 18))
    return file.read() == b"TRUEVISION-XFILE.\0"


@contextlib.contextmanager
def _damage(reason: str) -> Iterator[None]:
    """What goes wrong inside is a `NotReadable`: on damaged files Pillow's readers raise nearly anything."""
    try:
        yield
    except (NotReadable, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = (str(error) or type(error).__name__).splitlines()[0]
        if isinstance(error, Image.DecompressionBombError):
            raise NotReadable("too large", f"{text} {_SMALLER}") from error
        raise NotReadable(reason, f"{text}; repair or remove it") from error


_lock = threading.Lock()
_readers: list[int | None] = []  # what Pillow's own limit was, for each reader at work


@contextlib.contextmanager
def _own_limit() -> Iterator[float]:
    """The most pixels that an image may have; Pillow's own limit is theirs meanwhile, without its warning at half."""
    text = os.environ.get("ZARTS_MAX_PIXELS", "")
    if text and (not text.isdecimal() or int(text) < 1):
        raise LimitError(f"ZARTS_MAX_PIXELS is {text!r}; expected a whole number of pixels, such as 500000000")
    with _lock:
        pillows = _readers[0] if _readers else Image.MAX_IMAGE_PIXELS
        most = int(text) if text else None if pillows is None else 2 * pillows
        _readers.append(pillows)
        Image.MAX_IMAGE_PIXELS = most
    try:
        yield float("inf") if most is None else float(most)
    finally:
        with _lock:
            pillows = _readers.pop()
            if not _readers:
                Image.MAX_IMAGE_PIXELS = pillows
