"""A data set from a list of labelled images, wherever they are: its split, its training images, and its other parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from zarts.data.config import Request
from zarts.data.dataset import DataSet, Images, ImageSet, channel_statistics
from zarts.data.file_index import check_unchanged, digest, names_of_manifest
from zarts.data.image_io import FileSource, Fit, ImageSource, central_square, decode, levels_of
from zarts.data.split import split_test, subset_indices
from zarts.data.streaming import StreamedSet
from zarts.errors import DataError
from zarts.runtime.seed import keyed_generator

__all__ = ["DEFAULT_SIZE", "ByClass", "ImageList", "Known", "check_counts", "load_list", "read_part"]

DEFAULT_SIZE = 32
_SAMPLE = 2000
_FLIP = True  # folders hold photographs, as a rule; only the user can know better

ByClass = Mapping[str, Sequence[str]]
"""The names of the images of each class."""


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


@dataclass(frozen=True)
class ImageList:
    """The labelled images of a data set; none is read yet.

    Args:
        where: what they are listed in, for messages and the manifest.
        source: reads them by name.
        train: the training images. The order of the classes is that of the labels.
        test: lists the test images; None: a fifth of the training images is set aside for the test.
        val: the validation images; None: there are none.
        labels_in_names: whether the name of an image tells its class, as in a folder.
    """

    where: str
    source: ImageSource
    train: ByClass
    test: Callable[[], ByClass] | None = None
    val: ByClass | None = None
    labels_in_names: bool = False


def check_counts(train: ByClass, where: str, least: int) -> None:
    """Check that a classifier can be trained on listed images.

    Args:
        train: the training images.
        where: what they are listed in, for messages.
        least: number of images that a class needs.

    Raises:
        DataError: there are fewer than two classes, or a class has too few images.
    """
    if len(train) < 2:
        has = f"one class, {next(iter(train))!r}" if train else "no training images"
        raise DataError(f"{where}: has {has}; expected images of two or more classes")
    for name, images in train.items():
        if len(images) < least:
            raise DataError(
                f"{where}: class {name!r} has {len(images)} image, needs {least} (one for the test); add some, or name "
                "test images"
            )


def load_list(listed: ImageList, request: Request, known: Known | None = None) -> DataSet:
    """Load the training images of a list; its other images are read when they are asked for.

    Without test images a stratified fifth is set aside, drawn by the request's seed. Streamed images are opened when a
    batch needs them. Unless they are known, mean and deviation are then computed from 2,000 training images drawn by
    the seed, and these also decide whether all images are grey. A note tells the user.

    Args:
        listed: the images.
        request: image size (None is 32), subset (chosen before any image is read), and so on. With the manifest of an
            earlier load its images stay training or test images, whatever the seed is. Images added since are left
            out, and `notes` tells the user. With test images of their own the training images must be the same as then.
        known: facts that are known beforehand.

    Raises:
        DataError: an image cannot be read, or the manifest does not fit the list.
    """
    where, manifest = listed.where, request.manifest
    class_of = {name: kind for kind, names in listed.train.items() for name in names}
    notes: tuple[str, ...] = ()
    if listed.test is None:
        manifest = _split(listed, class_of, request.seed) if manifest is None else manifest
        train, test = names_of_manifest(manifest, set(class_of), where)
        _check_labels(listed, class_of, manifest)
        notes = _notes(where, set(class_of) - {*train, *test})
        list_test: Callable[[], ByClass] = partial(_grouped, test, class_of)
    else:
        train, list_test = list(class_of), listed.test
        written = {
            "source": where,
            "classes": len(listed.train),
            "train_images": len(train),
            "train_names": _digest(listed, class_of, train),
        }
        if manifest is not None:
            check_unchanged(manifest, written)
        manifest = written
    used = {class_of[name] for name in train}
    classes = tuple(kind for kind in listed.train if kind in used)
    labels = _labels([class_of[name] for name in train], classes)
    listed, images, mean, std, others = _training(listed, train, labels, request, known)
    load = partial(_read_listed, listed, classes, request, images)
    return DataSet(
        name=where,
        classes=classes,
        train=images,
        mean=mean,
        std=std,
        flip=_FLIP,
        manifest=manifest,
        load_test=partial(load, list_test, request.test_fit, "test"),
        load_val=None if listed.val is None else partial(load, partial(dict, listed.val), central_square, "validation"),
        notes=(*notes, *others),
        bits=listed.source.bits if isinstance(listed.source, FileSource) else {},
    )


def _split(listed: ImageList, class_of: Mapping[str, str], seed: int) -> dict[str, Any]:
    """Set the test images aside; the manifest of the split."""
    names = list(class_of)
    train, test = split_test(_labels(class_of.values(), list(listed.train)), seed)
    manifest: dict[str, Any] = {
        "source": listed.where,
        "seed": seed,
        "test": [names[i] for i in test.tolist()],
        "train": [names[i] for i in train.tolist()],
    }
    if not listed.labels_in_names:
        manifest["labels"] = _digest(listed, class_of, names)
    return manifest


def _labels(kinds: Iterable[str], classes: Sequence[str]) -> Int64[Tensor, " n"]:
    label = {name: i for i, name in enumerate(classes)}
    return torch.tensor([label[kind] for kind in kinds])


def _digest(listed: ImageList, class_of: Mapping[str, str], names: Sequence[str]) -> str:
    """A digest of images by name and class."""
    return digest(names if listed.labels_in_names else [f"{class_of[name]}/{name}" for name in names])


def _check_labels(listed: ImageList, class_of: Mapping[str, str], manifest: Mapping[str, Any]) -> None:
    """Check that the images of an earlier split have the classes that they had then."""
    names = [*manifest["train"], *manifest["test"]]
    if not listed.labels_in_names and manifest.get("labels") != _digest(listed, class_of, names):
        raise DataError(
            f"{listed.where}: the labels of the images of the earlier split (split.json) have changed; start a new "
            "search, or put them back"
        )


def _notes(where: str, unlisted: set[str]) -> tuple[str, ...]:
    if not unlisted:
        return ()
    return (
        f"{where}: {len(unlisted)} images were added after the split and are left out (first: {min(unlisted)}); a new "
        "search will use them",
    )


def _grouped(names: Sequence[str], class_of: Mapping[str, str]) -> ByClass:
    """The images by class; the order of the classes, and of the images in each, is that of the names."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(class_of[name], []).append(name)
    return found


def _training(
    listed: ImageList, names: Sequence[str], labels: Tensor, request: Request, known: Known | None
) -> tuple[ImageList, Images, tuple[float, ...], tuple[float, ...], tuple[str, ...]]:
    """The list with the bits of its images, the training images, their mean and deviation, and notes for the user."""
    size = request.image_size or DEFAULT_SIZE
    notes: tuple[str, ...] = ()
    chosen = subset_indices(labels, request.subset, request.seed)
    kept, labels = tuple(names[i] for i in chosen.tolist()), labels[chosen]
    if known is None and isinstance(listed.source, FileSource):
        bits, found = levels_of(listed.source, kept) if request.bits is None else (request.bits, ())
        notes = tuple(f"{listed.where}: {note}" for note in found)
        listed = replace(listed, source=replace(listed.source, bits=bits))
    source, channels = listed.source, None if known is None else len(known.mean)
    if not request.streams(len(kept), size):
        images = decode(source, kept, size, channels)
        statistics = channel_statistics(images) if known is None else (known.mean, known.std)
        return listed, ImageSet(images, labels, kept, request.workers), *statistics, notes
    if known is not None:
        streamed = StreamedSet(source, kept, labels, size, len(known.mean), request.workers)
        return listed, streamed, known.mean, known.std, ()
    order = torch.randperm(len(kept), generator=keyed_generator(request.seed, "sample"))
    sample = decode(source, [kept[i] for i in order[:_SAMPLE].tolist()], size)
    if len(sample) < len(kept):
        colours = "colour" if sample.shape[1] == 3 else "grey"
        notes = (
            *notes,
            f"{listed.where}: {len(kept)} images are streamed as {colours} images; colour, mean and deviation come "
            f"from a sample of {len(sample)} (split_seed = {request.seed})",
        )
    streamed = StreamedSet(source, kept, labels, size, sample.shape[1], request.workers)
    return listed, streamed, *channel_statistics(sample), notes


def _read_listed(
    listed: ImageList,
    classes: tuple[str, ...],
    request: Request,
    train: Images,
    list_images: Callable[[], ByClass],
    fit: Fit,
    part: str,
) -> Images:
    """The images of another part, of the size and the channels of the training images."""
    found = list_images()
    if unseen := sorted(set(found) - set(classes)):
        raise DataError(
            f"{listed.where}: class {unseen[0]!r} has {part} images but no training images; add some, or start a new "
            "search"
        )
    streams = isinstance(train, StreamedSet)
    return read_part(listed.source, found, classes, request, train.size, train.channels, fit, streams=streams)


def read_part(
    source: ImageSource,
    found: ByClass,
    classes: Sequence[str],
    request: Request,
    size: int,
    channels: int,
    fit: Fit,
    *,
    streams: bool = False,
) -> Images:
    """Labelled images of a given size and number of channels, decoded now or streamed.

    Args:
        source: reads them.
        found: the images.
        classes: all classes, in the order of the labels.
        request: asks for memory or streaming.
        size: height and width.
        channels: 1 or 3.
        fit: brings them to that size.
        streams: stream them, whatever the request asks for.

    Raises:
        DataError: an image cannot be read.
    """
    names = tuple(name for images in found.values() for name in images)
    labels = _labels([kind for kind, images in found.items() for _ in images], classes)
    streamed = StreamedSet(source, names, labels, size, channels, request.workers, fit)
    if streams or request.streams(len(names), size):
        return streamed
    return ImageSet(streamed.pixels(torch.arange(len(names))), labels, names, request.workers)
