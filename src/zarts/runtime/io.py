"""Atomic writes of files, and tolerant reading of the files of a run."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zarts.config.renamed import renamed_event, renamed_mapping
from zarts.errors import FileError, RunError
from zarts.readers import parse_json, read_text, read_yaml

if sys.platform != "win32":
    import fcntl

__all__ = [
    "drop_cut_line",
    "epoch_files",
    "locked",
    "read_events",
    "read_mapping",
    "remove_empty",
    "remove_parts",
    "write_atomically",
]

_PART = ".part"


def write_atomically(path: Path, content: bytes | str) -> None:
    r"""Replace `path` by a file with `content`; the old or the new file is always there, whole.

    Text is written in UTF-8. What has no form in it, the bytes of a file name in another encoding, is written as
    escapes `\udce9`, which JSON reads back as the same name.

    Raises:
        RunError: the file cannot be written (a full disk, say); the old file is unchanged.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PART)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise RunError(f"{path}: cannot be written ({error.strerror or error}); the old file is unchanged") from error


def remove_parts(folder: Path) -> None:
    """Delete the unfinished files that killed writes have left in the folder and its sub-folders."""
    for part in folder.rglob(f".*{_PART}"):
        part.unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Delete a folder, if it exists, into which nothing was written before its process was killed."""
    if folder.is_dir():
        remove_parts(folder)
        folder.rmdir()


@contextmanager
def locked(path: Path, message: str) -> Iterator[None]:
    """Inside, this process alone on this system locks `path`; without effect on Windows.

    Args:
        path: a file or a folder that exists.
        message: of the error if another process holds the lock.

    Raises:
        RunError: another process holds the lock.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # the file system may have no locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(message) from None
        yield
    finally:
        os.close(descriptor)


def epoch_files(folder: Path) -> dict[int, Path]:
    """The files `epoch_NNN.json` of a folder by epoch, in ascending order; empty if there is no folder."""
    found = {re.fullmatch(r"epoch_(\d+)\.json", path.name): path for path in folder.glob("epoch_*.json")}
    files = {int(match[1]): path for match, path in found.items() if match}
    return {epoch: files[epoch] for epoch in sorted(files)}


def read_events(path: str | Path) -> list[dict[str, Any]]:
    """The events of a run, one JSON object a line, in the order in which they were written.

    An incomplete last line is left out: the run was killed while it wrote, or is writing now.

    Args:
        path: a `metrics.jsonl`.

    Raises:
        RunError: the file cannot be read, or a line before the last one is not a JSON object.
    """
    lines = read_text(path, errors="replace").split("\n")
    events = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            event = parse_json(line, f"{path}, line {number}")
        except RunError as error:
            if number == len(lines):
                break
            raise FileError(f"{error}; the file is damaged, remove that line to read the rest") from error
        if not isinstance(event, dict):
            raise FileError(f"{path}, line {number}: expected a JSON object, got {type(event).__name__}")
        events.append(renamed_event(event))
    return events


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a JSON or YAML file; empty if there is no such file.

    Raises:
        RunError: the file exists, but cannot be read as a mapping.
    """
    if not path.exists():
        return {}
    data = read_yaml(path) if path.suffix == ".yaml" else parse_json(read_text(path, errors="replace"), str(path))
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise FileError(f"{path}: expected a mapping, got {type(data).__name__}")
    return renamed_mapping({str(key): value for key, value in data.items()})


def drop_cut_line(path: Path) -> None:
    """Delete an incomplete last line of a file, if there is one: what comes next begins on a line of its own."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
