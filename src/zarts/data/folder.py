"""A folder of images with one sub-folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zarts.data.decode import decode
from zarts.data.images import DataSet, ImageSet, channel_statistics
from zarts.data.listing import (
    check_classes,
    check_unchanged,
    class_of,
    digest,
    images_by_class,
    names_of_manifest,
    train_and_test,
)
from zarts.data.split import split_test, subset_indices
from zarts.errors import DataError

__all__ = ["load_folder"]

_DEFAULT_SIZE = 32


def load_folder(
    root: Path, image_size: int | None, subset: int | None, seed: int, manifest: Mapping[str, Any] | None
) -> DataSet:
    """Images from `root/train/CLASS` and `root/test/CLASS`, or from `root/CLASS` and split here.

    `test/` is not looked into before `DataSet.test()`. Without `train/` and `test/` a stratified fifth
    of the images, drawn by `seed`, is set aside for the test, and not opened before either.

    Args:
        root: the folder.
        image_size: height and width; None is 32.
        subset: how many training images, chosen before any is read; None is all.
        seed: of the split and of the subset.
        manifest: the `manifest` of an earlier load of this folder: its images keep their part, whatever
            `seed` is; images that came since belong to neither, and `notes` says so. With `train/` and
            `test/` the training images must be the same as then.

    Raises:
        DataError: no such folder, fewer than two classes, a class without images, an image that cannot
            be read, or a manifest that does not fit the folder.
    """
    if not root.is_dir():
        found = "is a file" if root.exists() else "not found"
        raise DataError(f"{root}: {found}; expected a folder of images with one sub-folder a class")
    size = image_size or _DEFAULT_SIZE
    parts = train_and_test(root)
    if parts is not None:
        return _load_parts(root, parts, size, subset, seed, manifest)
    found_images = images_by_class(root)
    notes: tuple[str, ...] = ()
    if manifest is None:
        check_classes(found_images, root, least=2)
        manifest = _split(root, found_images, seed)
        train, test = manifest["train"], manifest["test"]
    else:
        on_disk = {name for names in found_images.values() for name in names}
        train, test = names_of_manifest(manifest, on_disk, root)
        notes = _notes(root, on_disk - {*train, *test})
    classes = tuple(sorted({class_of(name) for name in train}))
    images, mean, std = _read_train(root, train, _labels(train, classes), size, subset, seed)
    load_test = partial(_read_test, root, test, classes, size, images.images.shape[1])
    return DataSet(str(root), classes, images, mean, std, _FLIP, manifest, load_test, notes)


_FLIP = True  # folders hold photographs, as a rule; only the user can know better


def _load_parts(
    root: Path, parts: tuple[str, str], size: int, subset: int | None, seed: int, manifest: Mapping[str, Any] | None
) -> DataSet:
    """The folder has `train/` and `test/`."""
    if manifest is not None and "test" in manifest:
        raise DataError(
            f"{root}: has {parts[0]}/ and {parts[1]}/, but the earlier split (split.json) is of a folder without; "
            "move them away, or start a new search"
        )
    found = images_by_class(root, parts[0])
    check_classes(found, root / parts[0], least=1)
    classes = tuple(found)
    train = [name for names in found.values() for name in names]
    written = {
        "source": str(root),
        "classes": len(classes),
        "train_images": len(train),
        "train_names": digest(train),
    }
    if manifest is not None:
        check_unchanged(manifest, written)
    images, mean, std = _read_train(root, train, _labels(train, classes, parts[0]), size, subset, seed)
    load_test = partial(_read_test_part, root, parts, classes, size, images.images.shape[1])
    return DataSet(str(root), classes, images, mean, std, _FLIP, written, load_test)


def _split(root: Path, found: Mapping[str, list[str]], seed: int) -> dict[str, Any]:
    """Set the test images aside."""
    names = [name for images in found.values() for name in images]
    train, test = split_test(_labels(names, tuple(found)), seed)
    return {
        "source": str(root),
        "seed": seed,
        "test": [names[i] for i in test.tolist()],
        "train": [names[i] for i in train.tolist()],
    }


def _notes(root: Path, unlisted: set[str]) -> tuple[str, ...]:
    if not unlisted:
        return ()
    return (
        f"{root}: {len(unlisted)} images came after the split into train and test and are left out "
        f"(first: {min(unlisted)}); a new search will use them",
    )


def _labels(names: Sequence[str], classes: tuple[str, ...], part: str = "") -> Tensor:
    label = {name: i for i, name in enumerate(classes)}
    return torch.tensor([label[class_of(name, part)] for name in names])


def _read_train(
    root: Path, names: Sequence[str], labels: Tensor, size: int, subset: int | None, seed: int
) -> tuple[ImageSet, tuple[float, ...], tuple[float, ...]]:
    chosen = subset_indices(labels, subset, seed)
    kept = tuple(names[i] for i in chosen.tolist())
    images = decode([root / name for name in kept], size)
    return ImageSet(images, labels[chosen], kept), *channel_statistics(images)


def _read_test(
    root: Path, names: Sequence[str], classes: tuple[str, ...], size: int, channels: int, part: str = ""
) -> ImageSet:
    if unseen := sorted({class_of(name, part) for name in names} - set(classes)):
        raise DataError(f"{root}: class {unseen[0]!r} has test images but no training images")
    images = decode([root / name for name in names], size, channels)
    return ImageSet(images, _labels(names, classes, part), tuple(names))


def _read_test_part(root: Path, parts: tuple[str, str], classes: tuple[str, ...], size: int, channels: int) -> ImageSet:
    """Look into `test/` for the first time."""
    train_part, test_part = parts
    found = images_by_class(root, test_part)
    missing, extra = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
    if missing or extra:
        only = [
            f"only in {part}/: {', '.join(names)}"
            for part, names in ((train_part, missing), (test_part, extra))
            if names
        ]
        raise DataError(f"{root}: {train_part}/ and {test_part}/ need the same classes; {'; '.join(only)}")
    check_classes(found, root / test_part, least=1)
    return _read_test(root, [name for names in found.values() for name in names], classes, size, channels, test_part)
