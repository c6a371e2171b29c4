"""Readers of text, YAML, JSON, CSV and gzip files: plain data within limits, or an error of one line.

All files of these kinds are read here, because anybody's file may hold anything. The limits are far above what files of
zarts need, and low enough that no file fills the memory, the stack or an hour.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from zarts.errors import DataError, FileError, NotFoundError, ZartsError, shorten

__all__ = [
    "csv_rows",
    "gunzip",
    "malformed",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_json",
    "read_text",
    "read_yaml",
    "reason",
]

_MOST_BYTES = 1 << 30
"""Of a text file; the split of ten million images has 600 MB."""
_BLOCK = 1 << 20
_MOST_YAML = 100_000
"""Characters of YAML, with those that aliases repeat. It is written by hand, and so many may take five seconds."""
_NAMELESS = ' in "<unicode string>",'
"""PyYAML's words for text without a file."""
_DEEPEST = 50
"""Lists and mappings in one another."""
_DIGITS = 60
"""Of a number."""
_LONG_NUMBER = re.compile(rf"\d{{{_DIGITS + 1}}}")

Kind = type[ZartsError]


def reason(error: BaseException) -> str:
    """Why something failed, in at most 200 characters of one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = " ".join(str(error).split())
    told = isinstance(error, ValueError | RuntimeError | OSError) and text  # whose texts stand for themselves
    named = "" if told else type(error).__name__
    return shorten(": ".join(part for part in (named, text) if part))


@contextmanager
def malformed(where: object, what: str, kind: Kind = FileError, way_out: str = "") -> Iterator[None]:
    """Inside, plain data is taken apart; whatever is wrong with it becomes one error.

    Args:
        where: the file, for the message.
        what: what the data should be, for example `the result of a search`.
        kind: of the error.
        way_out: end of the message.

    Raises:
        ZartsError: of that kind: `WHERE: not WHAT (reason)`. Those from inside stay as they are.
    """
    try:
        yield
    except ZartsError:
        raise
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise kind(f"{where}: not {what} ({reason(error)}){way_out}") from error


def read_bytes(path: str | Path, kind: Kind = FileError, *, most: int = _MOST_BYTES) -> bytes:
    """The content of a file, of at most `most` bytes.

    Raises:
        NotFoundError: there is no such file (images: DataError).
        ZartsError: of that kind: the file cannot be read, or is larger.
    """
    try:
        with Path(path).open("rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and found.st_size <= most:
                return file.read()
            content = b""
            while len(content) <= most and not stat.S_ISREG(found.st_mode) and (more := file.read(_BLOCK)):
                content += more  # of a pipe or a device, which may have no end
    except FileNotFoundError as error:
        raise (NotFoundError if kind is not DataError else kind)(f"{path}: no such file") from error
    except (OSError, ValueError, MemoryError) as error:
        raise kind(f"{path}: cannot be read ({reason(error)})") from error
    if stat.S_ISREG(found.st_mode) or len(content) > most:
        raise kind(f"{path}: has more than {most:,} bytes, more than such a file needs")
    return content


def read_text(path: str | Path, kind: Kind = FileError, *, most: int = _MOST_BYTES, errors: str = "strict") -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        ZartsError: of that kind: the file cannot be read, is larger, or is not UTF-8.
    """
    try:
        return read_bytes(path, kind, most=most).decode("utf-8-sig", errors)
    except UnicodeDecodeError as error:
        raise kind(f"{path}: is not UTF-8 text ({reason(error)})") from error


def read_json(path: str | Path, kind: Kind = FileError) -> Any:
    """The plain data of a JSON file.

    Raises:
        ZartsError: of that kind: see `read_text` and `parse_json`.
    """
    return parse_json(read_text(path, kind), str(path), kind)


def read_yaml(path: str | Path, kind: Kind = FileError) -> Any:
    """The plain data of a YAML file.

    Raises:
        ZartsError: of that kind: see `read_text` and `parse_yaml`.
    """
    return parse_yaml(read_text(path, kind, most=_MOST_YAML), str(path), kind)


def parse_json(text: str | bytes, where: str, kind: Kind = FileError) -> Any:
    """The plain data of JSON text.

    Raises:
        ZartsError: of that kind: it is no JSON, is nested more than 50 deep, or has a number of more than 60 digits.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        data = json.loads(text, parse_int=_whole if _LONG_NUMBER.search(text) else None)
        _check_depth(data)
    except (ValueError, RecursionError, MemoryError) as error:
        raise kind(f"{where}: not JSON ({reason(error)})") from error
    return data


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _check_depth(data: Any) -> None:
    level, depth = [data], 0
    while level := [
        inner
        for one in level
        if isinstance(one, dict | list)
        for inner in (one.values() if isinstance(one, dict) else one)
        if isinstance(inner, dict | list)
    ]:
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"nested more than {_DEEPEST} deep")


def parse_yaml(text: str, where: str, kind: Kind = FileError) -> Any:
    """The plain data of YAML text; no tag makes any other object.

    Raises:
        ZartsError: of that kind: it is no YAML; is nested more than 50 deep; is, with what aliases repeat, longer than
            100,000 characters; refers to itself; or has a number of more than 60 digits.
    """
    try:
        if len(text) > _MOST_YAML:
            raise ValueError(f"longer than {_MOST_YAML:,} characters")
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except Exception as error:  # constructors of values raise nearly anything
        raise kind(f"{where}: not YAML ({reason(error).replace(_NAMELESS, '')})") from error


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader within limits."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth, self._length = 0, 0
        self._lengths: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node; the length of what it holds is counted, again for each alias."""
        alias = self.check_event(yaml.AliasEvent)
        if self._depth > _DEEPEST:
            raise yaml.YAMLError(f"nested more than {_DEEPEST} deep")
        self._depth += 1
        before = self._length
        node: Any = super().compose_node(parent, index)
        self._depth -= 1
        if alias and id(node) not in self._lengths:
            raise yaml.YAMLError("it refers to itself")
        self._length += self._lengths[id(node)] if alias else 1 + len(node.value) * isinstance(node, yaml.ScalarNode)
        if self._length > _MOST_YAML:
            raise yaml.YAMLError(f"longer than {_MOST_YAML:,} characters")
        self._lengths[id(node)] = self._length - before
        return node

    def construct_scalar(self, node: Any) -> Any:
        """The text of a scalar; a number is no longer than numbers are."""
        if node.tag.endswith((":int", ":float")) and len(node.value) > _DIGITS:
            raise yaml.YAMLError(f"a number of {len(node.value)} digits")
        return super().construct_scalar(node)


def csv_rows(path: Path, columns: Sequence[str], kind: Kind) -> Iterator[tuple[int, dict[Any, Any]]]:
    """The rows of a CSV file in UTF-8, each with the number of its line; column to text.

    Bytes that are not UTF-8 become surrogates, as in names of files.

    Args:
        path: the file.
        columns: those that it must have.
        kind: of the error.

    Raises:
        ZartsError: of that kind: the file cannot be read, is no CSV, or lacks a column.
    """
    text = read_text(path, kind, errors="surrogateescape")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        found = list(reader.fieldnames or [])
        for column in columns:
            if column not in found:
                raise kind(
                    f"{path}: has no column {column!r}, only {shorten(', '.join(map(repr, found)))}; its first line "
                    f"needs to be {','.join(columns)}, in UTF-8"
                )
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise kind(f"{path}: cannot be read as CSV in UTF-8 ({reason(error)})") from error


def gunzip(content: bytes, where: object, kind: Kind, *, most: int = _MOST_BYTES) -> bytes:
    """The content of a gzip file, or as much of it as says that it is more than `most` bytes: one byte more.

    Raises:
        ZartsError: of that kind: it is damaged.
    """
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(content)).read(most + 1)
    except Exception as error:  # zlib, gzip and struct each have their own
        raise kind(f"{where}: cannot be unpacked ({reason(error)})") from error
