"""Start-up of a run on generated folders of many small pictures: seconds and peak memory by images and classes."""

from __future__ import annotations

import multiprocessing
import shutil
import struct
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import Report, environment, options
from zarts.data import load_data
from zarts.runtime.measure import peak_bytes
from zarts.training import Answers, error_details

__all__ = ["CASES", "generate", "main", "measured"]

CASES = ((10_000, 10), (100_000, 10), (100_000, 15_000), (1_000_000, 15_000))
"""Numbers of images and classes."""

COLUMNS = [
    "images",
    "classes",
    "first start, s",
    "µs an image",
    "started again, s",
    "peak memory, MB",
    "bytes an image",
]
COLUMNS += ["errors of all classes, s", "MB"]


def generate(root: Path, images: int, classes: int) -> None:
    """Write grey 8×8 PNG pictures, each another, in equally many files a class."""
    for kind in range(classes):
        (root / f"c{kind:05d}").mkdir(parents=True)
    for number in range(images):
        pixels = bytearray((17 * i + number) % 256 for i in range(64))
        pixels[:4] = struct.pack(">I", number)
        rows = b"".join(b"\0" + pixels[8 * y : 8 * y + 8] for y in range(8))
        (root / f"c{number % classes:05d}" / f"{number:07d}.png").write_bytes(_png(rows))


def _png(rows: bytes) -> bytes:
    """An 8×8 grey picture of 8 bits."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 1)),
        (b"IEND", b""),
    )
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _start(root: Path, manifest: Any) -> tuple[float, int, Any]:
    """Seconds and peak bytes of loading a folder, and its manifest."""
    before = peak_bytes(torch.device("cpu"))
    begun = time.perf_counter()
    data = load_data(root, image_size=8, image_cache="memory", manifest=manifest, goes_on=False)
    return time.perf_counter() - begun, peak_bytes(torch.device("cpu")) - before, data.manifest


def _errors(images: int, classes: int) -> tuple[float, int]:
    """Seconds and peak bytes of the error analysis of as many test images."""
    generator = torch.Generator().manual_seed(0)
    labels, predicted = (torch.randint(classes, (images,), generator=generator) for _ in range(2))
    before = peak_bytes(torch.device("cpu"))
    begun = time.perf_counter()
    error_details(Answers(labels, predicted, torch.rand(images)), [f"c{i:05d}" for i in range(classes)])
    return time.perf_counter() - begun, peak_bytes(torch.device("cpu")) - before


def _apart(work: Any, *arguments: Any) -> Any:
    """The result of a function in a process of its own, which has no freed memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def measured(root: Path, images: int, classes: int) -> dict[str, Any]:
    """Seconds and bytes of the first start and of one with the split of the first, and of the error analysis."""
    generate(root, images, classes)
    first, peak, manifest = _apart(_start, root, None)
    again, _, _ = _apart(_start, root, manifest)
    shutil.rmtree(root)
    errors = _apart(_errors, images // 5, classes)
    return {"images": images, "classes": classes, "first": first, "peak": peak, "again": again, "errors": errors}


def _row(seen: dict[str, Any]) -> list[str]:
    images = seen["images"]
    texts = [f"{images:,}", f"{seen['classes']:,}", f"{seen['first']:.1f}", f"{1e6 * seen['first'] / images:.0f}"]
    texts += [f"{seen['again']:.1f}", f"{seen['peak'] / 1e6:.0f}", f"{seen['peak'] / images:.0f}"]
    return [*texts, f"{seen['errors'][0]:.2f}", f"{seen['errors'][1] / 1e6:.0f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument(
        "--folder", type=Path, default=Path("generated"), help="is made and removed (default: %(default)s)"
    )
    parser.add_argument("--most", type=int, default=CASES[-1][0], help="leave out cases of more images")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    seen = [measured(args.folder, *case) for case in CASES if case[0] <= args.most]
    note = (
        "Grey 8×8 PNG files on a local disk, in the cache of the system; loaded at 8×8 into memory. Peak memory "
        "beyond that of the imported libraries, each in a process of its own. Started again: with the first start's "
        "split.json, as a retraining is. Errors: the analysis of a test of a fifth of the images."
    )
    Report(COLUMNS, [_row(one) for one in seen], note, environment(), {"cases": seen}).publish(args.json)


if __name__ == "__main__":
    main()
