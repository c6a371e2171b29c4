"""Index of the files of a folder: parts, classes and names, and what is left out; no file is opened."""

from __future__ import annotations

import hashlib
import heapq
import mimetypes
import os
import sys
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zarts.data.left_out import LeftOut
from zarts.errors import DataError

__all__ = [
    "ByClass",
    "FolderIndex",
    "another_kind",
    "class_name",
    "files_below",
    "folder_parts",
    "index_folder",
    "limited",
    "on_disk",
    "subfolders",
]

ByClass = dict[str, list[str]]
"""The names of the images of each class."""

_DEBRIS = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", ".directory"})
_DEBRIS_FOLDERS = frozenset(
    {"__macosx", ".ipynb_checkpoints", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
)
_TEXTS = frozenset(
    {"readme", "license", "licence", "copying", "makefile", "notice", "changelog", "authors", "sha256sums"}
)
_OTHER_KINDS = frozenset(
    {".yaml", ".yml", ".md", ".rst", ".ipynb", ".toml", ".cfg", ".ini", ".log", ".pkl", ".npy", ".npz", ".pt", ".pth"}
    | {".parquet", ".lock", ".db", ".sqlite", ".h5", ".hdf5", ".mat", ".tfrecord", ".names", ".data", ".md5", ".sha256"}
)
_EACH = 5
"""Files that a class keeps, at least: for the parts that train, validate and test."""
VALIDATION = ("val", "valid", "validation")
"""Possible names of the folder with validation images."""


@dataclass
class FolderIndex:
    """The files below the classes of a folder, or of one of its parts.

    Args:
        files: by class, in the order of their names; they may turn out to be no images.
        left_out: what is no image by its name or by its place.
    """

    files: ByClass = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def on_disk(root: Path, name: str) -> str:
    """The path of a file by its name in a list, which is relative to `root`, or absolute.

    Names in lists are the bytes of the disk, read as UTF-8; other bytes are kept as surrogates. So they are the same
    in each locale.
    """
    if sys.getfilesystemencoding() == "utf-8":
        return os.path.join(root, name)  # noqa: PTH118 (a million files)
    return os.fsdecode(os.path.join(os.fsencode(root), name.encode("utf-8", "surrogateescape")))  # noqa: PTH118


def class_name(text: str) -> str:
    """The name of a class in the form in which names are compared: Unicode's NFC."""
    return unicodedata.normalize("NFC", text)


def folder_parts(root: Path, tests: Sequence[str] = ("test",)) -> dict[str, str] | None:
    """The sub-folders with training, validation and test images, in upper or lower case; None: a folder of classes.

    A class may itself be called `train`: without a `test` beside it, a `train` without sub-folders is a class.

    Args:
        root: the folder.
        tests: possible names of the folder with test images; the first one that exists counts.

    Returns:
        `train`, `test`, and perhaps `val`, to the name of the folder.

    Raises:
        DataError: `train` or `test` exists without the other.
    """
    found = {name.lower(): name for name in subfolders(root)}
    train, test = found.get("train"), next((name for name in tests if name in found), None)
    val = next((found[name] for name in VALIDATION if name in found and name != test), None)
    if train is not None and test is not None:
        return {"train": train, "test": found[test]} | ({} if val is None else {"val": val})
    if test is not None:
        raise DataError(f"{root}: has {found[test]}/ but no train/; expected both, or one sub-folder for each class")
    if train is not None and subfolders(root / train):
        hint = "" if val is None else f"; rename {val}/ to test/ if it holds the test images"
        raise DataError(
            f"{root}: has {train}/ but no {'/ or '.join(tests)}/; expected both, or one sub-folder for each class{hint}"
        )
    return None


def index_folder(root: Path, part: str = "") -> FolderIndex:
    """The files below each sub-folder of `root/part`: class to sorted names relative to `root`.

    Links are followed, and a folder counts once in a class, so that loops of links end. Debris of other systems and
    hidden files are neither images nor classes.

    Raises:
        DataError: a folder cannot be read.
    """
    index = FolderIndex()
    prefix = f"{part}/" if part else ""
    for entry in _scan(root / part):
        name, is_folder = _name(entry.name), _kind(entry)[0]
        reason = _debris(name, folder=is_folder)
        if reason is None and is_folder:
            files = index.files.setdefault(class_name(name), [])
            files += _below(root, prefix + name, index.left_out)
        else:
            index.left_out.append(
                LeftOut(prefix + name, reason or ("another kind of file" if another_kind(name) else "in no class"))
            )
    index.files = {name: sorted(index.files[name]) for name in sorted(index.files)}
    return index


def files_below(root: Path) -> FolderIndex:
    """All files below a folder, at any depth, as those of one class without a name."""
    index = FolderIndex()
    index.files[""] = sorted(_below(root, "", index.left_out))
    return index


def limited(parts: Mapping[str, ByClass], most: int | None, seed: int, before: Collection[str]) -> dict[str, ByClass]:
    """So many files in all, from each class of each part its share, but five where it has five.

    Whether a file is drawn depends on its name, on the seed, and on how many files there are. Those that are images by
    their names come first.

    Args:
        parts: the files by part and class.
        most: number of files; None: all.
        seed: another seed draws others.
        before: names of an earlier draw, which are taken again and no others; empty: there is none.
    """
    count = sum(len(names) for found in parts.values() for names in found.values())
    if most is None or count <= most:
        return dict(parts)

    def place(name: str) -> tuple[bool, bytes]:
        text = f"{seed} {name}".encode("utf-8", "surrogateescape")
        return another_kind(name), hashlib.blake2b(text, digest_size=8).digest()

    def of_class(names: list[str]) -> list[str]:
        number = max(_EACH, round(most / count * len(names)))
        chosen = before or set(heapq.nsmallest(number, names, key=place))
        return [name for name in names if name in chosen]

    drawn = {part: {kind: of_class(names) for kind, names in found.items()} for part, found in parts.items()}
    return {part: {kind: own for kind, own in found.items() if own or not before} for part, found in drawn.items()}


def _below(root: Path, top: str, left_out: list[LeftOut]) -> Iterator[str]:
    """The names of the files below `root/top`, each folder once."""
    seen: set[tuple[int, int]] = set()
    folders = [top]
    while folders:
        folder = folders.pop()
        path = Path(on_disk(root, folder)) if folder else root
        entries = _scan(path)
        status = path.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in entries:
            own = _name(entry.name)
            name = f"{folder}/{own}" if folder else own
            is_folder, is_file = _kind(entry)
            reason = _debris(own, folder=is_folder)
            if reason is None and not is_folder and not is_file:
                reason = "broken link" if entry.is_symlink() else "no file"
            if reason is not None:
                left_out.append(LeftOut(name, reason))
            elif is_folder:
                folders.append(name)
            else:
                yield name


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    """Whether an entry is a folder, and whether it is a file; a link that leads nowhere is neither."""
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:  # a loop of links
        return False, False


def _debris(name: str, *, folder: bool) -> str | None:
    """Why a file or a folder is no image and no class, by its name; None: it may be one."""
    small = name.lower()
    if small in (_DEBRIS_FOLDERS if folder else _DEBRIS) or small.startswith("._"):
        return "left by another system"
    return "hidden" if small.startswith(".") else None


def another_kind(name: str) -> bool:
    """Whether the name of a file says that it is something else than an image, such as a text or an archive."""
    stem, suffix = os.path.splitext(name.lower())  # noqa: PTH122 (a million files)
    if not suffix:
        return stem in _TEXTS
    kind = mimetypes.guess_type(f"x{suffix}", strict=False)[0]
    return suffix in _OTHER_KINDS or (kind is not None and not kind.startswith("image/"))


def subfolders(folder: Path) -> list[str]:
    """The names of the sub-folders that may be classes or parts.

    Raises:
        DataError: the folder cannot be read.
    """
    names = [_name(entry.name) for entry in _scan(folder) if _kind(entry)[0]]
    return [name for name in names if _debris(name, folder=True) is None]


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot read the folder ({error.strerror})") from error


def _name(name: str) -> str:
    """The name of a file on the disk in a list, see `on_disk`."""
    if sys.getfilesystemencoding() == "utf-8":
        return name
    return os.fsencode(name).decode("utf-8", "surrogateescape")
