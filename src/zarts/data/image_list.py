"""A data set from a list of labelled images, wherever they are: its split, its training images, and its other parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from zarts.data.config import Request
from zarts.data.contents import Content
from zarts.data.dataset import DataSet, Images
from zarts.data.decoding import ByClass, Known, read_part, training_images
from zarts.data.division import Division, divide, units_of
from zarts.data.groups import groups_of
from zarts.data.image_io import FileSource, ImageSource, levels_of
from zarts.data.known_split import KnownSplit, check_unchanged, digest, with_contents, written_split
from zarts.data.left_out import LeftOut, check_share, left_out_note
from zarts.data.preprocess import Fit, central_square
from zarts.data.streaming import StreamedSet
from zarts.errors import DataError

__all__ = ["ImageList", "check_counts", "load_list"]

_FLIP = True  # folders hold photographs, as a rule; only the user can know better


@dataclass(frozen=True)
class ImageList:
    """The labelled images of a data set; none is decoded yet.

    Args:
        where: what they are listed in, for messages and the manifest.
        source: reads them by name.
        parts: `train`, and perhaps `val` and `test`, to the images of each class; the order of the classes in `train`
            is that of the labels. Without `test` a fifth of the training images is set aside.
        contents: identifies each image; None: they are those of a published set, with parts of its own.
        left_out: files that are no images.
        labels_in_names: whether the name of an image tells its class, as in a folder.
        files: whether names are those of files.
    """

    where: str
    source: ImageSource
    parts: Mapping[str, ByClass]
    contents: Mapping[str, Content] | None
    left_out: Sequence[LeftOut] = ()
    labels_in_names: bool = False
    files: bool = True


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
    """Load the training images of a list; its other images are decoded when they are asked for.

    Without test images a stratified fifth is set aside, drawn by the request's seed. Streamed images are opened when a
    batch needs them. Unless they are known, mean and deviation are then computed from 2,000 training images drawn by
    the seed, and these also decide whether all images are grey. A note tells the user.

    Args:
        listed: the images.
        request: image size (None is 32), subset (chosen before any image is read), and so on. With the manifest of an
            earlier load its images keep their parts, whatever the seed is. Images added since are dealt to the parts,
            or left out if the request is of a run that goes on.
        known: facts that are known beforehand.

    Raises:
        DataError: an image cannot be read, or the manifest does not fit the list.
        SettingsError: the images cannot be grouped.
    """
    class_of = {name: kind for part in listed.parts.values() for kind, names in part.items() for name in names}
    groups = groups_of(request.group_by, list(class_of), listed.where, files=listed.files)
    division = _divided(listed, class_of, groups, request)
    train = division.parts["train"]
    used = {class_of[name] for name in train}
    left_out = _checked(listed, division, request)
    classes = tuple(kind for kind in listed.parts["train"] if kind in used)
    source, deep = _with_bits(listed, train, request, known)
    images, mean, std, others, damaged = training_images(listed.where, source, train, classes, class_of, request, known)
    division.left_out += [LeftOut(name, reason) for name, reason in damaged.items()]
    division.parts["train"] = [name for name in train if name not in damaged]
    left_out = _checked(listed, division, request) if damaged else left_out
    if not request.goes_on:
        _check_classes(division, class_of, used, listed.where)
    fits = {"val": central_square, "test": request.test_fit}
    others_of = {part: _grouped(names, class_of) for part, names in division.parts.items() if part != "train"}
    loads = {
        part: partial(_read_listed, listed.where, source, classes, request, images, found, fits[part], part)
        for part, found in others_of.items()
    }
    units = None if listed.contents is None else units_of(images.names or (), listed.contents, groups)
    return DataSet(
        name=listed.where,
        classes=classes,
        train=images,
        mean=mean,
        std=std,
        flip=_FLIP,
        manifest=_manifest(listed, division, class_of, request),
        load_test=loads["test"],
        load_val=loads.get("val"),
        notes=(*left_out_note(listed.where, left_out), *division.notes, *deep, *others),
        left_out=tuple(left_out),
        counts={part: len(names) for part, names in division.parts.items()},
        units=units,
        bits=source.bits if isinstance(source, FileSource) else {},
    )


def _with_bits(
    listed: ImageList, train: Sequence[str], request: Request, known: Known | None
) -> tuple[ImageSource, tuple[str, ...]]:
    """The source that knows the bits of whole numbers of more than 8 bits, and notes."""
    if known is not None or not isinstance(listed.source, FileSource):
        return listed.source, ()
    bits, notes = levels_of(listed.source, train) if request.bits is None else (request.bits, ())
    return replace(listed.source, bits=bits), tuple(f"{listed.where}: {note}" for note in notes)


def _divided(
    listed: ImageList, class_of: Mapping[str, str], groups: Mapping[str, str] | None, request: Request
) -> Division:
    """The parts of the images, as the list or the manifest of an earlier load has them.

    Raises:
        DataError: the manifest does not fit.
    """
    given = {part: [name for names in found.values() for name in names] for part, found in listed.parts.items()}
    manifest, known = request.manifest, None
    if manifest is not None and ("train_names" in manifest or listed.contents is None):
        if request.goes_on:
            check_unchanged(manifest, _counted(listed, given["train"], class_of))
            return Division(given)
    elif manifest is not None:
        known = with_contents(KnownSplit.read(manifest, listed.where, strict=request.goes_on), listed.where)
        if request.goes_on:
            _check_labels(listed, class_of, manifest)
    return divide(listed.where, given, class_of, listed.contents or {}, groups, request.seed, known)


def _checked(listed: ImageList, division: Division, request: Request) -> list[LeftOut]:
    """All that is left out.

    Raises:
        DataError: it is too much, unless the run goes on.
    """
    left_out, used = [*listed.left_out, *division.left_out], sum(map(len, division.parts.values()))
    check_share(listed.where, used, left_out, allowed=request.allow_left_out or request.goes_on)
    if not division.parts["train"]:
        raise DataError(f"{listed.where}: no training images are left; add some")
    return left_out


def _manifest(
    listed: ImageList, division: Division, class_of: Mapping[str, str], request: Request
) -> Mapping[str, Any]:
    """What the run folder keeps as `split.json`."""
    if request.manifest is not None and request.goes_on:
        return request.manifest
    if listed.contents is None:
        return _counted(listed, division.parts["train"], class_of)
    left_out = [one.name for one in division.left_out]
    drawn_by = None if "test" in listed.parts else request.seed
    return written_split(listed.where, division.parts, class_of, listed.contents, left_out, drawn_by)


def _counted(listed: ImageList, train: Sequence[str], class_of: Mapping[str, str]) -> dict[str, Any]:
    """The manifest of a published set, and of folders in zarts 0.1.0: counts, and a digest of the training images."""
    return {
        "source": listed.where,
        "classes": len(listed.parts["train"]),
        "train_images": len(train),
        "train_names": _digest(listed, class_of, train),
    }


def _check_classes(division: Division, class_of: Mapping[str, str], used: set[str], where: str) -> None:
    """Check that classes have training images after some were left out, and that others have no other classes."""
    left = {class_of[name] for name in division.parts["train"]}
    if lost := sorted(used - left):
        raise DataError(f"{where}: class {lost[0]!r} has no training images that can be read; add some")
    for part, names in division.parts.items():
        if unseen := sorted({class_of[name] for name in names} - used):
            raise DataError(
                f"{where}: class {unseen[0]!r} has {part} images but no training images; add some, or start a new "
                "search"
            )


def _digest(listed: ImageList, class_of: Mapping[str, str], names: Sequence[str]) -> str:
    """A digest of images by name and class."""
    return digest(names if listed.labels_in_names else [f"{class_of[name]}/{name}" for name in names])


def _check_labels(listed: ImageList, class_of: Mapping[str, str], manifest: Mapping[str, Any]) -> None:
    """Check that the images of a split of zarts 0.1.0 have the classes that they had then."""
    names = [name for part in ("train", "test") for name in manifest[part] if name in class_of]
    if isinstance(manifest.get("labels"), str) and manifest["labels"] != _digest(listed, class_of, names):
        raise DataError(
            f"{listed.where}: the labels of the images of the earlier split (split.json) have changed; start a new "
            "search, or put them back"
        )


def _grouped(names: Sequence[str], class_of: Mapping[str, str]) -> ByClass:
    """The images by class; the order of the classes, and of the images in each, is that of the names."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(class_of[name], []).append(name)
    return found


def _read_listed(
    where: str,
    source: ImageSource,
    classes: tuple[str, ...],
    request: Request,
    train: Images,
    found: ByClass,
    fit: Fit,
    part: str,
) -> Images:
    """The images of another part, of the size and the channels of the training images."""
    if unseen := sorted(set(found) - set(classes)):
        raise DataError(
            f"{where}: class {unseen[0]!r} has {part} images but no training images; add some, or start a new search"
        )
    size, channels, streams = train.size, train.channels, isinstance(train, StreamedSet)
    return read_part(where, source, found, classes, request, size, channels, fit, streams=streams)
