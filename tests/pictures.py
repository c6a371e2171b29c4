"""Pictures of every kind with the pixels that they show: written by hand, or decoded by another decoder than Pillow's.

`READ` is the table of docs/data.md; `pictures()` has one or more pictures of each of its rows.
"""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image, features
from torchvision.io import ImageReadMode, decode_gif, decode_jpeg, decode_webp

READ = {
    "PNG, grey of 1, 2, 4, 8 bits": "black to white",
    "PNG, grey of 16 bits": "0 to 65535, or the bits that the training images use (10, 12, …)",
    "PNG, grey with alpha": "over white",
    "PNG, colour of 8 bits": "as it is",
    "PNG, colour of 16 bits": "the upper 8 bits",
    "PNG, colour with alpha": "over white",
    "PNG, palette": "its colours, over white where they are transparent",
    "PNG with a transparent grey level or colour": "over white",
    "TIFF, grey of 1, 4, 8 bits": "black to white, whatever the byte order",
    "TIFF, grey where 0 is white": "inverted, as it says",
    "TIFF, grey of 12 bits": "0 to 4095",
    "TIFF, grey of 16 bits": "0 to 65535 (signed: to 32767), or the bits that the training images use",
    "TIFF, whole numbers of 32 bits": "the bits that the training images use; else all, if they reach 24",
    "TIFF, colour": "as it is; of 16 bits the upper 8",
    "TIFF with alpha": "over white, multiplied before or not",
    "TIFF, CMYK, CIELab, palette": "as colours",
    "TIFF of several pages": "the first page",
    "PBM, PGM, PPM": "0 to the largest value that it names",
    "BMP of 1, 4, 8, 16, 24, 32 bits": "as it is",
    "GIF": "the first frame, over white",
    "JPEG": "as it is; above 4 times the size decoded at a fraction",
    "JPEG, CMYK or YCCK": "as colours, by its profile if there is one",
    "WebP": "the first frame, over white",
    "JPEG 2000": "0 to the largest value of its bits",
    "AVIF": "if Pillow has it",
    "ICO, TGA, PCX, QOI, SGI, Sun": "as they are, over white; TGA by its ending or its footer",
    "EXIF orientation": "upright",
    "colour profile": "in sRGB, if it is another one; damaged or of other channels: left aside",
    "negative or floating-point pixels": "refused",
    "other kinds of TIFF": "refused",
    "raw file of a camera (NEF, CR2, DNG, …)": "refused: its file has a thumbnail, and no picture yet",
    "HEIC, JPEG XL, SVG, PSD, PDF, EPS, DICOM, video, …": "refused by its name",
    "text, empty file, Thumbs.db, ._ files, …": "no image",
    "damaged file": "refused",
    "more than 178,956,970 pixels": "refused, unless ZARTS_MAX_PIXELS allows more",
}

H, W = 5, 7
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (H, W, 3))
GREY = COLOUR[:, :, 0]
ALPHA = RNG.integers(0, 256, (H, W))
DEEP = RNG.integers(0, 65536, (H, W))
PALETTE = RNG.integers(0, 256, (256, 3))


@dataclass(frozen=True)
class Picture:
    """A file, and what it shows: its pixels, or the reason why it is refused."""

    name: str
    kind: str
    content: bytes
    shows: np.ndarray | str
    tolerance: int = 0
    bits: dict = field(default_factory=dict)
    ending: str = ""


def packed(values, bits):
    """Rows of values of few bits, each row from a byte of its own."""
    flat = values.reshape(len(values), -1)
    spread = (flat[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(spread.reshape(len(values), -1).astype(np.uint8), axis=1)


def png(values, depth, kind, extra=(), passes=None, size=None):
    """A PNG file; `kind` 0 grey, 2 colour, 3 palette, 4 grey with alpha, 6 colour with alpha."""
    width, height = size or values.shape[1::-1]

    def rows(part):
        data = (
            np.ascontiguousarray(part, ">u2").reshape(len(part), -1).view(np.uint8)
            if depth == 16
            else packed(part, depth)
        )
        return b"".join(b"\0" + row.tobytes() for row in data)

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    parts = [values] if passes is None else [values[y::dy, x::dx] for x, y, dx, dy in passes]
    body = b"".join(rows(part) for part in parts if part.size)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, passes is not None)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*pair) for pair in chunks)


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def tiff(values, bits, photometric=1, order="<", sample=1, more=(), planar=1, pages=1, deflate=False):
    """A TIFF file of one strip a plane; `more` are further entries (tag, type 1 to 4, values)."""
    values = values if values.ndim == 3 else values[:, :, None]
    height, width, channels = values.shape
    if bits in (1, 2, 4, 12):
        plane = packed
    else:
        kind = "f" if sample == 3 else "i" if sample == 2 else "u"
        dtype = np.dtype(f"{order}{kind}{bits // 8}")

        def plane(part, _):
            return part.astype(dtype)

    planes = [values] if planar == 1 else [values[:, :, [i]] for i in range(channels)]
    strips = [plane(part, bits).tobytes() for part in planes]
    if deflate:
        strips = [zlib.compress(strip) for strip in strips]
    body, offsets = bytearray(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 0)), []
    for strip in strips:
        offsets.append(len(body))
        body += strip + b"\0" * (len(strip) % 2)
    here = 4
    for page in range(pages):
        entries = [
            (256, 3, [width]),
            (257, 3, [height]),
            (258, 3, [bits] * channels),
            (259, 3, [8 if deflate else 1]),
            (262, 3, [photometric]),
            (273, 4, offsets),
            (277, 3, [channels]),
            (278, 3, [height]),
            (279, 4, [len(strip) for strip in strips]),
            (284, 3, [planar]),
            (339, 3, [sample] * channels),
            *more,
        ]
        if page:  # a page of white
            entries[5] = (273, 4, [len(body)] * len(strips))
            body += b"\xff" * max(map(len, strips)) + b"\0" * (max(map(len, strips)) % 2)
        table, tail = struct.pack(f"{order}H", len(entries)), b""
        start = len(body)
        end = start + 2 + 12 * len(entries) + 4
        for tag, kind, numbers in sorted(entries):
            data = struct.pack(f"{order}{len(numbers)}{' BBHI'[kind]}", *numbers)
            if len(data) > 4:
                data, tail = struct.pack(f"{order}I", end + len(tail)), tail + data + b"\0" * (len(data) % 2)
            table += struct.pack(f"{order}HHI", tag, kind, len(numbers)) + data.ljust(4, b"\0")
        body[here : here + 4] = struct.pack(f"{order}I", start)
        body += table + b"\0" * 4 + tail
        here = end - 4
    return bytes(body)


def bmp(rows, bits, palette=b"", masks=b"", top_down=False, compression=0, width=W):
    """A BMP file; `rows` are bytes, from the bottom up unless `top_down`."""
    body = b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    start = 54 + len(masks) + len(palette)
    height = -len(rows) if top_down else len(rows)
    head = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(body), 0, 0, len(palette) // 4, 0
    )  # fmt: skip
    return struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start) + head + masks + palette + body


def gif(indices, palette, key=None, frames=1, canvas=None, corner=(0, 0)):
    """A GIF file of 256 colours; further frames are of colour 0. The codes have 9 bits and compress nothing."""
    height, width = indices.shape
    across, down = canvas or (width, height)
    out = b"GIF89a" + struct.pack("<HHBBB", across, down, 0xF7, 0, 0) + palette.astype(np.uint8).tobytes()
    for frame in range(frames):
        if key is not None or frames > 1:
            out += b"!\xf9\x04" + struct.pack("<BHB", key is not None, 10, key or 0) + b"\0"
        shown = indices if frame == 0 else indices * 0
        codes = [256, *shown.flatten().tolist(), 257]
        bits = "".join(f"{code:09b}"[::-1] for code in codes)
        data = bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))
        out += b"," + struct.pack("<HHHHB", *corner, width, height, 0) + b"\x08"
        out += bytes([len(data)]) + data + b"\0"
    return out + b";"


def icc(space, tags, pcs=b"XYZ "):
    """A colour profile of version 2."""
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s12s4s", start + len(body), b"", 0x02400000, b"mntr", space, pcs, b"", b"acsp")
    head += b"\0" * 28 + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def curve(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38506, 0.14308], [0.22250, 0.71688, 0.06062], [0.01393, 0.09710, 0.71417]])
"""Red, green and blue in columns: XYZ for the white D50."""


def matrix_profile(matrix, gamma):
    def xyz(column):
        return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(x * 65536) for x in column))

    tags = {name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix.T, strict=True)}
    return icc(b"RGB ", {**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(gamma))})


def encoded(linear):
    """Linear light as levels of sRGB."""
    linear = np.clip(linear, 0, 1)
    return np.rint(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)).astype(int)


def cmyk_profile():
    """Each of cyan, magenta and yellow makes a quarter darker (in L*), black makes black."""
    corners = [(i >> 3 & 1, i >> 2 & 1, i >> 1 & 1, i & 1) for i in range(16)]
    lab = [(0 if k else round(255 * (1 - 0.25 * (c + m + y))), 128, 128) for c, m, y, k in corners]
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = b"mft1\0\0\0\0\4\3\2\0" + identity + ramp * 4 + bytes(np.array(lab, np.uint8).tobytes()) + ramp * 3
    return icc(b"CMYK", {b"A2B0": table}, b"Lab ")


def by_pillow(values, form, mode=None, **options):
    stream = io.BytesIO()
    image = values if isinstance(values, Image.Image) else Image.fromarray(values.astype(np.uint8))
    (image.convert(mode) if mode else image).save(stream, form, **options)
    return stream.getvalue()


def by_torchvision(decoder, content, *rest):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision gives its decoders to torchcodec one day
        pixels = decoder(torch.frombuffer(bytearray(content), dtype=torch.uint8), *rest)
    return (pixels[0] if pixels.ndim == 4 else pixels).permute(1, 2, 0).numpy().astype(int)


def over_white(values, alpha):
    alpha = (alpha if values.ndim == 2 else alpha[:, :, None]) / 255
    return np.rint(values * alpha + 255 * (1 - alpha)).astype(int)


def turned(values, orientation):
    """An upright picture as a camera stores it that writes this EXIF orientation."""
    stored = {
        1: values,
        2: values[:, ::-1],
        3: values[::-1, ::-1],
        4: values[::-1],
        5: values.swapaxes(0, 1),
        6: values.swapaxes(0, 1)[::-1],
        7: values.swapaxes(0, 1)[::-1, ::-1],
        8: values.swapaxes(0, 1)[:, ::-1],
    }
    return stored[orientation]


def exif(orientation, order="<"):
    mark = b"II" if order == "<" else b"MM"
    return struct.pack(f"{order}2sHIHHHIHHI", mark, 42, 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def pictures():
    """All pictures."""
    return [
        Picture(name, kind, content, shows, **more)
        for kind, rows in (*_png().items(), *_tiff().items(), *_simple().items(), *_coded().items(), *_meta().items())
        for name, content, shows, more in ((*row, {})[:4] for row in rows)
    ] + [
        Picture(name, kind, content, shows, ending=ending)
        for kind, rows in _refused().items()
        for name, content, shows, ending in ((*row, "")[:4] for row in rows)
    ]


def _png():
    near = {"tolerance": 1}
    few = {depth: GREY >> (8 - depth) for depth in (1, 2, 4, 8)}
    full = {depth: values * 255 // (2**depth - 1) for depth, values in few.items()}
    deep = np.rint(DEEP / 257).astype(int)
    colours = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], -1)
    both = np.dstack([COLOUR, ALPHA])
    four = GREY & 3
    shut = (four > 1)[:, :, None].astype(int)
    palette = (b"PLTE", PALETTE.astype(np.uint8).tobytes())
    clear = (b"tRNS", bytes([0, 128, 255]))  # the others are opaque
    levels = np.where(GREY % 3 < 2, np.array([0, 128])[np.minimum(GREY % 3, 1)], 255)

    def keyed(values, shown, key):
        """White where a level is the transparent one."""
        return np.where(values == key, 255, shown)

    hit = COLOUR[2, 3]
    one = np.where((hit == COLOUR).all(-1, keepdims=True), 255, COLOUR)
    hit16 = colours[2, 3]
    one16 = np.where((colours == hit16).all(-1, keepdims=True), 255, colours >> 8)
    return {
        "PNG, grey of 1, 2, 4, 8 bits": [
            *((f"{depth} bits", png(few[depth], depth, 0), full[depth]) for depth in few),
            ("interlaced", png(GREY, 8, 0, passes=ADAM7), GREY),
        ],
        "PNG, grey of 16 bits": [
            ("all", png(DEEP, 16, 0), deep),
            (
                "12 bits",
                png(DEEP >> 4, 16, 0),
                np.rint((DEEP >> 4) * 255 / 4095).astype(int),
                {"bits": {"I;16": 12}},
            ),
            ("8 bits", png(GREY, 16, 0), GREY, {"bits": {"I;16": 8}}),
        ],
        "PNG, grey with alpha": [
            ("8 bits", png(np.dstack([GREY, ALPHA]), 8, 4), over_white(GREY, ALPHA), near),
            ("16 bits", png(np.dstack([DEEP, ALPHA * 257]), 16, 4), over_white(DEEP >> 8, ALPHA), near),
        ],
        "PNG, colour of 8 bits": [
            ("plain", png(COLOUR, 8, 2), COLOUR),
            ("interlaced", png(COLOUR, 8, 2, passes=ADAM7), COLOUR),
        ],
        "PNG, colour of 16 bits": [("plain", png(colours, 16, 2), colours >> 8)],
        "PNG, colour with alpha": [
            ("8 bits", png(both, 8, 6), over_white(COLOUR, ALPHA), near),
            ("16 bits", png(both * 257, 16, 6), over_white(COLOUR, ALPHA), near),
        ],
        "PNG, palette": [
            *((f"{d} bits", png(few[d], d, 3, [palette]), PALETTE[few[d]]) for d in few),
            ("2 of 4 clear", png(four, 2, 3, [palette, (b"tRNS", b"\0\0")]), PALETTE[four] * shut + 255 * (1 - shut)),
            ("half clear", png(GREY % 3, 8, 3, [palette, clear]), over_white(PALETTE[GREY % 3], levels), near),
        ],
        "PNG with a transparent grey level or colour": [
            *(
                (f"{d} bits", png(few[d], d, 0, [(b"tRNS", struct.pack(">H", few[d][1, 1]))]),
                 keyed(few[d], full[d], few[d][1, 1]))
                for d in few
            ),
            ("16 bits", png(DEEP, 16, 0, [(b"tRNS", struct.pack(">H", DEEP[1, 1]))]), keyed(DEEP, deep, DEEP[1, 1])),
            ("colour", png(COLOUR, 8, 2, [(b"tRNS", struct.pack(">HHH", *hit))]), one),
            ("colour of 16 bits", png(colours, 16, 2, [(b"tRNS", struct.pack(">HHH", *hit16))]), one16),
        ],
    }  # fmt: skip


def _tiff():
    near = {"tolerance": 1}
    orders = (("little", "<"), ("big", ">"))
    few = {depth: GREY >> (8 - depth) for depth in (1, 4, 8)}
    twelve, deep = np.rint((DEEP >> 4) * 255 / 4095).astype(int), np.rint(DEEP / 257).astype(int)
    colours = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], -1)
    times = np.rint(COLOUR * ALPHA[:, :, None] / 255).astype(int)
    inks = np.dstack([COLOUR, ALPHA])
    mixed = np.rint((255 - COLOUR) * (255 - ALPHA)[:, :, None] / 255).astype(int)
    table = (320, 3, (PALETTE * 257).T.flatten().tolist())
    lab = np.dstack([GREY, GREY * 0, GREY * 0])
    light = GREY / 255 * 100
    y = np.where(light > 8, ((light + 16) / 116) ** 3, light / 903.3)
    wide = DEEP.astype(np.int64) * 65537
    return {
        "TIFF, grey of 1, 4, 8 bits": [
            (f"{d} bits {name}", tiff(few[d], d, order=order), few[d] * 255 // (2**d - 1))
            for d in few
            for name, order in orders
        ]
        + [("deflate", tiff(GREY, 8, deflate=True), GREY)],
        "TIFF, grey where 0 is white": [
            ("1 bit", tiff(few[1], 1, 0), 255 - few[1] * 255),
            ("8 bits", tiff(GREY, 8, 0), 255 - GREY),
            ("16 bits", tiff(DEEP, 16, 0), 255 - deep),
        ],
        "TIFF, grey of 12 bits": [("packed", tiff(DEEP >> 4, 12), twelve)],
        "TIFF, grey of 16 bits": [
            *((name, tiff(DEEP, 16, order=order), deep) for name, order in orders),
            ("12 bits used", tiff(DEEP >> 4, 16, order=">"), twelve, {"bits": {"I;16": 12}}),
            ("above the bits", tiff(DEEP, 16), np.rint(DEEP.clip(max=4095) * 255 / 4095), {"bits": {"I;16": 12}}),
            ("deflate", tiff(DEEP, 16, order=">", deflate=True), deep),
            *(
                (f"signed {name}", tiff(DEEP >> 1, 16, order=o, sample=2), np.rint((DEEP >> 1) * 255 / 32767))
                for name, o in orders
            ),
        ],
        "TIFF, whole numbers of 32 bits": [
            ("unsigned", tiff(wide, 32), deep),
            ("signed", tiff(wide >> 1, 32, order=">", sample=2), deep, near),
            ("8 bits used", tiff(GREY, 32, sample=2), GREY, {"bits": {"I": 8}}),
            ("16 bits used", tiff(DEEP, 32), deep, {"bits": {"I": 16}}),
            ("nobody knows", tiff(GREY, 32, sample=2), "32-bit pixels of unknown range"),
        ],
        "TIFF, colour": [
            ("8 bits", tiff(COLOUR, 8, 2), COLOUR),
            ("planes", tiff(COLOUR, 8, 2, planar=2), COLOUR),
            ("deflate", tiff(COLOUR, 8, 2, order=">", deflate=True), COLOUR),
            *((f"16 bits {name}", tiff(colours, 16, 2, order=order), colours >> 8) for name, order in orders),
            ("16 bits deflate", tiff(colours, 16, 2, order=">", deflate=True), colours >> 8),
            ("a fourth channel", tiff(inks, 8, 2, more=[(338, 3, [0])]), COLOUR),
        ],
        "TIFF with alpha": [
            ("apart", tiff(inks, 8, 2, more=[(338, 3, [2])]), over_white(COLOUR, ALPHA), near),
            (
                "multiplied",
                tiff(np.dstack([times, ALPHA]), 8, 2, more=[(338, 3, [1])]),
                over_white(COLOUR, ALPHA),
                near,
            ),
            ("grey", tiff(np.dstack([GREY, ALPHA]), 8, more=[(338, 3, [2])]), over_white(GREY, ALPHA), near),
            (
                "grey, multiplied",
                tiff(np.dstack([times[:, :, 0], ALPHA]), 8, more=[(338, 3, [1])]),
                over_white(GREY, ALPHA),
                near,
            ),
        ],
        "TIFF, CMYK, CIELab, palette": [
            ("CMYK", tiff(inks, 8, 5), mixed, near),
            ("CIELab", tiff(lab, 8, 8), np.repeat(encoded(y)[:, :, None], 3, 2), {"tolerance": 2}),
            ("palette", tiff(GREY, 8, 3, more=[table]), PALETTE[GREY]),
        ],
        "TIFF of several pages": [("three", tiff(GREY, 8, pages=3), GREY)],
        "negative or floating-point pixels": [
            ("16 bits", tiff(GREY - 1 - GREY.min(), 16, sample=2), "negative pixels"),
            ("32 bits", tiff(GREY - 300, 32, sample=2, order=">"), "negative pixels"),
            ("8 bits", tiff(GREY >> 1, 8, sample=2), "signed 8-bit pixels"),
            ("floats", tiff(GREY / 255, 32, sample=3), "floating-point pixels"),
            ("PFM", b"Pf\n7 5\n-1.0\n" + (GREY / 255).astype("<f4").tobytes(), "floating-point pixels"),
        ],
        "other kinds of TIFF": [
            ("64-bit floats", tiff(GREY / 255, 64, sample=3), "unusual TIFF"),
            ("colour of one channel", tiff(GREY, 8, 2), "unusual TIFF"),
            ("planes of 16 bits", tiff(colours, 16, 2, planar=2), "unusual TIFF"),
            ("signed, packed, big", tiff(DEEP >> 1, 16, order=">", sample=2, deflate=True), "unusual TIFF"),
        ],
    }


def _simple():
    numbers = " ".join(map(str, (GREY * 15 // 255).flatten()))
    bits, fifteen = GREY > 127, COLOUR >> 3
    near, hit = {"tolerance": 1}, (GREY[1, 1] == GREY)[:, :, None]
    five = fifteen[:, :, 0] << 10 | fifteen[:, :, 1] << 5 | fifteen[:, :, 2]
    five = [row.tobytes() for row in five[::-1].astype("<u2")]
    six = (COLOUR[:, :, 0] >> 3) << 11 | (COLOUR[:, :, 1] >> 2) << 5 | COLOUR[:, :, 2] >> 3
    six = [row.tobytes() for row in six[::-1].astype("<u2")]
    bgr = COLOUR[:, :, ::-1].astype(np.uint8)
    bgra = np.dstack([bgr, ALPHA.astype(np.uint8)])
    table = np.dstack([PALETTE[None, :, ::-1], np.zeros((1, 256))]).astype(np.uint8).tobytes()
    grey8 = GREY.astype(np.uint8)
    deep = DEEP >> 6  # 0 to 1023
    colours = np.stack([deep, deep[::-1], deep[:, ::-1]], -1)
    tga = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, W, H, 24, 0x20)
    tga32 = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, W, H, 32, 0x28)
    small = png(COLOUR, 8, 2)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, W, H, 0, 0, 1, 32, len(small), 22) + small
    masked = bmp([row.tobytes() for row in bgr[::-1]], 24)[14:]
    masked = masked[:8] + struct.pack("<i", 2 * H) + masked[12:] + b"\0" * 4 * H
    bitmap = struct.pack("<HHHBBBBHHII", 0, 1, 1, W, H, 0, 0, 1, 24, len(masked), 22) + masked
    pcx = struct.pack("<BBBBHHHHHH48sBBHHHH54s", 10, 5, 1, 8, 0, 0, W - 1, H - 1, 1, 1, b"", 0, 3, W + 1, 1, 0, 0, b"")
    lines = np.pad(COLOUR.transpose(0, 2, 1), ((0, 0), (0, 0), (0, 1))).flatten().tolist()
    pcx += b"".join(bytes([0xC1, level]) for level in lines)
    qoi = (
        b"qoif"
        + struct.pack(">IIBB", W, H, 3, 0)
        + b"".join(b"\xfe" + bytes(p) for p in COLOUR.reshape(-1, 3).tolist())
    )
    sgi = struct.pack(">HBBHHHHII4s80sI", 474, 0, 1, 3, W, H, 3, 0, 255, b"", b"", 0).ljust(512, b"\0")
    sgi += COLOUR[::-1].transpose(2, 0, 1).astype(np.uint8).tobytes()
    padded = np.pad(bgr, ((0, 0), (0, 0), (0, 0))).reshape(H, -1)
    sun = (
        struct.pack(">8I", 0x59A66A95, W, H, 24, H * (3 * W + 1), 1, 0, 0) + np.pad(padded, ((0, 0), (0, 1))).tobytes()
    )
    return {
        "PBM, PGM, PPM": [
            ("P1", f"P1 {W} {H}\n{' '.join(map(str, bits.flatten().astype(int)))}\n".encode(), np.where(bits, 0, 255)),
            ("P4", b"P4\n# by hand\n7 5\n" + packed(bits.astype(int), 1).tobytes(), np.where(bits, 0, 255)),
            ("P2 to 15", f"P2 {W} {H} 15\n{numbers}\n".encode(), GREY * 15 // 255 * 17),
            ("P5", f"P5 {W} {H} 255\n".encode() + grey8.tobytes(), GREY),
            ("P5 to 1023", f"P5 {W} {H} 1023\n".encode() + deep.astype(">u2").tobytes(), np.rint(deep * 255 / 1023)),
            ("P5 to 65535", f"P5 {W} {H} 65535\n".encode() + DEEP.astype(">u2").tobytes(), np.rint(DEEP / 257)),
            ("P6", f"P6 {W} {H} 255\n".encode() + COLOUR.astype(np.uint8).tobytes(), COLOUR),
            (
                "P6 to 1023",
                f"P6 {W} {H} 1023\n".encode() + colours.astype(">u2").tobytes(),
                np.rint(colours * 255 / 1023),
                {"tolerance": 1},
            ),
        ],
        "BMP of 1, 4, 8, 16, 24, 32 bits": [
            *(
                (
                    f"{d} bits",
                    bmp([row.tobytes() for row in packed(GREY[::-1] >> (8 - d), d)], d, table[: 4 << d]),
                    PALETTE[GREY >> (8 - d)],
                )
                for d in (1, 4, 8)
            ),
            ("16 bits", bmp(five, 16), np.rint(fifteen * 255 / 31), near),
            (
                "565",
                bmp(six, 16, masks=struct.pack("<III", 0xF800, 0x7E0, 0x1F), compression=3),
                np.rint((COLOUR >> [3, 2, 3]) * 255 / [31, 63, 31]),
                near,
            ),
            ("24 bits", bmp([row.tobytes() for row in bgr[::-1]], 24), COLOUR),
            ("from the top", bmp([row.tobytes() for row in bgr], 24, top_down=True), COLOUR),
            ("32 bits", bmp([row.tobytes() for row in bgra[::-1]], 32), COLOUR),
        ],
        "GIF": [
            ("one frame", gif(GREY, PALETTE), PALETTE[GREY]),
            ("animated", gif(GREY, PALETTE, frames=3), PALETTE[GREY]),
            ("clear", gif(GREY, PALETTE, key=GREY[1, 1]), np.where(hit, 255, PALETTE[GREY])),
            (
                "smaller than its canvas",
                gif(GREY, PALETTE, canvas=(W + 3, H + 2), corner=(2, 1)),
                np.pad(PALETTE[GREY], ((1, 1), (2, 1), (0, 0)), constant_values=255),
            ),
            ("torchvision", by_pillow(COLOUR, "GIF"), by_torchvision(decode_gif, by_pillow(COLOUR, "GIF"))),
        ],
        "ICO, TGA, PCX, QOI, SGI, Sun": [
            ("ICO of PNG", icon, COLOUR),
            ("ICO of BMP", bitmap, COLOUR),
            ("TGA by its footer", tga + bgr.tobytes() + b"\0" * 8 + b"TRUEVISION-XFILE.\0", COLOUR),
            ("TGA by its ending", tga + bgr.tobytes(), COLOUR, {"ending": ".tga"}),
            ("TGA with alpha", tga32 + bgra.tobytes(), over_white(COLOUR, ALPHA), {"ending": ".TGA", "tolerance": 1}),
            ("PCX", pcx, COLOUR),
            ("QOI", qoi + b"\0" * 7 + b"\1", COLOUR),
            ("SGI", sgi, COLOUR),
            ("Sun", sun, COLOUR),
        ],
    }  # fmt: skip


def _coded():
    photo = np.asarray(Image.fromarray(COLOUR.astype(np.uint8)).resize((40, 32), Image.Resampling.BICUBIC))
    grey, clear = photo[:, :, 0], np.dstack([photo, photo[:, :, 1]])
    inks = by_pillow(Image.fromarray(photo).convert("CMYK"), "JPEG", quality=95)
    place = inks.index(b"Adobe") + 11
    ycck = inks[:place] + b"\2" + inks[place + 1 :]
    jpegs = {
        "grey": by_pillow(grey, "JPEG"),
        "colour": by_pillow(photo, "JPEG", subsampling=0),
        "half colours": by_pillow(photo, "JPEG", subsampling=2),
        "progressive": by_pillow(photo, "JPEG", progressive=True),
    }
    webps = {
        "lossy": by_pillow(photo, "WEBP"),
        "lossless": by_pillow(photo, "WEBP", lossless=True),
    }
    moving = by_pillow(photo, "WEBP", lossless=True, save_all=True, append_images=[Image.fromarray(photo[::-1])])
    stream = io.BytesIO()
    Image.fromarray(DEEP.astype(np.uint16)).save(stream, "JPEG2000")
    found = {
        "JPEG": [
            (name, jpeg, by_torchvision(decode_jpeg, jpeg).squeeze(), {"tolerance": 1}) for name, jpeg in jpegs.items()
        ],
        "JPEG, CMYK or YCCK": [
            (name, jpeg, by_torchvision(decode_jpeg, jpeg, ImageReadMode.RGB), {"tolerance": 2})
            for name, jpeg in (("CMYK", inks), ("YCCK", ycck))
        ],
        "WebP": [
            *((name, webp, by_torchvision(decode_webp, webp)) for name, webp in webps.items()),
            (
                "alpha",
                by_pillow(clear, "WEBP", lossless=True, exact=True),
                over_white(photo, photo[:, :, 1]),
                {"tolerance": 1},
            ),
            ("animated", moving, photo),
        ],
        "JPEG 2000": [
            ("colour", by_pillow(photo, "JPEG2000"), photo),
            ("16 bits", stream.getvalue(), np.rint(DEEP / 257)),
            ("alpha", by_pillow(clear, "JPEG2000"), over_white(photo, photo[:, :, 1]), {"tolerance": 1}),
        ],
        "AVIF": [],
    }
    if "avif" in features.modules and features.check("avif"):
        found["AVIF"] = [
            ("colour", by_pillow(photo, "AVIF", quality=100, subsampling="4:4:4"), photo, {"tolerance": 3})
        ]
    return found


def _meta():
    linear = lambda gamma: (COLOUR / 255) ** gamma  # noqa: E731
    wide = encoded(linear(2.2) @ P3.T @ np.linalg.inv(SRGB).T)
    dark = encoded((GREY / 255) ** 1.8)
    grey = icc(b"GRAY", {b"kTRC": curve(1.8), b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)})
    srgb = matrix_profile(SRGB, 2.2)
    inks = RNG.integers(0, 2, (H, W, 4))
    light = np.where(inks[:, :, 3] == 1, 0, 100 - 25 * inks[:, :, :3].sum(-1))
    y = np.where(light > 8, ((light + 16) / 116) ** 3, light / 903.3)
    printed = np.repeat(encoded(y)[:, :, None], 3, 2)
    near, profile = {"tolerance": 2}, lambda data: (b"iCCP", b"x\0\0" + zlib.compress(data))
    blocks = np.kron(GREY > 127, np.ones((8, 8), int)) * 255
    block = blocks[: 8 * H, : 8 * W]
    return {
        "EXIF orientation": [
            *(
                (
                    f"JPEG {i}",
                    by_pillow(turned(block, i), "JPEG", exif=b"Exif\0\0" + exif(i, ">")),
                    block,
                    {"tolerance": 4},
                )
                for i in range(1, 9)
            ),
            ("PNG 6", png(turned(COLOUR, 6), 8, 2, [(b"eXIf", exif(6))]), COLOUR),
            ("PNG 8, 16 bits", png(turned(DEEP, 8), 16, 0, [(b"eXIf", exif(8))]), np.rint(DEEP / 257)),
            *((f"TIFF {i}", tiff(turned(GREY, i), 8, more=[(274, 3, [i])]), GREY) for i in (3, 5, 8)),
            ("TIFF 6, 16 bits", tiff(turned(DEEP, 6), 16, more=[(274, 3, [6])], deflate=True), np.rint(DEEP / 257)),
            ("damaged", png(COLOUR, 8, 2, [(b"eXIf", b"II*\0\xff\xff")]), COLOUR),
        ],
        "colour profile": [
            ("wide", png(COLOUR, 8, 2, [profile(matrix_profile(P3, 2.2))]), wide, near),
            ("grey", png(GREY, 8, 0, [profile(grey)]), dark, near),
            ("grey of 16 bits", png(GREY * 257, 16, 0, [profile(grey)]), dark, near),
            (
                "wide with alpha",
                png(np.dstack([COLOUR, ALPHA]), 8, 6, [profile(matrix_profile(P3, 2.2))]),
                over_white(wide, ALPHA),
                near,
            ),
            ("CMYK", tiff(inks * 255, 8, 5, more=[(34675, 1, list(cmyk_profile()))]), printed, near),
            ("damaged", png(COLOUR, 8, 2, [profile(srgb[:200])]), COLOUR),
            ("of other channels", png(COLOUR, 8, 2, [profile(cmyk_profile())]), COLOUR),
        ],
    }


def _refused():
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    shot = tiff(GREY, 8)
    page = png(COLOUR, 8, 2)
    return {
        "raw file of a camera (NEF, CR2, DNG, …)": [
            ("DNG", tiff(GREY, 8, more=[(50706, 1, [1, 4, 0, 0])]), "camera raw"),
            ("colour filter", tiff(GREY, 8, 32803), "camera raw", ".dng"),
            ("NEF", shot, "camera raw", ".NEF"),
            ("thumbnail", tiff(GREY, 8, more=[(254, 4, [1]), (330, 4, [8])]), "camera raw"),
            ("CR3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "camera raw"),
            ("RAF", b"FUJIFILMCCD-RAW 0201", "camera raw"),
        ],
        "HEIC, JPEG XL, SVG, PSD, PDF, EPS, DICOM, video, …": [
            ("HEIC", heic, "HEIC", ".jpg"),
            ("JPEG XL", b"\xff\x0a\x00\x90", "JPEG XL"),
            ("SVG", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
            ("PSD", by_header(b"8BPS\0\1"), "PSD"),
            ("PDF", b"%PDF-1.7\n", "PDF"),
            ("EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "EPS"),
            ("DICOM", bytes(128) + b"DICM", "DICOM"),
            ("video", b"\0\0\0\x18ftypisom\0\0\2\0isommp42", "video"),
            ("OpenEXR", by_header(b"v/1\1"), "OpenEXR"),
        ],
        "text, empty file, Thumbs.db, ._ files, …": [
            ("empty", b"", "empty"),
            ("text", b"hello", "not an image", ".jpg"),
            ("table", b"P1,P2,P3\n1,2,3\n", "not an image", ".csv"),
            ("code", b"#define x_width 8\n#define x_height 8\nstatic char x_bits[] = {\n0x00};", "not an image"),
            ("Thumbs.db", by_header(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), "not an image"),
            ("._photo.jpg", b"\0\5\x16\7" + bytes(78), "not an image", ".jpg"),
            ("zeros", bytes(600), "not an image"),
            ("font", b"\0\1\0\0\0\x0f\0\x80\0\3\0p" + bytes(600), "not an image"),
            ("ZIP", b"PK\3\4" + bytes(99), "not an image"),
        ],
        "damaged file": [
            ("header", b"\x89PNG\r\n\x1a\n" + bytes(50), "damaged header"),
            ("JPEG header", b"\xff\xd8\xff" + bytes(50), "damaged header"),
            ("cut", page[: len(page) // 2], "damaged"),
            ("TIFF cut", tiff(GREY, 8)[:8], "damaged header"),
        ],
        "more than 178,956,970 pixels": [("PNG", png(COLOUR, 8, 2, size=(20000, 20000)), "too large")],
    }


def by_header(magic):
    return magic + bytes(600)
