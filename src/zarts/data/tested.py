"""Test images for a network that is trained already, and which of them it was trained on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, UInt8
from PIL import Image
from torch import Tensor

from zarts.data.config import Request
from zarts.data.contents import Content
from zarts.data.csv_list import is_csv, list_csv
from zarts.data.dataset import Images, ImageSet
from zarts.data.decoding import read_part
from zarts.data.division import divide
from zarts.data.file_index import class_name
from zarts.data.image_folder import list_folder
from zarts.data.image_io import FileSource
from zarts.data.image_list import ImageList
from zarts.data.known_split import KnownSplit, with_contents
from zarts.data.left_out import check_share, left_out_note
from zarts.data.python_data import PythonData
from zarts.data.streaming import StreamedSet
from zarts.errors import DataError, SettingsError

__all__ = ["Tested", "tested_in", "tested_objects", "tested_set"]


@dataclass(frozen=True)
class Tested:
    """Test images.

    Args:
        images: with labels that are indices into the classes of the network.
        seen: which of them the network was trained on, by their contents.
        notes: messages to the user.
    """

    images: Images
    seen: Bool[Tensor, " n"]
    notes: tuple[str, ...] = ()


def tested_in(
    path: Path,
    classes: Sequence[str],
    request: Request,
    size: int,
    channels: int,
    *,
    own: bool,
) -> Tested:
    """The test images in a folder or a CSV file: its part `test` or, in other images than those of the run, all.

    Images of the run keep their parts, wherever they are now.

    Args:
        path: the folder or the CSV file.
        classes: the network's. The folder may have them in any order, and may lack some.
        request: has the split of the run that trained the network.
        size: height and width.
        channels: 1 or 3.
        own: whether these are the images of that run, of which just its test images are tested.

    Raises:
        DataError: the images cannot be used, or test images of the run are gone.
        SettingsError: there are other classes.
    """
    listed, notes = list_csv(path, request) if is_csv(path) else (list_folder(path, request, only_test=True), ())
    class_of = {name: kind for part in listed.parts.values() for kind, names in part.items() for name in names}
    names, seen, others = _chosen(listed, class_of, request, own=own)
    if not names:
        raise DataError(f"{path}: has no images to test on; add some")
    numbers = _numbers(classes, {class_of[name] for name in names}, str(path))
    check_share(str(path), len(names), listed.left_out, allowed=request.allow_left_out)
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(classes[numbers[class_of[name]]], []).append(name)
    source = replace(listed.source, bits=request.bits or {}) if isinstance(listed.source, FileSource) else listed.source
    images = read_part(str(path), source, found, classes, request, size, channels, request.test_fit)
    missing = [kind for kind in classes if kind not in found]
    if missing:
        text = f"{path}: has no images of {len(missing)} of the {len(classes)} classes: {', '.join(missing[:5])}"
        others = (*others, text)
    left_out = (*listed.left_out, *(images.left_out if isinstance(images, ImageSet) else ()))
    notes = (*notes, *left_out_note(str(path), left_out, file=None), *others)
    return Tested(images, torch.tensor([name in seen for name in images.names or ()]), notes)


def _chosen(
    listed: ImageList, class_of: Mapping[str, str], request: Request, *, own: bool
) -> tuple[list[str], Collection[str], tuple[str, ...]]:
    """The names of the images to test on, those of them that the network was trained on, and notes."""
    contents = listed.contents or {}
    given = {part: [name for names in found.values() for name in names] for part, found in listed.parts.items()}
    manifest = request.manifest
    if manifest is None:
        return given["test"] if "test" in given else given["train"], (), ()
    if "train" not in manifest:  # a named set, or given parts of zarts 0.1.0, which kept no names
        unchecked = () if own or "train_names" not in manifest else (_UNCHECKED,)
        if "test" not in given:
            return given["train"], (), unchecked
        trained = {contents[name].digest for name in given.get("train", ()) if name in contents} if own else set()
        seen = {name for name in given["test"] if name in contents and contents[name].digest in trained}
        return given["test"], seen, unchecked
    known = with_contents(KnownSplit.read(manifest, listed.where, strict=own), listed.where)
    found = known.recognise([name for names in given.values() for name in names], contents, listed.where)
    trained = {known.contents[name].digest for name in known.parts["train"] if name in known.contents}
    trained |= {contents[name].digest for name in found.parts.get("train", ()) if name in contents}
    of_pixels = any(content.size == 0 for content in known.contents.values())  # of arrays, which no file equals
    notes: tuple[str, ...] = (_UNCHECKED,) if of_pixels else ()
    if own:
        gone = [name for name in known.parts["test"] if name in set(found.gone)]
        if gone:
            raise DataError(f"{listed.where}: {gone[0]!r}, a test image of the run, is gone, {len(gone)} in all")
        names = found.parts["test"]
    elif "test" in given:
        names = given["test"]
    elif found.parts:
        division = divide(listed.where, given, class_of, contents, None, request.seed, known)
        names, notes = division.parts.get("test", []), tuple(division.notes)
    else:
        names = given["train"]
        notes = notes or (f"{listed.where}: none of its images are those of the run: all {len(names)} are tested",)
    return names, {name for name in names if name in contents and contents[name].digest in trained}, notes


_UNCHECKED = "whether the network was trained on some of these images is not known: its run kept no contents of files"


def tested_objects(data: PythonData, classes: Sequence[str], request: Request, size: int, channels: int) -> Tested:
    """Test images out of Python objects: the part `test`, or all images of a single part.

    Args:
        data: the objects.
        classes: the network's; an integer label that is the name of none of them is an index into them.
        request: has the split of the run that trained the network.
        size: height and width.
        channels: 1 or 3.

    Raises:
        DataError: the images cannot be used, or have other classes.
    """
    images, digests = data.load_test(classes, request, size, channels)
    trained: set[str] = set()
    manifest = request.manifest
    if manifest is not None and "fingerprint" in manifest and "files" in manifest:
        trained = {Content.parse(text).digest for text in manifest["files"]["train"]}
    return Tested(images, torch.tensor([bool(digest) and digest in trained for digest in digests]))


def tested_set(images: Images, of: Sequence[str], classes: Sequence[str], channels: int, where: str) -> Tested:
    """The test images of a named set, with the classes and the colours of the network.

    Args:
        images: in the size of the network.
        of: the classes of the set.
        classes: the network's.
        channels: 1 or 3.
        where: the set, for messages.

    Raises:
        SettingsError: it has other classes.
    """
    numbers = _numbers(classes, of, where)
    labels = torch.tensor([numbers[kind] for kind in of])[images.labels]
    if isinstance(images, StreamedSet):
        images = replace(images, labels=labels, channels=channels)
    else:
        images = replace(images, labels=labels, images=_in_colours(images.images, channels))
    return Tested(images, torch.zeros(len(labels), dtype=torch.bool))


def _in_colours(pixels: UInt8[Tensor, "n c h w"], channels: int) -> UInt8[Tensor, "n d h w"]:
    """Images as grey or colour images."""
    if pixels.shape[1] == channels:
        return pixels
    if channels == 3:
        return pixels.expand(-1, 3, -1, -1)
    grey = [np.asarray(Image.fromarray(one.permute(1, 2, 0).numpy()).convert("L")) for one in pixels]
    return torch.from_numpy(np.stack(grey))[:, None]


def _numbers(classes: Sequence[str], used: Collection[str], where: str) -> dict[str, int]:
    """The index of each used class in the network's; names are compared in one Unicode form.

    Raises:
        SettingsError: the network has not such a class.
    """
    number = {class_name(kind): i for i, kind in enumerate(classes)}
    if unknown := sorted(kind for kind in used if class_name(kind) not in number):
        raise SettingsError(
            f"{where}: has images of class {unknown[0]!r}; the network was trained for {', '.join(map(repr, classes))}"
        )
    return {kind: number[class_name(kind)] for kind in used}
