"""A data set that is given as a Python object: its parts, its classes, its fingerprint."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from zarts.data.config import Request
from zarts.data.contents import Content, read_contents
from zarts.data.dataset import DataSet, Images
from zarts.data.decoding import DEFAULT_SIZE, read_part
from zarts.data.image_io import FileSource, ImageSource
from zarts.data.image_list import ImageList, check_counts, load_list
from zarts.data.items import Items, ItemSource, items_of
from zarts.data.pixels import deepest_level, label_of, pixels_of
from zarts.data.preprocess import Pixels
from zarts.errors import DataError

__all__ = ["PYTHON", "ImageParts", "PythonData", "python_data"]

PYTHON = "python"
"""The setting `data` of a run whose images are Python objects."""

_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_READ_TWICE = 8
_FEW_OF_16_BITS = 2**14


@dataclass(frozen=True, eq=False)
class ImageParts:
    """The parts of a data set, and the names of its classes.

    Args:
        train: the training images, as a torch Dataset, (images, labels), an ImageFolder or a Hugging Face data set.
        val: the images that a search updates alpha by; None: half of the training images.
        test: the test images; None: a fifth of the training images is set aside.
        classes: the names that integer labels are indices into; None: those of the object or, if it has none, the
            labels themselves.
    """

    train: Any
    val: Any = None
    test: Any = None
    classes: Sequence[str] | None = None


@dataclass(frozen=True)
class _Scan:
    """What one pass over all images tells.

    Args:
        fingerprint: SHA-256 of all pixels and classes.
        labels: of each part, the label of each image, by name if classes have names.
        classes: the names of the classes with training images, in the order of the labels.
        notes: messages to the user.
        digests: of the pixels of each image by name; of image files that are used as they are, nothing yet.
    """

    fingerprint: str
    labels: Mapping[str, list[int | str]]
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    digests: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class PythonData:
    """Images that are given as Python objects.

    Args:
        parts: `train`, `val` and `test`, as far as they are given.
        names: names of the classes that were given beside the parts.
    """

    parts: Mapping[str, Items]
    names: tuple[str, ...] | None = None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all images and classes: the same for the same images, whatever object they come in.

        It is that of the pixels before they are resized; for image files that are used as they are, of their names
        and sizes.

        Raises:
            DataError: an image or a label cannot be used.
        """
        return self._scan.fingerprint

    def load(self, request: Request) -> DataSet:
        """Load the training images, as from a folder in which the images of each class are in the order of the object.

        Raises:
            DataError: the images cannot be used, or are others than those of the request's manifest.
        """
        scan = self._scan
        if "train" not in self.parts:
            raise DataError(f"data: has no training images, only {', '.join(self.parts)}; add a part 'train'")
        if request.goes_on and (before := (request.manifest or {}).get("fingerprint")) != scan.fingerprint:
            raise DataError(
                f"data: is not what the run began with: its fingerprint is {scan.fingerprint[:8]}, that of the run "
                f"{str(before)[:8]} (split.json): give the same images, or start a new run"
            )
        found = {part: self._by_class(part, scan) for part in ("train", "val", "test") if part in self.parts}
        check_counts(found["train"], "data", least=1 if "test" in found else 2)
        source = ItemSource(self.parts) if self._root is None else FileSource(self._root)
        contents = {name: Content(digest, 0, 0) for name, digest in scan.digests.items()}
        if self._root is not None:
            contents, left_out = read_contents(self._root, list(contents), {}, request.report)
            found = {p: {k: [n for n in own if n in contents] for k, own in of.items()} for p, of in found.items()}
        else:
            left_out = []
        data = load_list(ImageList("data", source, found, contents, left_out, files=self._root is not None), request)
        manifest = {**data.manifest, "source": PYTHON, "fingerprint": scan.fingerprint}
        notes = (*scan.notes, *self._resized(request), *data.notes)
        return replace(data, name=PYTHON, manifest=manifest, notes=notes)

    def load_test(self, classes: Sequence[str], request: Request, size: int, channels: int) -> tuple[Images, list[str]]:
        """The test images for a network that is trained already, and a digest of each.

        They are the part `test`, or all images of a single part.

        Args:
            classes: the network's; an integer label that is the name of none of them is an index into them.
            request: how test images are brought to their size, and where they are kept.
            size: height and width.
            channels: 1 or 3.

        Raises:
            DataError: there are no such images, or they have other classes.
        """
        if "test" not in self.parts and len(self.parts) > 1:
            raise DataError(
                f"data: has {' and '.join(self.parts)}, no test images; add a part 'test', or give one part"
            )
        part = "test" if "test" in self.parts else next(iter(self.parts))
        labels = self._scan.labels[part]
        if not labels:
            raise DataError(f"data[{part!r}]: has no images")
        if any(str(label) not in classes for label in labels):
            labels = [label_of(label, classes, f"{part}[{i}]") for i, label in enumerate(labels)]
        found: dict[str, list[str]] = {}
        for label, name in zip(labels, self._names(part), strict=True):
            found.setdefault(str(label), []).append(name)
        files = None if self._root is None else FileSource(self._root, request.bits or {})
        source: ImageSource = files or ItemSource(self.parts)
        digests = [self._scan.digests[name] for names in found.values() for name in names]
        return read_part("data", source, found, classes, request, size, channels, request.test_fit), digests

    @cached_property
    def _root(self) -> Path | None:
        """The folder of all image files, where nothing but their files matters."""
        files = [items.files for items in self.parts.values()]
        if any(found is None for found in files):
            return None
        paths = [path.parent for found in files for path, _ in found or ()]
        return Path(os.path.commonpath(paths)) if paths else Path()

    def _names(self, part: str) -> list[str]:
        """The names of the images of a part, for its source, `split.json` and `test.json`."""
        items = self.parts[part]
        if self._root is None or items.files is None:
            return [f"{part}[{i}]" for i in range(items.count)]
        return [path.relative_to(self._root).as_posix() for path, _ in items.files]

    def _by_class(self, part: str, scan: _Scan) -> dict[str, list[str]]:
        """The names of a part's images by class, those of the training images first."""
        found: dict[str, list[str]] = {name: [] for name in scan.classes}
        for label, name in zip(scan.labels[part], self._names(part), strict=True):
            found.setdefault(str(label), []).append(name)
        if self._root is not None:
            found = {name: sorted(images) for name, images in found.items()}  # as in a folder
        return found if part == "train" else {name: images for name, images in found.items() if images}

    def _resized(self, request: Request) -> tuple[str, ...]:
        """A note where images change their size without being asked to."""
        if request.image_size is not None or self._root is not None:
            return ()
        height, width = pixels_of(self.parts["train"][0][0], "train[0]").shape[:2]
        if height == width == DEFAULT_SIZE:
            return ()
        return (
            f"data: the images ({height}x{width} the first) are resized to {DEFAULT_SIZE}x{DEFAULT_SIZE}; choose "
            "another size with image_size",
        )

    @cached_property
    def _scan(self) -> _Scan:
        """One pass over all images."""
        digest = hashlib.sha256()
        labels: dict[str, list[int | str]] = {}
        digests: dict[str, str] = {}
        brightest, deepest = 0, -1
        for part, items in self.parts.items():
            classes = items.classes if self.names is None else self.names
            if classes is not None and len(set(classes)) < len(classes):
                raise DataError(f"{items.where}: two of its classes have the same name: {', '.join(classes)}")
            labels[part] = []
            names = self._names(part)
            for i, name in enumerate(names):
                if self._root is not None and items.files is not None:
                    path, label = items.files[i]
                    described = f"{name}:{_bytes_of(path)}"
                    digests[name] = ""
                else:
                    image, label = items[i]
                    pixels = pixels_of(image, name)
                    brightest, deepest = max(brightest, int(pixels.max())), max(deepest, deepest_level(image))
                    described = str(pixels.shape)
                    digest.update(np.ascontiguousarray(pixels).data)
                    digests[name] = _digest(pixels)
                labels[part].append(label_of(label, classes, name))
                digest.update(f"{part}:{labels[part][-1]}:{described}\0".encode("utf-8", "surrogateescape"))
            self._read_again(part, names)
        if brightest <= 1 and self._root is None and any(labels.values()):
            raise DataError(
                f"data: all pixels are {'0 or 1' if brightest else '0'} of 255, which is black: give floats from 0 to "
                "1, or booleans, or whole numbers from 0 to 255"
            )
        if 0 <= deepest < _FEW_OF_16_BITS:
            raise DataError(
                f"data: its images of 16 bits reach only {deepest} of 65535, and would be dark: give them with 8 bits"
            )
        known = self.names if self.names is not None else self.parts["train"].classes if "train" in self.parts else None
        classes, notes = _classes(labels.get("train", []), known)
        return _Scan(digest.hexdigest(), labels, classes, notes, digests)

    def _read_again(self, part: str, names: Sequence[str]) -> None:
        """Check that some images are the same when they are read again.

        Raises:
            DataError: they are not, as with a random transform.
        """
        items = self.parts[part]
        if self._root is not None:
            return
        for i in range(0, items.count, max(1, items.count // _READ_TWICE)):
            first, second = (pixels_of(items[i][0], names[i]) for _ in range(2))
            if not np.array_equal(first, second):
                raise DataError(
                    f"{items.where}[{i}]: is another image each time it is read: take random transforms out of the "
                    "data set; zarts crops, flips and cuts out itself (crop, color_jitter, flip, cutout)"
                )


def _digest(pixels: Pixels) -> str:
    """A digest of an image: of its shape and its pixels."""
    return hashlib.blake2b(
        np.ascontiguousarray(pixels).data, digest_size=10, key=repr(pixels.shape).encode()
    ).hexdigest()


def _bytes_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); list the images again") from error


def _classes(labels: Sequence[int | str], known: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the classes that have training images, in order, and notes."""
    used = set(labels)
    if known is not None:
        missing = [name for name in known if name not in used]
        notes = (f"data: classes without training images are left out: {', '.join(missing)}",) if missing else ()
        return tuple(name for name in known if name in used), notes
    if len({type(label) for label in used}) > 1:
        raise DataError("data: some labels are integers, some are strings; give all of one kind")
    return tuple(str(label) for label in sorted(used, key=lambda label: (isinstance(label, str), label))), ()


def python_data(data: Any) -> PythonData:
    """The parts of a Python object; no image is read yet.

    Args:
        data: a torch Dataset, (images, labels), an ImageFolder, a Hugging Face data set, `ImageParts`, or a mapping of
            `train`, `val` and `test` to such.

    Raises:
        DataError: it is nothing of this.
    """
    if isinstance(data, PythonData):
        return replace(data)  # its images may have changed
    names = None
    if isinstance(data, ImageParts):
        names = None if data.classes is None else tuple(map(str, data.classes))
        data = {part: getattr(data, part) for part in ("train", "val", "test") if getattr(data, part) is not None}
    if not isinstance(data, Mapping):
        return PythonData({"train": items_of(data, "data")})
    unknown = [key for key in data if key not in _PARTS]
    parts = [_PARTS[key] for key in data if key in _PARTS]
    if unknown or not parts or len(set(parts)) < len(parts):
        raise DataError(f"data: has parts {', '.join(map(repr, data))}; expected 'train', and perhaps 'val' and 'test'")
    found = {_PARTS[key]: items_of(part, f"data[{key!r}]") for key, part in data.items()}
    return PythonData({part: found[part] for part in ("train", "val", "test") if part in found}, names)
