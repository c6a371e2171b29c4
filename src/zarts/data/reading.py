"""How long the files of images take to read."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from zarts.data.contents import read_contents
from zarts.data.csv_list import csv_files, is_csv
from zarts.data.file_index import another_kind, folder_parts, index_folder
from zarts.data.image_io import FileSource, decode, levels_of
from zarts.errors import DataError, ZartsError
from zarts.runtime.seed import keyed_generator

__all__ = ["ReadingTime", "reading_time"]

_OF_EACH, _MAX_THREADS = 64, 8
"""Files whose reading is timed, of each thread that reads, and the most threads that do."""
_MANY = 1000
"""Fewer files are not worth timing."""


@dataclass(frozen=True)
class ReadingTime:
    """What reading the images of a folder or of a list takes.

    Args:
        files: in all, those that are images by their names.
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
        root, names = path, _names_in(path)
    else:
        return None
    if len(names) < _MANY:
        return None
    count = _OF_EACH * min(_MAX_THREADS, os.cpu_count() or 1)
    order = torch.randperm(len(names), generator=keyed_generator(seed, "reading time"))[:count].tolist()
    begun = time.perf_counter()
    contents, _ = read_contents(root, [names[i] for i in order], {})
    with suppress(ZartsError):  # which loading will raise, of all images
        levels_of(FileSource(root), list(contents))
    decode(FileSource(root), list(contents), image_size, failed={})
    return ReadingTime(len(names), (time.perf_counter() - begun) / len(order))


def _names_in(folder: Path) -> list[str]:
    """The files that are images by their names, in the parts of a folder that are used."""
    try:
        parts = folder_parts(folder, ("test", "val")) or {"train": ""}
    except DataError:  # which loading will raise
        return []
    found = [index_folder(folder, part).files for part in parts.values()]
    return [name for files in found for names in files.values() for name in names if not another_kind(name)]
