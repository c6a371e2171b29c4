"""IDX files of the MNIST family: a folder of them, and MNIST and Fashion-MNIST by name.

Source: LeCun, Cortes, Burges, The MNIST database of handwritten digits (1998), which describes the format; Xiao, Rasul,
    Vollgraf, Fashion-MNIST (2017); Cohen et al., EMNIST (IJCNN 2017).
"""

from __future__ import annotations

import hashlib
import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zarts.data.builtin import NamedSet
from zarts.data.dataset import ImageSet
from zarts.data.download import array_set, downloaded
from zarts.data.python_data import ImageParts
from zarts.errors import DataError
from zarts.readers import gunzip, malformed, read_bytes, read_text
from zarts.runtime.system_memory import free_memory

__all__ = ["idx_parts", "is_idx", "load_fashion_mnist", "load_mnist"]

Array = np.ndarray[Any, np.dtype[np.uint8]]

_SYSTEM = Path("/usr/share/datasets")
"""Where packages of Debian put data sets; `dataset-fashion-mnist` is one."""

_NAME = re.compile(r"(?:(?P<set>.+)-)?(?P<part>train|t10k|test)-images[-.]idx3-ubyte(?P<gz>\.gz)?")
_PARTS = {"train": "train", "t10k": "test", "test": "test"}
_GZIP = b"\x1f\x8b"
_MOST_BYTES = 1 << 34
_BYTES = 8  # the code of unsigned bytes

_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_DIGITS = tuple("0123456789")
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_MD5 = {
    "MNIST": (
        *("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
        *("2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
    ),
    "FashionMNIST": (
        *("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9"),
        *("8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"),
    ),
}
"""Of each of the files as published, unpacked: packages of systems compress them again."""


def is_idx(path: Path) -> bool:
    """Whether a path is that of a folder with images in IDX files."""
    return path.is_dir() and any(_NAME.fullmatch(file.name) for file in path.glob("*-images[-.]idx3-ubyte*"))


def idx_parts(folder: Path) -> ImageParts:
    """The images and labels in `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-...`, plain or `.gz`.

    Names may begin with that of a set, as those of EMNIST do. Classes are the labels, or the characters that EMNIST's
    `SET-mapping.txt` has for them.

    Raises:
        DataError: a file is missing or damaged, or the files are of several sets.
    """
    files: dict[str, Path] = {}
    matches = {file: _NAME.fullmatch(file.name) for file in sorted(folder.iterdir())}
    found = {file: match for file, match in matches.items() if match}
    if len(sets := sorted({match["set"] or "" for match in found.values()})) > 1:
        raise DataError(
            f"{folder}: has the files of {len(sets)} sets ({', '.join(sets)}); put each into its own folder"
        )
    for file, match in found.items():
        files.setdefault(_PARTS[match["part"]], file)  # the plain file before the compressed one
    parts = {part: (_images(file), _labels(file)) for part, file in files.items()}
    for part, (images, labels) in parts.items():
        _check_counts(images, labels, files[part])
    if "train" not in parts:
        raise DataError(f"{folder}: has no training images (train-images-idx3-ubyte); add them")
    mapping = folder / f"{sets[0]}-mapping.txt"
    if mapping.is_file():
        names = _mapping(mapping)
        parts = {part: (images, _named(labels, names, mapping)) for part, (images, labels) in parts.items()}
    return ImageParts(parts["train"], test=parts.get("test"))


def load_mnist(data_dir: Path) -> NamedSet:
    """MNIST: 60,000 and 10,000 grey digits, 28×28 (LeCun et al., 1998)."""
    return _published("MNIST", "mnist", data_dir, _DIGITS, flip=False)


def load_fashion_mnist(data_dir: Path) -> NamedSet:
    """Fashion-MNIST: 60,000 and 10,000 grey pieces of clothing, 28×28 (Xiao et al., 2017)."""
    return _published("FashionMNIST", "fashion-mnist", data_dir, _CLOTHES, flip=True)


def _published(kind: str, name: str, data_dir: Path, classes: tuple[str, ...], *, flip: bool) -> NamedSet:
    """A published set: from `data_dir/NAME`, torchvision's folder there, Debian's package, or downloaded.

    Raises:
        DataError: a file is damaged, or is missing and cannot be downloaded.
    """
    places = [data_dir / name, data_dir / kind / "raw", _SYSTEM / name]
    folder = next((place for place in places if is_idx(place)), places[0])
    files = []
    for file in _FILES:
        file_gz, plain = folder / f"{file}.gz", folder / file
        if not file_gz.is_file() and not plain.is_file():
            from torchvision import datasets  # seconds, which nobody with the files has to wait

            published = getattr(datasets, kind)
            get = partial(_download, published.mirrors, folder, file_gz.name, dict(published.resources)[file_gz.name])
            downloaded(get, name=kind, file=file_gz.name, url=published.mirrors[0] + file_gz.name, folder=folder)
        files.append(plain if plain.is_file() else file_gz)
    others = [file.name for file, md5 in zip(files, _MD5[kind], strict=True) if _md5(file) != md5]
    notes = (f"{kind}: not the published files ({', '.join(others)} differ); they are used as they are",)
    read, (train, train_labels, test, test_labels) = partial(_image_set, classes=classes), files
    load_test = partial(read, test, test_labels)
    return NamedSet(classes, read(train, train_labels), load_test, flip, 10_000, notes=notes if others else ())


def _download(mirrors: list[str], folder: Path, file: str, md5: str) -> None:
    from torchvision.datasets import utils

    for mirror in mirrors:
        try:
            utils.download_url(mirror + file, str(folder), file, md5)
        except (OSError, RuntimeError):
            if mirror == mirrors[-1]:
                raise
        else:
            return


def _md5(file: Path) -> str:
    return hashlib.md5(_unpacked(read_bytes(file, DataError), file, _MOST_BYTES), usedforsecurity=False).hexdigest()


def _image_set(images: Path, labels: Path, classes: tuple[str, ...]) -> ImageSet:
    pixels = _read(images, 3)
    if pixels.shape[1:] != (28, 28):
        raise DataError(f"{images}: images are {pixels.shape[1]}x{pixels.shape[2]}, expected 28x28; get the file again")
    return array_set(pixels.reshape(len(pixels), -1), _read(labels, 1), len(classes), images, shape=(1, 28, 28))


def _images(file: Path) -> Array:
    return _read(file, 3)


def _labels(images: Path) -> Array:
    """The labels beside a file of images, of the same form or of the other one."""
    name = images.name.removesuffix(".gz").replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1")
    for file in (images.with_name(name), images.with_name(f"{name}.gz")):
        if file.is_file():
            return _read(file, 1)
    raise DataError(f"{images.parent}: has {images.name} but no {name}, plain or .gz; add the labels")


def _check_counts(images: Array, labels: Array, file: Path) -> None:
    if len(images) != len(labels):
        raise DataError(f"{file}: has {len(images)} images, but there are {len(labels)} labels; get the files again")


def _read(file: Path, dimensions: int) -> Array:
    """The array in an IDX file: two zeros, the code of the type, the number of dimensions, each of them, the bytes.

    Raises:
        DataError: the file is damaged, or has another type or number of dimensions.
    """
    head = 4 + 4 * dimensions
    packed = read_bytes(file, DataError, most=_MOST_BYTES)
    content = _unpacked(packed, file, head)
    if len(content) < 4 + 4 * dimensions or content[:4] != bytes((0, 0, _BYTES, dimensions)):
        raise DataError(
            f"{file}: begins with {content[:4].hex(' ') or 'nothing'}, expected 00 00 08 {dimensions:02x} (unsigned "
            f"bytes in {dimensions} dimension{'s' * (dimensions > 1)}); get the file again"
        )
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", dimensions, 4))
    whole = math.prod(shape)
    if whole > (free_memory() or whole):
        raise DataError(f"{file}: {' x '.join(map(str, shape))} bytes by its head, more than there is memory")
    content = _unpacked(packed, file, head + whole)
    size = len(content) - head
    if size != whole:
        raise DataError(
            f"{file}: has {min(size, whole)} bytes{' and more' * (size > whole)} after its head, which says "
            f"{' x '.join(map(str, shape))}: the file is {'cut short' if size < whole else 'too long'}; get it again"
        )
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _unpacked(content: bytes, file: Path, most: int) -> bytes:
    """The bytes of a file, unpacked; of those that were packed at most `most`, and one more."""
    return gunzip(content, file, DataError, most=most) if content[:2] == _GZIP else content


def _mapping(file: Path) -> dict[int, str]:
    """Lines `LABEL CODE [CODE ...]`: the characters that a label stands for."""
    lines = read_text(file, DataError).splitlines()
    with malformed(file, "lines of a label and codes of characters", DataError):
        rows = [list(map(int, line.split())) for line in lines if line.strip()]
        return {label: "".join(map(chr, codes)) for label, *codes in rows}


def _named(labels: Array, names: dict[int, str], mapping: Path) -> np.ndarray[Any, np.dtype[Any]]:
    if unknown := sorted(set(np.unique(labels).tolist()) - set(names)):
        raise DataError(f"{mapping}: has no line for label {unknown[0]}; add it, or remove the file")
    return np.array([names[label] for label in labels.tolist()])
