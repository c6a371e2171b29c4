"""Images that a CSV file lists with their labels."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from zarts.data.config import Request
from zarts.data.contents import read_contents
from zarts.data.dataset import DataSet
from zarts.data.file_index import class_name, limited, on_disk
from zarts.data.image_io import FileSource
from zarts.data.image_list import ImageList, check_counts, load_list
from zarts.data.known_split import contents_of
from zarts.errors import DataError
from zarts.readers import csv_rows

__all__ = ["csv_files", "is_csv", "list_csv", "load_csv"]

_SPLITS = ("train", "val", "test")


def is_csv(path: Path) -> bool:
    """Whether a path is that of a CSV file that exists."""
    return path.suffix.lower() == ".csv" and path.is_file()


def load_csv(path: Path, request: Request) -> DataSet:
    """Load the images of a CSV file with the columns `file`, `label` and perhaps `split`.

    The result is that of a folder with the same images in the sub-folders `label/`, if their names sort alike: classes
    are in the order of their names, and so are the images of each.

    Args:
        path: the file, in UTF-8. A file name is relative to the folder of the CSV file. `split` is `train`, `val` or
            `test`; without test images a fifth of the training images is set aside.
        request: see `zarts.data.image_list.load_list`.

    Raises:
        DataError: a line cannot be used, an image is missing, or see `load_list`.
    """
    listed, notes = list_csv(path, request)
    if request.manifest is None or "test" in listed.parts:
        check_counts(listed.parts["train"], str(path), least=1 if "test" in listed.parts else 2)
    data = load_list(listed, request)
    return replace(data, notes=(*notes, *data.notes))


def list_csv(path: Path, request: Request) -> tuple[ImageList, tuple[str, ...]]:
    """List the images of a CSV file, and notes.

    Raises:
        DataError: a line cannot be used, or an image is missing.
    """
    rows, notes = _rows(path)
    listed: dict[str, dict[str, list[str]]] = {"train": {}}
    for split, label, file in sorted(rows):
        listed.setdefault(split, {}).setdefault(label, []).append(file)
    before = contents_of(request.manifest)
    drawn = limited(listed, request.most, request.seed, before)
    wanted = {name for found in drawn.values() for names in found.values() for name in names}
    files = [file for _, _, file in rows if file in wanted]
    contents, left_out = read_contents(path.parent, files, before, request.report)
    parts = {
        part: {kind: own for kind, names in found.items() if (own := [name for name in names if name in contents])}
        for part, found in drawn.items()
    }
    parts = {part: found for part, found in parts.items() if found or part == "train"}
    return ImageList(str(path), FileSource(path.parent), parts, contents, left_out), notes


def csv_files(path: Path) -> list[str]:
    """The names of the files in a list.

    Raises:
        DataError: a line cannot be used, or an image is missing.
    """
    return [file for _, _, file in _rows(path)[0]]


def _rows(path: Path) -> tuple[list[tuple[str, str, str]], tuple[str, ...]]:
    """The lines as (split, label, file), and notes.

    Raises:
        DataError: a line cannot be used, or an image is missing.
    """
    found: dict[str, tuple[int, str, str]] = {}
    columns: list[str] = []
    for line, row in csv_rows(path, ("file", "label"), DataError):
        columns = [column for column in row if column is not None]
        name, label, split = (row.get(key, "train") for key in ("file", "label", "split"))
        if not name or not label or split not in _SPLITS or None in row:
            raise DataError(
                f"{path}: line {line} has file {name!r}, label {label!r}, split {split!r}; expected "
                f"{', '.join(columns)}, with split one of {', '.join(_SPLITS)}"
            )
        if not label.isascii() and any("\udc80" <= letter <= "\udcff" for letter in label):
            raise DataError(f"{path}: line {line}: label {label!r} is not in UTF-8; save the file as UTF-8")
        if name in found:
            raise DataError(f"{path}: line {line}: {name} is in line {found[name][0]} already; remove one")
        found[name] = (line, split, class_name(label))
    for name, (line, _, _) in found.items():
        if not os.path.isfile(on_disk(path.parent, name)):  # noqa: PTH113 (50,000 files)
            raise DataError(
                f"{path}: line {line}: {name}: no such file; names are relative to {path.parent}, or absolute"
            )
    others = [column for column in columns if column not in ("file", "label", "split")]
    notes = (f"{path}: columns that are not used: {', '.join(others)}",) if others else ()
    return [(split, label, name) for name, (_, split, label) in found.items()], notes
