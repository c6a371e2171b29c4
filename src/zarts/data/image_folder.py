"""A folder of images with one sub-folder for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from zarts.data.config import Request
from zarts.data.contents import read_contents
from zarts.data.dataset import DataSet
from zarts.data.decoding import Known
from zarts.data.file_index import ByClass, files_below, folder_parts, index_folder, limited, subfolders
from zarts.data.image_io import SUFFIXES, FileSource
from zarts.data.image_list import ImageList, check_counts, load_list
from zarts.data.known_split import contents_of
from zarts.data.left_out import LeftOut, counted
from zarts.errors import DataError

__all__ = ["image_files", "list_folder", "load_folder"]


def load_folder(root: Path, request: Request, known: Known | None = None) -> DataSet:
    """Load images from `root/train/CLASS`, `root/test/CLASS` and perhaps `root/val/CLASS`, or split `root/CLASS`.

    Without `train/` and `test/`, a stratified fifth of the images is set aside for the test, drawn by the request's
    seed. Test images are listed here, to tell them from training images by their contents; `DataSet.test()` decodes
    them.

    Args:
        root: the folder.
        request: see `load_list`.
        known: facts that are known beforehand; such a folder needs both `train/` and a folder with test images.

    Raises:
        DataError: there is no such folder, there are fewer than two classes, a class has no images, an image cannot
            be read, or the manifest does not fit the folder.
    """
    listed = list_folder(root, request, known)
    going_on = request.manifest is not None and request.goes_on
    for part, found in listed.parts.items():
        least = 1 if len(listed.parts) > 1 or going_on else 2
        _check_classes(found, _path(root, part, listed), least, listed.left_out)
    if "test" in listed.parts:
        _check_same(listed.parts, root)
    return load_list(listed, request, known)


def list_folder(root: Path, request: Request, known: Known | None = None, *, only_test: bool = False) -> ImageList:
    """List the images of a folder.

    Args:
        root: the folder.
        request: has the earlier split, whose files need not be read again, and the report.
        known: facts that are known beforehand: every file whose name ends as an image's is one.
        only_test: whether a folder `test/` alone is enough.

    Raises:
        DataError: there is no such folder, or a folder in it cannot be read.
    """
    if not root.is_dir():
        found = "is a file" if root.exists() else "not found"
        raise DataError(f"{root}: {found}; expected a folder of images with one sub-folder for each class")
    tests = known.tests if known is not None else ("test",)
    alone = [name for name in subfolders(root) if name.lower() == "test"] if only_test else []
    parts = {"test": alone[0]} if alone else folder_parts(root, tests)
    if parts is None and known is not None:
        raise DataError(
            f"{root}: has no train/ and {'/ or '.join(known.tests)}/; add both, with a sub-folder for each class"
        )
    left_out: list[LeftOut] = []
    if parts is not None:
        left_out += [LeftOut(name, "another folder") for name in subfolders(root) if name not in parts.values()]
    indices = {part: index_folder(root, name) for part, name in (parts or {"train": ""}).items()}
    before = contents_of(request.manifest)
    files = limited({part: index.files for part, index in indices.items()}, request.most, request.seed, before)
    if request.most is None:  # else they are no share of the images that were drawn
        left_out += [one for index in indices.values() for one in index.left_out]
    if known is not None:
        images = {part: _by_suffix(found, left_out) for part, found in files.items()}
        return ImageList(str(root), FileSource(root), images, None, left_out, labels_in_names=True)
    names = [name for found in files.values() for own in found.values() for name in own]
    contents, others = read_contents(root, names, before, request.report)
    images = {
        part: {kind: [name for name in own if name in contents] for kind, own in found.items()}
        for part, found in files.items()
    }
    left_out += others
    return ImageList(str(root), FileSource(root), images, contents, left_out, labels_in_names=True)


def image_files(root: Path) -> tuple[list[str], list[LeftOut]]:
    """The names of the images below a folder, at any depth, and the files that are none."""
    index = files_below(root)
    contents, others = read_contents(root, index.files[""], {})
    return list(contents), [*index.left_out, *others]


def _by_suffix(found: ByClass, left_out: list[LeftOut]) -> ByClass:
    """The files whose names end as those of images."""
    images: ByClass = {}
    for kind, names in found.items():
        ends = [name[name.rfind(".") :].lower() in SUFFIXES for name in names]
        images[kind] = [name for name, image in zip(names, ends, strict=True) if image]
        left_out += [
            LeftOut(name, "no image by its name") for name, image in zip(names, ends, strict=True) if not image
        ]
    return images


def _path(root: Path, part: str, listed: ImageList) -> Path:
    """The folder of a part, for messages."""
    return root if len(listed.parts) == 1 else root / part


def _check_classes(found: Mapping[str, Sequence[str]], folder: Path, least: int, left_out: Sequence[LeftOut]) -> None:
    """Check that a classifier can be trained on a folder.

    Args:
        found: the images of each class.
        folder: where they are, for messages.
        least: number of images that a class needs.
        left_out: files that are no images, for the message.

    Raises:
        DataError: there are fewer than two classes, or a class has too few images.
    """
    if not found:
        raise DataError(f"{folder}: has no sub-folders; expected two or more sub-folders, one a class")
    for name, images in found.items():
        if not images:
            lost = [one for one in left_out if name in one.name.split("/")[:-1]]
            why = f" (left out: {counted(lost)})" if lost else ""
            raise DataError(f"{folder}: class {name!r} has no images{why}; add some or remove the folder")
    check_counts(found, str(folder), least)


def _check_same(parts: Mapping[str, Mapping[str, Sequence[str]]], root: Path) -> None:
    """Check that all parts have the same classes.

    Raises:
        DataError: they have not.
    """
    for part in [part for part in parts if part != "train"]:
        missing, extra = sorted(set(parts["train"]) - set(parts[part])), sorted(set(parts[part]) - set(parts["train"]))
        if missing or extra:
            only = [
                f"only in {name}/: {', '.join(kinds)}" for name, kinds in (("train", missing), (part, extra)) if kinds
            ]
            raise DataError(f"{root}: train/ and {part}/ need the same classes; {'; '.join(only)}")
