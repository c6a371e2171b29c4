"""Temporary files and folders, by whose names those of killed processes are known and deleted."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["PART", "is_part", "mark", "remove_parts", "remove_temporary_folders", "temporary_folder", "whole_folder"]

PART = ".part"
"""End of the name of an unfinished file or folder, which begins with a dot."""
_DAY = 86_400.0


def mark() -> str:
    """Names this process in names of temporary files: a digest of its machine's name, and its number."""
    machine = hashlib.blake2b(socket.gethostname().encode("utf-8", "replace"), digest_size=4).hexdigest()
    return f"{machine}-{os.getpid()}"


def _abandoned(path: Path) -> bool:
    """Whether the process that made a temporary file or folder is gone.

    Of a process of another machine nothing is known: what it made is taken to be abandoned after a day. Names of
    earlier versions of zarts have no mark.
    """
    found = re.search(r"([0-9a-f]{8})-(\d+)-\w+$", path.name.removesuffix(PART))
    if found is None:
        return True
    if found[1] != mark().partition("-")[0] or sys.platform == "win32":
        with contextlib.suppress(OSError):
            return time.time() - path.stat().st_mtime > _DAY
        return False
    try:
        os.kill(int(found[2]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def is_part(path: Path) -> bool:
    """Whether a file is one that a killed write may have left."""
    return path.name.startswith(".") and path.name.endswith(PART)


def remove_parts(folder: Path, name: str | None = None) -> None:
    """Delete the unfinished files and folders that killed processes have left.

    Args:
        folder: a folder.
        name: of the file whose unfinished ones are deleted; None: of every file, in sub-folders too.
    """
    parts = folder.rglob(f".*{PART}") if name is None else folder.glob(f".{glob.escape(name)}.*{PART}")
    for part in [*parts]:
        if _abandoned(part):
            with contextlib.suppress(OSError):  # the folder may be one that can only be read
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def remove_temporary_folders() -> None:
    """Delete the folders of `temporary_folder` that killed processes have left."""
    for left in Path(tempfile.gettempdir()).glob("zarts-*"):
        if re.fullmatch(r"zarts-[0-9a-f]{8}-\d+-\w+", left.name) and _abandoned(left):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files, deleted afterwards; those that killed processes have left are deleted first."""
    remove_temporary_folders()
    with tempfile.TemporaryDirectory(prefix=f"zarts-{mark()}-") as folder:
        yield Path(folder)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to be filled, which becomes `path` at the end; a process that is killed before leaves no `path`.

    Where `path` is an empty folder already, it stays the same one: the files are moved into it at the end, one by one.

    Args:
        path: where it goes: nothing, or an empty folder.
    """
    path, name = path.absolute(), f"{mark()}-{os.urandom(4).hex()}{PART}"
    if path.exists():
        part = path / f".files.{name}"
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(path.parent, path.name)
        part = path.with_name(f".{path.name}.{name}")
    part.mkdir()
    try:
        yield part
        if part.parent == path:
            for file in [*part.iterdir()]:
                file.rename(path / file.name)
        else:
            part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)
