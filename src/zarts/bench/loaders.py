"""Loaders of tables: CSV, parquet, and the official files of NATS-Bench and NAS-Bench-201."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zarts.bench.natsbench_files import read_nasbench201, read_natsbench
from zarts.bench.table import SECONDS, Column, Table
from zarts.errors import DataError
from zarts.readers import gunzip, malformed, read_bytes, reason
from zarts.runtime.paths import path_of

__all__ = ["find_table", "read_table"]

_VARIABLE = "ZARTS_DATA"
_CSV = ("nasbench201.csv.gz", "nasbench201.csv")
_PARQUET = "nasbench201.parquet"
_NATS = ("NATS-tss-v1_0-3ffb9-simple", "NATS-tss-v1_0-3ffb9.pickle.pbz2")
_PTH = ("NAS-Bench-201-v1_1-096897.pth", "NAS-Bench-201-v1_0-e61699.pth")
_KNOWN = (*_CSV, _PARQUET, *_NATS, *_PTH)

_MOST_BYTES = 1 << 28
"""Of a CSV file, unpacked; all 15,625 cells with all columns take 4 MB."""

_GET = (
    f"get {_NATS[0]} (github.com/D-X-Y/NATS-Bench), {_PTH[0]} (github.com/D-X-Y/NAS-Bench-201) or a table "
    f"{_CSV[0]} (columns architecture, cifar10_valid_12, cifar10_test_200 and so on)"
)


def find_table(path: Path | None = None) -> Path:
    """The file of the table: `path`, or the first known name in the directory that ZARTS_DATA names.

    Raises:
        DataError: there is no file; the message says which one to get, and where to put it.
    """
    given = path is not None
    if path is None:
        directory = os.environ.get(_VARIABLE)
        if not directory:
            raise DataError(
                f"no table of NAS-Bench-201: {_GET}; name it by --benchmark-table, or its directory by {_VARIABLE}"
            )
        path = Path(directory)
    path = path_of(path)
    if not path.exists():
        raise DataError(f"{path}: named by {'--benchmark-table' if given else _VARIABLE}, but not found; {_GET}")
    if not path.is_dir() or _is_archive(path):
        return path
    for name in _KNOWN:
        if (path / name).exists():
            return path / name
    raise DataError(f"{path}: holds none of {', '.join(_KNOWN)}; {_GET}, and put it there")


def read_table(path: Path, *, trust: bool = False) -> Table:
    """The table of a file.

    Args:
        path: a `.csv`, `.csv.gz` or `.parquet` file with the column `architecture`, columns like `cifar10_valid_12`,
            and optionally `index` and `cifar10_seconds_12`; the official topology file or directory of
            NATS-Bench; or the official `.pth` file of NAS-Bench-201.
        trust: whether a file may be unpickled, which can run any code that it contains.

    Raises:
        DataError: the file cannot be read, or needs unpickling and is not trusted.
    """
    if _is_archive(path):
        return read_natsbench(path, trust)
    for suffix, read in _FORMATS.items():
        if path.name.endswith(suffix):
            return read(path, trust)
    raise DataError(f"{path}: not a table; expected a file {', '.join(_FORMATS)} or a directory of NATS-Bench")


def _is_archive(path: Path) -> bool:
    return (path / "meta.pickle.pbz2").exists()


def _read_csv(path: Path, trust: bool) -> Table:
    content = read_bytes(path, DataError)
    if path.suffix == ".gz" and len(content := gunzip(content, path, DataError, most=_MOST_BYTES)) > _MOST_BYTES:
        raise DataError(f"{path}: unpacks to more than {_MOST_BYTES:,} bytes, more than a table needs")
    try:
        header, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({reason(error)})") from error
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise DataError(f"{path}, line {number}: has {len(row)} fields; the first line has {len(header)}")
    return _from_columns(dict(zip(header, zip(*rows, strict=True), strict=False)), str(path))


def _read_parquet(path: Path, trust: bool) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(f"{path}: needs pyarrow: pip install 'zarts[bench]'") from None
    try:
        columns = parquet.read_table(path).to_pydict()
    except (OSError, MemoryError, ValueError, ArrowException) as error:
        raise DataError(f"{path}: cannot be read as parquet ({reason(error)})") from error
    return _from_columns(columns, str(path))


def _from_columns(columns: Mapping[str, Sequence[Any]], where: str) -> Table:
    """A table of the known columns; other columns are ignored."""
    architectures = list(columns.get("architecture", ()))
    indices = columns.get("index", range(len(architectures)))
    known = {column: columns[column.name] for column in Column.every() if column.name in columns}
    with malformed(where, "a table of numbers", DataError):
        return Table.build(
            where,
            [int(index) for index in indices],
            architectures,
            {column: [_number(value) for value in values] for column, values in known.items()},
            [_number(value) for value in columns[SECONDS]] if SECONDS in columns else None,
        )


def _number(value: Any) -> float:
    return float("nan") if value in (None, "") else float(value)


_FORMATS: dict[str, Callable[[Path, bool], Table]] = {
    ".csv": _read_csv,
    ".csv.gz": _read_csv,
    ".parquet": _read_parquet,
    ".pickle.pbz2": read_natsbench,
    ".pth": read_nasbench201,
}
