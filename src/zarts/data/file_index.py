"""Which image files a folder has: names only, no file is opened."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zarts.data.image_io import SUFFIXES
from zarts.errors import DataError

__all__ = [
    "check_classes",
    "check_unchanged",
    "class_of",
    "digest",
    "images_by_class",
    "names_of_manifest",
    "train_and_test",
]


def images_by_class(root: Path, part: str = "") -> dict[str, list[str]]:
    """The image files below each sub-folder of `root/part`: class to sorted names relative to `root`.

    Files with the suffix of an image count, at any depth; hidden files and folders do not.

    Raises:
        DataError: a folder may not be read.
    """
    return {
        folder.name: sorted(path.relative_to(root).as_posix() for path in _images_below(folder))
        for folder in sorted(_subfolders(root / part))
    }


def check_classes(found: Mapping[str, list[str]], folder: Path, least: int) -> None:
    """Refuse a folder from which no classifier can be learnt.

    Args:
        found: class to its images.
        folder: where they were looked for.
        least: how many images a class needs.

    Raises:
        DataError: fewer than two classes, or too few images in one.
    """
    if len(found) < 2:
        has = f"one class, {next(iter(found))!r}" if found else "no sub-folders"
        raise DataError(f"{folder}: has {has}; expected two or more sub-folders, one a class")
    for name, images in found.items():
        if not images:
            raise DataError(
                f"{folder}: class {name!r} has no images ({', '.join(sorted(SUFFIXES))}); add some or remove the folder"
            )
        if len(images) < least:
            raise DataError(
                f"{folder}: class {name!r} has {len(images)} image; needs {least} or more, one of them for the test"
            )


def class_of(name: str, part: str = "") -> str:
    """The class of an image named relative to the root: its folder below `part`."""
    return name.removeprefix(f"{part}/").split("/")[0]


def train_and_test(root: Path, tests: Sequence[str] = ("test",)) -> tuple[str, str] | None:
    """Names of the sub-folders `train` and `test` in any case, or None for a folder of classes.

    Of several names in `tests` the first one that is there counts.

    A class may itself be called `train`: with no `test` beside it, it is one if it has no sub-folders.

    Raises:
        DataError: one is there without the other.
    """
    parts = {folder.name.lower(): folder for folder in _subfolders(root)}
    train, test = parts.get("train"), next((parts[name] for name in tests if name in parts), None)
    if train is not None and test is not None:
        return train.name, test.name
    if test is not None:
        raise DataError(f"{root}: has {test.name}/ but no train/; expected both, or one sub-folder a class")
    if train is not None and _subfolders(train):
        others = [parts[name].name for name in ("val", "valid", "validation") if name in parts]
        hint = f"; rename {others[0]}/ to test/ if it holds the test images" if others else ""
        raise DataError(
            f"{root}: has {train.name}/ but no {'/ or '.join(tests)}/; expected both, or one sub-folder a class{hint}"
        )
    return None


def names_of_manifest(manifest: Mapping[str, Any], on_disk: set[str], root: Path) -> tuple[list[str], list[str]]:
    """The train and the test images of an earlier split, all of which are still there.

    Args:
        manifest: with the lists `train` and `test`.
        on_disk: the images that there are now. Only these are ever opened, whatever the manifest says.
        root: the folder.

    Raises:
        DataError: no such lists, an image in both, or an image that is gone.
    """
    for part in ("train", "test"):
        names = manifest.get(part)
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise DataError(
                f"{root}: the earlier split (split.json) lists no {part} images; it is of "
                f"{manifest.get('source', 'another data set')}, or was edited"
            )
    train, test = manifest["train"], manifest["test"]
    for name in (*train, *test):
        if name not in on_disk:
            raise DataError(
                f"{root}: {name!r} of the earlier split (split.json) is not there any more; put it back, or start a "
                "new search"
            )
    both = sorted(set(train) & set(test))
    if both:
        raise DataError(f"{root}: {both[0]!r} is in both lists, train and test, of the earlier split (split.json)")
    return train, test


def digest(names: Iterable[str]) -> str:
    """A short text that differs where the names do, whatever their order."""
    listed = "\0".join(sorted(names)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(listed, digest_size=16).hexdigest()


def check_unchanged(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse other training images than those of an earlier load: the halves of a search would be dealt anew.

    Args:
        manifest: of the earlier load.
        now: the manifest of this one, with `source`, `train_images` and perhaps `train_names`.

    Raises:
        DataError: their number or, where `now` has a digest of them, their names have changed.
    """
    source, earlier = now["source"], "the earlier split (split.json)"
    of = manifest.get("source", "another data set")
    for key in ("train_images", "train_names"):
        if key in now and key not in manifest:
            raise DataError(f"{source}: {earlier} has no {key}; it is of {of}, or was edited")
    way_out = "start a new search, or put the images back"
    was, count = manifest["train_images"], now["train_images"]
    if was != count:
        raise DataError(f"{source}: {earlier} is of {was} training images, now there are {count}; {way_out}")
    if "train_names" in now and manifest["train_names"] != now["train_names"]:
        raise DataError(
            f"{source}: {earlier} is of {was} training images, now there are as many, but with other names (digest "
            f"{str(manifest['train_names'])[:8]}, now {now['train_names'][:8]}); {way_out}"
        )


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot read the folder ({error.strerror})") from error


def _images_below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot read the folder ({error.strerror})") from error

    found = []
    for base, folders, files in os.walk(folder, onerror=refuse):  # goes round no ring of symbolic links
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(base, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 (50,000 files)
        ]
    return found
