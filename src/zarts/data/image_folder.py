"""A folder of images with one sub-folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zarts.data.config import Request
from zarts.data.dataset import DataSet, Images, ImageSet, channel_statistics
from zarts.data.file_index import (
    check_classes,
    check_unchanged,
    class_of,
    digest,
    images_by_class,
    names_of_manifest,
    train_and_test,
)
from zarts.data.image_io import decode
from zarts.data.split import split_test, subset_indices
from zarts.data.streaming import StreamedSet
from zarts.errors import DataError
from zarts.runtime.seed import keyed_generator

__all__ = ["Known", "load_folder"]

_DEFAULT_SIZE = 32
_SAMPLE = 2000
_FLIP = True  # folders hold photographs, as a rule; only the user can know better


@dataclass(frozen=True)
class Known:
    """Facts about a folder that are known without reading its images.

    Args:
        mean: per channel, of images scaled to [0, 1].
        std: likewise.
        tests: possible names of the folder with test images; the first one that exists counts.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    tests: tuple[str, ...]


def load_folder(root: Path, request: Request, known: Known | None = None) -> DataSet:
    """Load images from `root/train/CLASS` and `root/test/CLASS`, or load them from `root/CLASS` and split them.

    Nothing reads `test/` before `DataSet.test()`. Without `train/` and `test/`, a stratified fifth of the images is set
    aside for the test, drawn by the request's seed. These images are not opened before `DataSet.test()` either.

    Streamed images are opened when a batch needs them. Unless they are known, mean and deviation are then computed from
    2,000 training images drawn by the seed, and these also decide whether all images are grey. A note tells the user.

    Args:
        root: the folder.
        request: image size (None is 32), subset (chosen before any image is read), and so on. With the manifest of an
            earlier load its images stay training or test images, whatever the seed is. Images added since are left
            out, and `notes` tells the user. With `train/` and `test/` the training images must be the same as then.
        known: facts that are known beforehand; such a folder needs both `train/` and a folder with test images.

    Raises:
        DataError: there is no such folder, there are fewer than two classes, a class has no images, an image cannot
            be read, or the manifest does not fit the folder.
    """
    if not root.is_dir():
        found = "is a file" if root.exists() else "not found"
        raise DataError(f"{root}: {found}; expected a folder of images with one sub-folder a class")
    parts = train_and_test(root, known.tests if known is not None else ("test",))
    if parts is not None:
        return _load_parts(root, parts, request, known)
    if known is not None:
        raise DataError(f"{root}: has no train/ and {'/ or '.join(known.tests)}/; add both, with a sub-folder a class")
    found_images, manifest = images_by_class(root), request.manifest
    notes: tuple[str, ...] = ()
    if manifest is None:
        check_classes(found_images, root, least=2)
        manifest = _split(root, found_images, request.seed)
        train, test = manifest["train"], manifest["test"]
    else:
        on_disk = {name for names in found_images.values() for name in names}
        train, test = names_of_manifest(manifest, on_disk, root)
        notes = _notes(root, on_disk - {*train, *test})
    classes = tuple(sorted({class_of(name) for name in train}))
    images, mean, std, others = _training(root, train, _labels(train, classes), request, known)
    load_test = partial(_read_test, root, test, classes, request, images)
    return DataSet(str(root), classes, images, mean, std, _FLIP, manifest, load_test, (*notes, *others))


def _load_parts(root: Path, parts: tuple[str, str], request: Request, known: Known | None) -> DataSet:
    """Load a folder that has `train/` and `test/`."""
    manifest = request.manifest
    if manifest is not None and "test" in manifest:
        raise DataError(
            f"{root}: has {parts[0]}/ and {parts[1]}/, the folder of the earlier split (split.json) had neither; "
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
    images, mean, std, notes = _training(root, train, _labels(train, classes, parts[0]), request, known)
    load_test = partial(_read_test_part, root, parts, classes, request, images)
    return DataSet(str(root), classes, images, mean, std, _FLIP, written, load_test, notes)


def _split(root: Path, found: Mapping[str, list[str]], seed: int) -> dict[str, Any]:
    """Set the test images aside; the manifest of the split."""
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
        f"{root}: {len(unlisted)} images were added after the split and are left out (first: {min(unlisted)}); a new "
        "search will use them",
    )


def _labels(names: Sequence[str], classes: tuple[str, ...], part: str = "") -> Tensor:
    label = {name: i for i, name in enumerate(classes)}
    return torch.tensor([label[class_of(name, part)] for name in names])


def _training(
    root: Path, names: Sequence[str], labels: Tensor, request: Request, known: Known | None
) -> tuple[Images, tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    """The training images, their mean and deviation, and notes for the user."""
    size = request.image_size or _DEFAULT_SIZE
    chosen = subset_indices(labels, request.subset, request.seed)
    kept, labels = tuple(names[i] for i in chosen.tolist()), labels[chosen]
    channels = None if known is None else len(known.mean)
    if not request.streams(len(kept), size):
        images = decode([root / name for name in kept], size, channels)
        statistics = channel_statistics(images) if known is None else (known.mean, known.std)
        return ImageSet(images, labels, kept, request.workers), *statistics, ()
    if known is not None:
        return StreamedSet(root, kept, labels, size, len(known.mean), request.workers), known.mean, known.std, ()
    order = torch.randperm(len(kept), generator=keyed_generator(request.seed, "sample"))
    sample = decode([root / kept[i] for i in order[:_SAMPLE].tolist()], size)
    notes: tuple[str, ...] = ()
    if len(sample) < len(kept):
        colours = "colour" if sample.shape[1] == 3 else "grey"
        notes = (
            f"{root}: {len(kept)} images are streamed as {colours} images; colour, mean and deviation come from a "
            f"sample of {len(sample)} (split_seed = {request.seed})",
        )
    return StreamedSet(root, kept, labels, size, sample.shape[1], request.workers), *channel_statistics(sample), notes


def _read_test(
    root: Path, names: Sequence[str], classes: tuple[str, ...], request: Request, train: Images, part: str = ""
) -> Images:
    """The test images, of the size and the channels of the training images."""
    if unseen := sorted({class_of(name, part) for name in names} - set(classes)):
        raise DataError(
            f"{root}: class {unseen[0]!r} has test images but no training images; add some, or start a new search"
        )
    labels, fit = _labels(names, classes, part), request.test_fit
    streamed = StreamedSet(root, tuple(names), labels, train.size, train.channels, request.workers, fit)
    if isinstance(train, StreamedSet) or request.streams(len(names), train.size):
        return streamed
    return ImageSet(streamed.pixels(torch.arange(len(names))), labels, streamed.names, request.workers)


def _read_test_part(
    root: Path, parts: tuple[str, str], classes: tuple[str, ...], request: Request, train: Images
) -> Images:
    """The test images in `test/`, which is read for the first time."""
    train_part, test_part = parts
    found = images_by_class(root, test_part)
    if not found:
        raise DataError(
            f"{root / test_part}: has no sub-folders; sort its images into one a class, as in {train_part}/"
        )
    missing, extra = sorted(set(classes) - set(found)), sorted(set(found) - set(classes))
    if missing or extra:
        only = [
            f"only in {part}/: {', '.join(names)}"
            for part, names in ((train_part, missing), (test_part, extra))
            if names
        ]
        raise DataError(f"{root}: {train_part}/ and {test_part}/ need the same classes; {'; '.join(only)}")
    check_classes(found, root / test_part, least=1)
    names = [name for images in found.values() for name in images]
    return _read_test(root, names, classes, request, train, test_part)
