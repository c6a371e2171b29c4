"""Each kind of Python object gives the images and batches of the folder with the same images."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, Resize, ToTensor

import zarts
from zarts.data import Augment, Batches, load_data, python_data
from zarts.errors import DataError, SettingsError

CLASSES = ("cat", "dog")


def made(count=9, size=(12, 10), channels=(3,), seed=0):
    """Images (n, h, w, c), and labels, class by class."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (2 * count, *size, *channels), dtype=np.uint8), np.repeat([0, 1], count)


def folder(root, images, labels):
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (root / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / CLASSES[label] / f"{i:03}.png")
    return root


class Pairs(torch.utils.data.Dataset):
    classes = CLASSES

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


class Table:
    """The part of `datasets.Dataset` that is used, with its names of classes and module."""

    __module__ = "datasets.arrow_dataset"

    def __init__(self, images, labels):
        image, label = type("Image", (), {})(), type("ClassLabel", (), {"names": list(CLASSES)})()
        self.features = {"id": object(), "img": image, "fine_label": label}
        self._rows = list(zip(images, labels, strict=True))

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, index):
        image, label = self._rows[index]
        return {"id": index, "img": image, "fine_label": label}


def pictures(images):
    return [Image.fromarray(image) for image in images]


def floats(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2) / 255


KINDS = {
    "arrays": lambda x, y: zarts.ImageParts((x, y), classes=CLASSES),
    "names": lambda x, y: (x, np.array(CLASSES)[y]),
    "tensors": lambda x, y: zarts.ImageParts((floats(x), torch.from_numpy(y)), classes=CLASSES),
    "half": lambda x, y: zarts.ImageParts((floats(x).half(), y.tolist()), classes=CLASSES),
    "doubles": lambda x, y: (x.astype(np.float64) / 255, [CLASSES[label] for label in y]),
    "whole": lambda x, y: {"train": (x.astype(np.int64), np.array(CLASSES)[y])},
    "dataset": lambda x, y: Pairs(pictures(x), y),
    "subset": lambda x, y: Subset(Pairs(x, y), range(len(y))),
    "tensor-dataset": lambda x, y: zarts.ImageParts(TensorDataset(floats(x), torch.from_numpy(y)), classes=CLASSES),
    "list": lambda x, y: [(image, CLASSES[label]) for image, label in zip(x, y, strict=True)],
    "huggingface": lambda x, y: Table(pictures(x), y),
    "mixed": lambda x, y: (
        x[[0, 9, 10, *range(1, 9), *range(11, 18)]],
        ["cat", "dog", "dog"] + ["cat"] * 8 + ["dog"] * 7,
    ),
}


def batches(data, images, **settings):
    given = {"batch_size": 4, "seed": 2, "stream": "w", "mean": data.mean, "std": data.std}
    return Batches(images, **{**given, **settings})


def check_same(data, other):
    """Two data sets have the same classes, statistics, and batches of all parts."""
    for name in ("classes", "mean", "std", "channels", "image_size", "flip"):
        assert getattr(data, name) == getattr(other, name)
    augment = Augment(crop_padding=1, flip=True)
    for one, two in ((data.train, other.train), (data.test(), other.test())):
        assert torch.equal(one.labels, two.labels)
        left, right = batches(data, one, augment=augment), batches(other, two, augment=augment)
        assert all(torch.equal(left[i][0], right[i][0]) for i in range(4))


@pytest.mark.parametrize("kind", KINDS)
def test_the_batches_of_the_folder(tmp_path, kind):
    x, y = made()
    given = python_data(KINDS[kind](x, y))
    settings = {"image_size": 8, "subset": 10, "seed": 3}
    check_same(load_data(given, **settings), load_data(folder(tmp_path, x, y), **settings))
    assert (given.fingerprint == python_data(Pairs(x, y)).fingerprint) is (kind != "mixed")


def test_streamed_and_cropped_from_the_whole_image(tmp_path):
    x, y = made(size=(30, 40))
    settings = {"image_size": 8, "image_cache": "streamed", "crop": "resized"}
    data, files = load_data(python_data(Pairs(x, y)), **settings), load_data(folder(tmp_path, x, y), **settings)
    assert (data.kept, files.kept) == ("streamed", "streamed")
    augment = Augment(resized=True)
    left, right = (batches(d, d.train, augment=augment) for d in (data, files))
    assert all(torch.equal(left[i][0], right[i][0]) for i in range(4))
    assert torch.equal(data.test().pixels(torch.arange(4)), files.test().pixels(torch.arange(4)))


@pytest.mark.parametrize("plain", [True, False])
def test_an_image_folder(tmp_path, plain):
    """Without transforms its files are used, with them its items."""
    x, y = made()
    root = folder(tmp_path, x, y)
    given = python_data(ImageFolder(root, transform=None if plain else ToTensor()))
    data = load_data(given, image_size=8, image_cache="streamed")
    check_same(data, load_data(root, image_size=8, image_cache="streamed"))
    assert data.train.names[0].startswith("cat/0" if plain else "train[")
    assert data.manifest["source"] == "python"
    (root / "dog/017.png").unlink()
    assert python_data(ImageFolder(root)).fingerprint != given.fingerprint


def test_parts(tmp_path):
    """Training, validation and test images by name; a test image is brought to the colours of the training images."""
    (x, y), (v, w), (t, u) = made(channels=()), made(4, seed=1), made(3, seed=2)
    folder(tmp_path / "train", x, y), folder(tmp_path / "test", t, u)
    files = load_data(tmp_path, image_size=8)
    for key in ("val", "validation"):
        data = load_data(python_data({"train": Pairs(x, y), key: Pairs(v, w), "test": Pairs(t, u)}), image_size=8)
        check_same(data, files)
        assert data.channels == 1
        assert files.val() is None
        val = data.val()
        assert (len(val), val.channels, val.names[0]) == (8, 1, "val[0]")
    assert "seed" not in data.manifest
    folders = {part: ImageFolder(tmp_path / part) for part in ("train", "test")}
    check_same(load_data(python_data(folders), image_size=8), files)


def test_the_split_of_an_earlier_load():
    x, y = made()
    first = load_data(python_data((x, y)), seed=1)
    again = load_data(python_data((x, y)), seed=2, manifest=first.manifest)
    assert again.test().names == first.test().names
    assert set(first.test().names).isdisjoint(first.train.names)
    assert load_data(python_data((x, y)), seed=2).test().names != first.test().names
    x[3, 2, 2, 0] ^= 1
    with pytest.raises(DataError, match="fingerprint"):
        load_data(python_data((x, y)), manifest=first.manifest)


def test_classes_in_order():
    x, _ = made()
    labels = np.array([10, 9, 2] * 6)
    data = load_data(python_data((x, labels)), image_size=8)
    assert data.classes == ("2", "9", "10")
    named = load_data(python_data(zarts.ImageParts((x, labels % 4), classes=["d", "c", "b", "a"])), image_size=8)
    assert named.classes == ("c", "b")
    assert any("d, a" in note for note in named.notes)


@pytest.mark.parametrize(("size", "noted"), [(None, True), (28, False)])
def test_a_new_size_is_noted(size, noted):
    data = load_data(python_data(made(size=(28, 28))), image_size=size)
    assert data.image_size == (size or 32)
    assert any("28x28" in note for note in data.notes) is noted


X, Y = made()


def changed(**cells):
    """(images, labels) with float images, of which one value is another."""
    images = X / 255
    images[3, 0, 0, 0] = cells["value"]
    return images, Y


class Words(Pairs):
    def __getitem__(self, index):
        return {"image": self.images[index], "label": self.labels[index]}


class Broken(Pairs):
    def __getitem__(self, index):
        raise OSError("no disk")


class Stream(IterableDataset):
    def __iter__(self):
        yield from zip(X, Y, strict=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((X, Y[:-1]), "18 images but 17 labels"),
        ((X.reshape(18, -1), Y), "reshape"),
        ((X[:, :, :, None], Y), "reshape"),
        ((np.zeros((18, 12, 10, 4), np.uint8), Y), "alpha"),
        ((X[:, :3, :, :], Y), "channels first or last"),
        ((X, Y[:, None]), r"labels\[:, 0\]"),
        ((X, np.eye(2)[Y]), "one class an image"),
        ((X, Y.astype(float)), "integer or string"),
        ([(image, label) for image, label in zip(X, [1, "a"] * 9, strict=True)], "integers, some are strings"),
        ((X, np.zeros(18, int)), "one class"),
        ((X[:1], Y[:1]), "one class"),
        ((X[:0], Y[:0]), "no training images"),
        ((X[8:], Y[8:]), "needs 2"),
        (changed(value=np.nan), "not finite"),
        (changed(value=1.01), "normalization"),
        (changed(value=-0.1), "normalization"),
        ((X.astype(np.int64) * 2, Y), "0 to 255"),
        ((X > 127).astype(np.uint8), "ndarray"),
        (((X > 127).astype(np.uint8), Y), "black"),
        ((X / 255 / 255, Y), "black"),
        ((X.astype(complex), Y), "complex"),
        (((X, Y), (X, Y)), '"train"'),
        ((X, Y, Y), '"train"'),
        ({"train": (X, Y), "tset": (X, Y)}, "'tset'"),
        ({"test": (X, Y)}, "no training images"),
        ({"train": (X, Y), "test": (255 - X, Y + 1)}, "'2' has test images"),
        ({"train": (X, Y), "test": (X, Y)}, "copy of one of the test images"),
        (zarts.ImageParts((X, Y + 1), classes=CLASSES), "labels 0 to 1"),
        (zarts.ImageParts((X, Y - 1), classes=CLASSES), "labels 0 to 1"),
        (zarts.ImageParts((X, Y), classes=("a", "a")), "same name"),
        (DataLoader(Pairs(X, Y)), "DataLoader"),
        (Words(X, Y), "pair"),
        (Broken(X, Y), "no disk"),
        (Stream(), "stream"),
        (5, "int"),
        (iter([]), "list_iterator"),
    ],
)
def test_what_cannot_be_used(data, message):
    with pytest.raises(DataError, match=message):
        load_data(python_data(data), image_size=8).test()


def test_transforms_are_the_users(tmp_path):
    """What a transform gives is used; a random one, or a normalization, is refused."""
    root = folder(tmp_path, *made())
    resized = load_data(python_data(ImageFolder(root, transform=Compose([Resize((8, 8)), ToTensor()]))), image_size=8)
    assert resized.train.images.shape[2:] == (8, 8)
    with pytest.raises(DataError, match="normalization"):
        load_data(python_data(ImageFolder(root, transform=Compose([ToTensor(), Normalize(0.5, 0.1)]))))
    torch.manual_seed(0)
    with pytest.raises(DataError, match="random"):
        load_data(python_data(ImageFolder(root, transform=RandomHorizontalFlip())))


def test_columns_of_a_hugging_face_table():
    table = Table(X, Y)
    table.features |= {"coarse_label": table.features["fine_label"]}
    with pytest.raises(DataError, match="fine_label, coarse_label"):
        python_data(table)
    data = python_data({"train": Table(X, Y), "test": Table(255 - X, Y)})
    assert load_data(data, image_size=8).classes == CLASSES


def test_a_name_is_no_object():
    with pytest.raises(SettingsError, match="python"):
        load_data("python")


def test_nothing_of_hugging_face_is_imported():
    assert not isinstance(sys.modules.get("datasets"), types.ModuleType)
    assert load_data(python_data(Table(X, Y)), image_size=8).classes == CLASSES
    assert "datasets" not in sys.modules


CSV = "file,label{}\n"


def listed(root, rows, more=""):
    path = root / "images.csv"
    path.write_text(CSV.format(more) + "".join(",".join(row) + "\n" for row in rows))
    return path


def rows_of(root, part=""):
    files = sorted(Path(root, part).rglob("*.png"), reverse=True)
    return [(file.relative_to(root).as_posix(), file.parent.name) for file in files]


def test_a_csv_file_is_the_folder(tmp_path):
    root = folder(tmp_path / "a", *made())
    for settings in ({"image_cache": "streamed"}, {"subset": 9}):
        data = load_data(listed(root, rows_of(root)), image_size=8, seed=1, **settings)
        check_same(data, load_data(root, image_size=8, seed=1, **settings))
    again = load_data(root / "images.csv", image_size=8, seed=5, manifest=data.manifest)
    assert again.test().names == data.test().names
    other = [(name, "cat" if name == "dog/017.png" else label) for name, label in rows_of(root)]
    with pytest.raises(DataError, match="is of class 'cat' now"):
        load_data(listed(root, other), image_size=8, manifest=data.manifest)


def test_a_csv_file_with_parts(tmp_path):
    for number, part in enumerate(("train", "val", "test")):
        folder(tmp_path / part, *made(5, seed=number))
    rows = [(*row, part) for part in ("val", "test", "train") for row in rows_of(tmp_path, part)]
    data = load_data(listed(tmp_path, rows, ",split"), image_size=8)
    check_same(data, load_data(tmp_path, image_size=8))
    assert len(data.val()) == 10
    more = listed(tmp_path, [(*row, "x") for row in rows], ",split,id")
    assert "id" in load_data(more, image_size=8).notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("file,", "name,"), "no column 'file'"),
        (lambda text: text + "gone.png,cat\n", "line 20: gone.png: no such file"),
        (lambda text: text + "cat/000.png,dog\n", "line 20: cat/000.png is in line 19 already"),
        (lambda text: text + "cat/000.png\n", "line 20"),
        (lambda text: text + "a,b,c\n", "line 20"),
        (lambda text: "", "no column"),
        (lambda text: "file,label\n", "no training images"),
        (lambda text: text.replace(",dog", ",cat"), "one class"),
        (lambda text: text.encode("utf-16"), "UTF-8"),
    ],
)
def test_a_csv_file_that_cannot_be_used(tmp_path, change, message):
    root = folder(tmp_path, *made())
    path = listed(root, rows_of(root))
    text = change(path.read_text())
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        load_data(path, image_size=8)
