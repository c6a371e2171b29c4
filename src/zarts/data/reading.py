"""How long the files of images take to read."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from zarts.data.contents import read_contents
from zarts.data.csv_list import csv_files, is_csv
from zarts.data.file_index import files_below
from zarts.data.image_io import FileSource, decode
from zarts.runtime.seed import keyed_generator

__all__ = ["ReadingTime", "reading_time"]

_SAMPLE = 128
"""Files whose reading is timed."""
_MANY = 1000
"""Fewer files are not worth timing."""


@dataclass(frozen=True)
class ReadingTime:
    """What reading the images of a folder or of a list takes.

    Args:
        files: in all.
        seconds: of listing and decoding one.
    """

    files: int
    seconds: float


def reading_time(path: Path, image_size: int, seed: int) -> ReadingTime | None:
    """Time the reading of a sample of files, as a data set reads them; None: they are few, or there are no such files.

    Args:
        path: of a folder of images, or of a CSV file that lists them.
        image_size: height and width, in pixels.
        seed: of the sample.

    Raises:
        DataError: a folder cannot be read, or a line of a CSV file cannot be used.
    """
    if is_csv(path):
        root, names = path.parent, csv_files(path)
    elif path.is_dir():
        root, names = path, files_below(path).files[""]
    else:
        return None
    if len(names) < _MANY:
        return None
    order = torch.randperm(len(names), generator=keyed_generator(seed, "reading time"))[:_SAMPLE].tolist()
    begun = time.perf_counter()
    contents, _ = read_contents(root, [names[i] for i in order], {})
    decode(FileSource(root), list(contents), image_size, failed={})
    return ReadingTime(len(names), (time.perf_counter() - begun) / len(order))
