"""Which of listed files are images, by their contents, and a digest of each, by which it is known again."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from zarts.data.file_index import another_kind, on_disk
from zarts.data.image_io import check_image
from zarts.data.left_out import LeftOut
from zarts.data.preprocess import NotReadable

__all__ = ["Content", "Report", "no_report", "read_contents"]

Report = Callable[[str, int, int], None]
"""Called with what is done, how much of it is, and how much there is."""

_CHUNK = 32
_MAX_THREADS = 8
_QUIET_SECONDS = 2.0
_DIGEST_BYTES = 10
_MAGIC = 12
_MAGICS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM")
"""First bytes of the files in which an image may be behind the name of another kind of file."""


def no_report(text: str, done: int, of: int) -> None:
    """Report nothing."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is known of a file.

    Args:
        digest: of its bytes.
        size: in bytes.
        modified: in nanoseconds; a file of the same size and time is not read again.
    """

    digest: str
    size: int
    modified: int

    def __str__(self) -> str:
        return f"{self.digest} {self.size} {self.modified}"

    @staticmethod
    def parse(text: str) -> Content:
        """The content that `str` has written.

        Raises:
            ValueError: the text is no such content.
        """
        digest, size, modified = text.split(" ")
        return Content(digest, int(size), int(modified))


def read_contents(
    root: Path,
    names: Sequence[str],
    before: Mapping[str, Content],
    report: Report = no_report,
) -> tuple[dict[str, Content], list[LeftOut]]:
    """Read files once, in a pool of threads: which are images, and what identifies them.

    Args:
        root: the folder that the names are relative to.
        names: of the files.
        before: the contents of an earlier run by name; a file of the same size and time is taken to be the same.
        report: called after two seconds, and then from time to time.

    Returns:
        The contents of the images, in the order of the names, and the files that are none, with the reasons.
    """

    def read(start: int) -> list[Content | LeftOut]:
        return [_read(root, name, before.get(name)) for name in names[start : start + _CHUNK]]

    images: dict[str, Content] = {}
    left_out: list[LeftOut] = []
    begun = time.monotonic()
    with ThreadPoolExecutor(min(_MAX_THREADS, os.cpu_count() or 1)) as pool:
        for start, found in zip(
            range(0, len(names), _CHUNK), pool.map(read, range(0, len(names), _CHUNK)), strict=True
        ):
            for name, one in zip(names[start : start + _CHUNK], found, strict=True):
                if isinstance(one, Content):
                    images[name] = one
                else:
                    left_out.append(one)
            if time.monotonic() - begun > _QUIET_SECONDS:
                report("listing images", min(start + _CHUNK, len(names)), len(names))
    return images, left_out


def _read(root: Path, name: str, before: Content | None) -> Content | LeftOut:
    """The content of one file, or why it is no image."""
    path = on_disk(root, name)
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (a million files)
            status = os.fstat(file.fileno())
            if before is not None and (before.size, before.modified) == (status.st_size, status.st_mtime_ns):
                return before
            start = file.read(_MAGIC)
            if another_kind(name) and not start.startswith(_MAGICS):
                return LeftOut(name, "another kind of file")
            content = start + file.read()
    except OSError as error:
        return LeftOut(name, f"that cannot be opened ({error.strerror})")
    try:
        check_image(content, name)
    except NotReadable as error:
        return LeftOut(name, "another kind of file" if another_kind(name) else error.reason)
    digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()
    return Content(digest, status.st_size, status.st_mtime_ns)
