"""A folder of images with one sub-folder a class."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

from zarts.data.config import Request
from zarts.data.dataset import DataSet
from zarts.data.file_index import check_classes, images_by_class, train_and_test
from zarts.data.image_io import FileSource
from zarts.data.image_list import ByClass, ImageList, Known, load_list
from zarts.errors import DataError

__all__ = ["load_folder"]


def load_folder(root: Path, request: Request, known: Known | None = None) -> DataSet:
    """Load images from `root/train/CLASS` and `root/test/CLASS`, or load them from `root/CLASS` and split them.

    Nothing reads `test/` before `DataSet.test()`. Without `train/` and `test/`, a stratified fifth of the images is set
    aside for the test, drawn by the request's seed. These images are not opened before `DataSet.test()` either.

    Args:
        root: the folder.
        request: see `load_list`. With the manifest of an earlier load images stay training or test images, whatever
            the seed is; with `train/` and `test/` the training images must be the same as then.
        known: facts that are known beforehand; such a folder needs both `train/` and a folder with test images.

    Raises:
        DataError: there is no such folder, there are fewer than two classes, a class has no images, an image cannot
            be read, or the manifest does not fit the folder.
    """
    if not root.is_dir():
        found = "is a file" if root.exists() else "not found"
        raise DataError(f"{root}: {found}; expected a folder of images with one sub-folder a class")
    parts = train_and_test(root, known.tests if known is not None else ("test",))
    manifest = request.manifest
    if parts is None:
        if known is not None:
            raise DataError(
                f"{root}: has no train/ and {'/ or '.join(known.tests)}/; add both, with a sub-folder a class"
            )
        train = images_by_class(root)
        if manifest is None:
            check_classes(train, root, least=2)
        return load_list(ImageList(str(root), FileSource(root), train, labels_in_names=True), request)
    if manifest is not None and "test" in manifest:
        raise DataError(
            f"{root}: has {parts[0]}/ and {parts[1]}/, the folder of the earlier split (split.json) had neither; "
            "move them away, or start a new search"
        )
    train = images_by_class(root, parts[0])
    check_classes(train, root / parts[0], least=1)
    test = partial(_list_test, root, parts, tuple(train))
    return load_list(ImageList(str(root), FileSource(root), train, test, labels_in_names=True), request, known)


def _list_test(root: Path, parts: tuple[str, str], classes: Collection[str]) -> ByClass:
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
    return found
