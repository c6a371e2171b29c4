"""Index of the image files of a folder: names and classes; no file is opened."""

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
    "digest",
    "images_by_class",
    "names_of_manifest",
    "train_and_test",
]


def images_by_class(root: Path, part: str = "") -> dict[str, list[str]]:
    """The image files below each sub-folder of `root/part`: class to sorted names relative to `root`.

    Files with the suffix of an image count, at any depth; hidden files and folders do not.

    Raises:
        DataError: a folder cannot be read.
    """
    return {
        folder.name: sorted(path.relative_to(root).as_posix() for path in _images_below(folder))
        for folder in sorted(_subfolders(root / part))
    }


def check_classes(found: Mapping[str, list[str]], folder: Path, least: int) -> None:
    """Check that a classifier can be trained on a folder.

    Args:
        found: the images of each class.
        folder: where they are, for messages.
        least: number of images that a class needs.

    Raises:
        DataError: there are fewer than two classes, or a class has too few images.
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
                f"{folder}: class {name!r} has {len(images)} image, needs {least} (one for the test); add some"
            )


def train_and_test(root: Path, tests: Sequence[str] = ("test",)) -> tuple[str, str] | None:
    """Names of the sub-folders `train` and `test`, in upper or lower case, or None for a folder of classes.

    A class may itself be called `train`: without a `test` beside it, a `train` without sub-folders is a class.

    Args:
        root: the folder.
        tests: possible names of the folder with test images; the first one that exists counts.

    Raises:
        DataError: one exists without the other.
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


def names_of_manifest(manifest: Mapping[str, Any], on_disk: set[str], root: str) -> tuple[list[str], list[str]]:
    """The training and the test images of an earlier split.

    Args:
        manifest: has the lists `train` and `test`.
        on_disk: the images that exist now. Only these are ever opened, whatever is in the manifest.
        root: the folder, or what else they are listed in, for messages.

    Raises:
        DataError: a list is missing, an image is in both lists, or an image is gone.
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
                f"{root}: {name!r} of the earlier split (split.json) is gone; put it back, or start a new search"
            )
    both = sorted(set(train) & set(test))
    if both:
        raise DataError(
            f"{root}: {both[0]!r} is in both lists, train and test, of the earlier split (split.json); remove it from "
            "one, or start a new search"
        )
    return train, test


def digest(names: Iterable[str]) -> str:
    """A short digest of a set of names, independent of their order."""
    listed = "\0".join(sorted(names)).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(listed, digest_size=16).hexdigest()


def check_unchanged(manifest: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that the training images are those of an earlier load; others would change the halves of a search.

    Args:
        manifest: of the earlier load.
        now: of this load, with `source`, `train_images` and perhaps `train_names`, the digest of their names.

    Raises:
        DataError: the number of images has changed, or their names have, if `now` has their digest.
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
            f"{source}: the names of the {was} training images of {earlier} have changed (digest "
            f"{str(manifest['train_names'])[:8]}, now {now['train_names'][:8]}); {way_out}"
        )


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder}: cannot read the folder ({error.strerror})") from error


def _images_below(folder: Path) -> list[Path]:
    def fail(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot read the folder ({error.strerror})") from error

    found = []
    for base, folders, files in os.walk(folder, onerror=fail):  # follows no symbolic links, so no loops
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(base, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 (50,000 files)
        ]
    return found
