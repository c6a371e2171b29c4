"""Atomic writes of files, and tolerant reading of the files of a run."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from zarts.config.renamed import renamed_event, renamed_mapping
from zarts.errors import FileError, RunError
from zarts.readers import parse_json, read_text, read_yaml
from zarts.runtime.leftovers import PART, mark, remove_parts

__all__ = [
    "WriteError",
    "check_writable",
    "cut",
    "drop_cut_line",
    "epoch_files",
    "read_events",
    "read_mapping",
    "sync",
    "write_atomically",
]


class WriteError(RunError):
    """A file that cannot be written: a full disk, a quota, a folder that can only be read.

    Args:
        path: the file.
        error: what the system says.
        whole: whether the file, if there is one, is as it was.
    """

    def __init__(self, path: Path, error: OSError, *, whole: bool = False) -> None:
        self.path, self.reason, self._whole = path, error.strerror or str(error), whole
        unchanged = "; the old file is unchanged" if whole and path.exists() else ""
        super().__init__(f"{path}: cannot be written ({self.reason}){unchanged}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _write_error, (self.path, self.reason, self._whole)  # it comes from other processes, too


def _write_error(path: Path, reason: str, whole: bool) -> WriteError:
    return WriteError(path, OSError(reason), whole=whole)


def write_atomically(path: Path, content: bytes | str, *, before: Path | None = None) -> None:
    r"""Replace `path` by a file with `content`; the old or the new file is always there, whole.

    Text is written in UTF-8. What has no form in it, the bytes of a file name in another encoding, is written as
    escapes `\udce9`, which JSON reads back as the same name.

    Args:
        path: the file.
        content: all of it.
        before: where the old file is kept, if there is one; None: nowhere.

    Raises:
        WriteError: the file cannot be written (a full disk, say); the old file is unchanged.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(path.parent, path.name)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.{mark()}-", suffix=PART)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            _synced(file.fileno())
        with contextlib.suppress(PermissionError):  # the file system may have no modes
            Path(temporary).chmod(0o644)
        if before is not None and path.exists():
            _keep(path, before)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise WriteError(path, error, whole=True) from error


def _synced(descriptor: int) -> None:
    """Have what was written on the disk, where the file system can say so."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def _keep(path: Path, before: Path) -> None:
    """Let `before` be the present content of `path`, which is never missing."""
    part = before.with_name(f".{before.name}.{mark()}-{os.urandom(4).hex()}{PART}")
    try:
        try:
            os.link(path, part)
        except OSError:  # the file system may have no links
            shutil.copyfile(path, part)
        part.replace(before)
    finally:
        part.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Check that files can be made in a folder.

    Raises:
        WriteError: they cannot.
    """
    part = folder / f".check.{mark()}-{os.urandom(4).hex()}{PART}"
    try:
        part.touch()
        part.unlink()
    except OSError as error:
        raise WriteError(folder, error) from error


def sync(path: Path) -> None:
    """Have a file, if it exists, on the disk.

    Raises:
        WriteError: the disk is full, say.
    """
    try:
        with path.open("rb+") as file:
            _synced(file.fileno())
    except FileNotFoundError:
        pass
    except OSError as error:
        raise WriteError(path, error) from error


def cut(path: Path, size: int) -> None:
    """Delete all but the first bytes of a file; one that is no longer is not touched.

    Raises:
        WriteError: the file cannot be written.
    """
    try:
        if path.stat().st_size > size:
            os.truncate(path, size)
    except OSError as error:
        raise WriteError(path, error) from error


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
    """Delete an incomplete last line of a file, if there is one: what comes next begins on a line of its own.

    Raises:
        WriteError: the file cannot be written.
    """
    if path.exists():
        cut(path, path.read_bytes().rfind(b"\n") + 1)
