"""Images that a CSV file lists with their labels."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from zarts.data.config import Request
from zarts.data.dataset import DataSet
from zarts.data.image_io import FileSource
from zarts.data.image_list import ByClass, ImageList, check_counts, load_list
from zarts.errors import DataError

__all__ = ["is_csv", "load_csv"]

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
    rows, notes = _rows(path)
    parts: dict[str, dict[str, list[str]]] = {}
    for split, label, file in sorted(rows):
        parts.setdefault(split, {}).setdefault(label, []).append(file)
    train, val, test = (parts.get(split) for split in _SPLITS)
    if request.manifest is None or test is not None:
        check_counts(train or {}, str(path), least=2 if test is None else 1)
    list_test: Callable[[], ByClass] | None = None if test is None else partial(dict, test)
    data = load_list(ImageList(str(path), FileSource(path.parent), train or {}, list_test, val), request)
    return replace(data, notes=(*notes, *data.notes))


def _rows(path: Path) -> tuple[list[tuple[str, str, str]], tuple[str, ...]]:
    """The lines as (split, label, file), and notes.

    Raises:
        DataError: a line cannot be used, or an image is missing.
    """
    found: dict[str, tuple[int, str, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = list(reader.fieldnames or [])
            for column in ("file", "label"):
                if column not in columns:
                    raise DataError(
                        f"{path}: has no column {column!r}, only {', '.join(map(repr, columns))}; its first line needs "
                        "to be file,label or file,label,split"
                    )
            for row in reader:
                line = reader.line_num
                name, label, split = (row.get(key, "train") for key in ("file", "label", "split"))
                if not name or not label or split not in _SPLITS or None in row:
                    raise DataError(
                        f"{path}: line {line} has file {name!r}, label {label!r}, split {split!r}; expected "
                        f"{', '.join(columns)}, with split one of {', '.join(_SPLITS)}"
                    )
                if name in found:
                    raise DataError(f"{path}: line {line}: {name} is in line {found[name][0]} already; remove one")
                found[name] = (line, split, label)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    for name, (line, _, _) in found.items():
        if not os.path.isfile(path.parent / name):  # noqa: PTH113 (50,000 files)
            raise DataError(
                f"{path}: line {line}: {name}: no such file; names are relative to {path.parent}, or absolute"
            )
    others = [column for column in columns if column not in ("file", "label", "split")]
    notes = (f"{path}: columns that are not used: {', '.join(others)}",) if others else ()
    return [(split, label, name) for name, (_, split, label) in found.items()], notes
