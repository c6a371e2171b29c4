"""The published files, made small and byte for byte, come out pixel for pixel and label for label."""

import hashlib
import pickle
import struct

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torchvision import datasets

from zarts.config import retrain_settings, search_settings
from zarts.data import load_data
from zarts.data.safe_pickle import read_pickled
from zarts.errors import DataError, SettingsError

RANDOM = np.random.default_rng(0)


def python2_text(text):
    data = text if isinstance(text, bytes) else text.encode()
    return b"U" + bytes([len(data)]) + data if len(data) < 256 else b"T" + struct.pack("<i", len(data)) + data


def python2_number(n):
    return b"J" + struct.pack("<i", n)


def python2_batch(rows, **lists):
    """What Python 2's cPickle of protocol 2 has for a mapping with an array `data`, and lists of numbers or texts."""
    shape = b"".join(map(python2_number, rows.shape)) + b"\x86"
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        + python2_text(rows.tobytes())
        + b"tb"
    )
    items = python2_text("data") + array
    for key, values in lists.items():
        written = (python2_text(v) if isinstance(v, str) else python2_number(v) for v in values)
        items += python2_text(key) + b"](" + b"".join(written) + b"e"
    return b"\x80\x02}(" + items + b"u."


def pixels(n, size=32):
    return RANDOM.integers(0, 256, (n, 3, size, size), dtype=np.uint8)


def rows_of(images):
    """One image a row: red, green, blue; each row by row."""
    return np.stack([np.concatenate([image[c].ravel() for c in range(3)]) for image in images])


def same(found, images, labels):
    return np.array_equal(found.images.numpy(), images) and found.labels.tolist() == list(labels)


def write_cifar10(folder, images, labels, cut=(3, 5), names=("cat", "dog", "emu")):
    folder.mkdir(parents=True)
    bounds = [0, *cut, len(images)]
    for i, name in enumerate(("data_batch_1", "data_batch_2", "test_batch")):
        part = slice(bounds[i], bounds[i + 1])
        (folder / name).write_bytes(python2_batch(rows_of(images[part]), labels=labels[part], filenames=["a.png"]))
    meta = b"\x80\x02}(" + python2_text("label_names") + b"](" + b"".join(map(python2_text, names)) + b"eu."
    (folder / "batches.meta").write_bytes(meta)


@pytest.fixture
def cifar10(tmp_path):
    images, labels = pixels(8), [2, 0, 1, 1, 2, 0, 0, 1]
    write_cifar10(tmp_path / "cifar-10-batches-py", images, labels)
    return tmp_path, images, labels


def test_pickled_cifar10_as_python_2_wrote_it(cifar10):
    data_dir, images, labels = cifar10
    data = load_data("cifar10", data_dir=data_dir)
    assert same(data.train, images[:5], labels[:5])
    assert same(data.test(), images[5:], labels[5:])
    assert data.train.images.is_contiguous(memory_format=torch.channels_last)
    assert (data.classes, data.flip, data.channels) == (("cat", "dog", "emu"), True, 3)
    assert (data.mean, data.std) == ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


def test_other_files_than_the_published_ones_are_used_and_said_to_be(cifar10, monkeypatch):
    data_dir, *_ = cifar10
    (note,) = load_data("cifar10", data_dir=data_dir).notes
    assert "CIFAR10: not the published files (data_batch_1, data_batch_2, test_batch, data_batch_3" in note
    sums = {p.name: hashlib.md5(p.read_bytes()).hexdigest() for p in data_dir.glob("*/*batch*")}
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [[n, sums[n]] for n in ("data_batch_1", "data_batch_2")])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    assert load_data("cifar10", data_dir=data_dir).notes == ()


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_that_python_3_pickled(tmp_path, protocol):
    rows = rows_of(pixels(4))
    content = {
        b"data": rows,
        "labels": [1, 2],
        b"fine_labels": np.arange(3),
        "mean": rows.mean(0),
        "order": rows[:, ::-1],
    }
    (tmp_path / "file").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_pickled(tmp_path / "file")
    assert set(found) == {"data", "labels", "fine_labels", "mean", "order"}
    for key, value in content.items():
        assert np.array_equal(found[key if isinstance(key, str) else key.decode()], value)


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (b"cos\nsystem\n(S'touch HERE'\ntR.", "os.system"),
        (b'cbuiltins\nexec\n(S\'open("HERE", "w")\'\ntR.', "builtins.exec"),
        (b"(S'touch HERE'\nios\nsystem\n.", "os.system"),
        (pickle.dumps({"data": Calls(np.load, "HERE")}), r"numpy\S*load"),
        (pickle.dumps({"data": Calls(np.fromfile, "HERE")}), "numpy.fromfile"),
        (pickle.dumps(DataError), "zarts.errors.DataError"),
        (b"\x80\x04\x8c\x05numpy\x8c\x13core.multiarray.set\x93.", "numpy.core.multiarray.set"),
    ],
    ids=["os", "builtins", "instance", "numpy", "file", "class", "dotted"],
)
def test_what_is_no_array_is_named_and_not_run(tmp_path, monkeypatch, content, asked):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=rf"file: .*{asked}"):
        read_pickled(tmp_path / "file")
    assert not (tmp_path / "HERE").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "pickled"),
        (python2_batch(rows_of(pixels(2)), labels=[0, 1])[:-3000], "pickled"),
        (pickle.dumps([1, 2]), "mapping"),
        (pickle.dumps({"data": np.array([{}, []], dtype=object)}), "objects"),
        (b"P1\n.", "'1'"),
    ],
    ids=["empty", "short", "list", "objects", "outside"],
)
def test_damaged_pickles(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DataError, match=rf"file: .*{message}") as raised:
        read_pickled(tmp_path / "file")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (np.zeros((2, 3071), np.uint8), [0, 1], r"\(2, 3071\)"),
        (np.zeros((2, 3072), np.float32), [0, 1], "float32"),
        ([1, 2], [0, 1], "images are list"),
        (np.zeros((2, 3072), np.uint8), [0], "2 images"),
        (np.zeros((0, 3072), np.uint8), [], "has no images"),
        (np.zeros((2, 3072), np.uint8), [0, 3], "label 3"),
        (np.zeros((2, 3072), np.uint8), [0, -1], "label -1, but"),
        (np.zeros((2, 3072), np.uint8), None, "data_batch_1"),
    ],
)
def test_batches_that_are_none(cifar10, rows, labels, message):
    content = {"data": rows} | ({} if labels is None else {"labels": labels})
    (cifar10[0] / "cifar-10-batches-py/data_batch_1").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=message):
        load_data("cifar10", data_dir=cifar10[0])


@pytest.mark.parametrize("missing", ["data_batch_1", "test_batch", "batches.meta"])
def test_a_missing_file_is_named_and_nothing_is_downloaded_over_the_others(cifar10, missing):
    (cifar10[0] / "cifar-10-batches-py" / missing).unlink()
    with pytest.raises(DataError, match=f"cifar-10-batches-py: {missing}"):
        load_data("cifar10", data_dir=cifar10[0])


def test_class_names_that_are_none(cifar10):
    (cifar10[0] / "cifar-10-batches-py/batches.meta").write_bytes(pickle.dumps({"label_names": [1, 2]}))
    with pytest.raises(DataError, match="batches"):
        load_data("cifar10", data_dir=cifar10[0])


def test_pickled_cifar100(tmp_path):
    images, folder = pixels(5), tmp_path / "cifar-100-python"
    folder.mkdir()
    fine, coarse = [4, 0, 3, 1, 2], [1, 0, 1, 0, 0]
    for name, part in (("train", slice(0, 3)), ("test", slice(3, 5))):
        batch = python2_batch(rows_of(images[part]), fine_labels=fine[part], coarse_labels=coarse[part])
        (folder / name).write_bytes(batch)
    names = {"fine_label_names": list("abcde"), "coarse_label_names": ["v", "w"]}
    (folder / "meta").write_bytes(pickle.dumps(names, protocol=2))
    data = load_data("cifar100", data_dir=tmp_path)
    assert same(data.train, images[:3], fine[:3])
    assert same(data.test(), images[3:], fine[3:])
    assert (data.classes, data.mean) == (tuple("abcde"), (0.5071, 0.4865, 0.4409))
    settings = search_settings({}, preset="p-darts-cifar100")
    theirs = load_data(settings.data, data_dir=tmp_path)
    assert (theirs.mean, theirs.std) == ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)), "of P-DARTS' code"
    assert same(theirs.train, images[:3], fine[:3])
    assert (settings.method, retrain_settings({}, preset="p-darts-cifar100").data) == ("p-darts", settings.data)


def binary(images, *labels):
    return b"".join(bytes(each) + image.tobytes() for image, *each in zip(images, *labels, strict=True))


def test_binary_cifar10(tmp_path):
    images, labels, folder = pixels(6), [1, 0, 1, 1, 0, 0], tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\n\n")
    for name, part in (("data_batch_1", slice(0, 2)), ("data_batch_2", slice(2, 3)), ("test_batch", slice(3, 6))):
        (folder / f"{name}.bin").write_bytes(binary(images[part], labels[part]))
    data = load_data("cifar10", data_dir=tmp_path)
    assert same(data.train, images[:3], labels[:3])
    assert same(data.test(), images[3:], labels[3:])
    assert data.classes == ("airplane", "automobile")
    assert "50000 and 10000" in data.notes[0]
    (folder / "data_batch_1.bin").write_bytes(b"\0" * 3072)
    with pytest.raises(DataError, match="data_batch_1"):
        load_data("cifar10", data_dir=tmp_path)


def test_binary_cifar100_has_the_fine_label_second(tmp_path):
    images, folder = pixels(5), tmp_path / "cifar-100-binary"
    folder.mkdir()
    coarse, fine = [1, 0, 1, 0, 0], [4, 0, 3, 1, 2]
    (folder / "fine_label_names.txt").write_text("a\nb\nc\nd\ne\n")
    (folder / "coarse_label_names.txt").write_text("v\nw\n")
    for name, part in (("train", slice(0, 3)), ("test", slice(3, 5))):
        (folder / f"{name}.bin").write_bytes(binary(images[part], coarse[part], fine[part]))
    data = load_data("cifar100", data_dir=tmp_path)
    assert same(data.train, images[:3], fine[:3])
    assert same(data.test(), images[3:], fine[3:])


def write_svhn(folder, **other):
    found = {}
    for part, n in (("train", 5), ("test", 3)):
        images = RANDOM.integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        content = {"X": images, "y": np.array([[10], [1], [9], [3], [4]][:n], dtype=np.uint8)} | other
        savemat(folder / f"{part}_32x32.mat", {k: v for k, v in content.items() if v is not None})
        found[part] = images
    return found


def test_svhn_calls_the_digit_0_ten(tmp_path, monkeypatch):
    images = write_svhn(tmp_path)
    data = load_data("svhn", data_dir=tmp_path)
    assert same(data.train, images["train"].transpose(3, 2, 0, 1), [0, 1, 9, 3, 4])
    assert same(data.test(), images["test"].transpose(3, 2, 0, 1), [0, 1, 9])
    assert (data.flip, data.classes, data.std) == (True, tuple("0123456789"), (0.1980, 0.2010, 0.1970))
    assert "SVHN: not the published files (train_32x32.mat, test_32x32.mat differ" in data.notes[0]
    parts = {
        p: ["", f"{p}_32x32.mat", hashlib.md5((tmp_path / f"{p}_32x32.mat").read_bytes()).hexdigest()] for p in images
    }
    monkeypatch.setattr(datasets.SVHN, "split_list", parts)
    assert load_data("svhn", data_dir=tmp_path).notes == ()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"y": None}, "train_32x32"),
        ({"X": np.zeros((5, 32, 32, 3), np.uint8)}, r"\(5, 32, 32, 3\)"),
        ({"y": np.full((5, 1), 11, np.uint8)}, "label 11"),
    ],
)
def test_other_mat_files(tmp_path, other, message):
    write_svhn(tmp_path, **other)
    with pytest.raises(DataError, match=message):
        load_data("svhn", data_dir=tmp_path)


def test_damaged_mat_file(tmp_path):
    write_svhn(tmp_path)
    (tmp_path / "train_32x32.mat").write_bytes(b"broken")
    with pytest.raises(DataError, match="mat"):
        load_data("svhn", data_dir=tmp_path)


def write_imagenet16(folder, images, labels, cut):
    folder.mkdir()
    bounds = [0, *cut, len(images)]
    for i, name in enumerate([*(f"train_data_batch_{j + 1}" for j in range(len(cut))), "val_data"]):
        part = slice(bounds[i], bounds[i + 1])
        rows = rows_of(images[part])
        content = {"data": rows, "labels": labels[part], "mean": rows.mean(0)}
        (folder / name).write_bytes(pickle.dumps(content, protocol=3))


def test_imagenet16_and_its_120_classes(tmp_path):
    images, labels = pixels(14, 16), [1, 120, 121, 1000, 5, 120, 7, 3, 2, 1, 121, 119, 1, 999]
    write_imagenet16(tmp_path / "ImageNet16", images, labels, range(1, 11))
    whole, part = (load_data(name, data_dir=tmp_path) for name in ("imagenet16", "imagenet16-120"))
    assert same(whole.train, images[:10], [label - 1 for label in labels[:10]])
    assert same(whole.test(), images[10:], [120, 118, 0, 998])
    kept = [i for i in range(10) if labels[i] <= 120]
    assert same(part.train, images[kept], [labels[i] - 1 for i in kept])
    assert same(part.test(), images[[11, 12]], [118, 0])
    assert (len(whole.classes), len(part.classes), part.classes[-1]) == (1000, 120, "120")
    assert (part.image_size, part.flip) == (16, True)
    assert [m * 255 for m in part.mean] == pytest.approx([122.68, 116.66, 104.01])
    assert [s * 255 for s in part.std] == pytest.approx([63.22, 61.26, 65.09])
    assert "ImageNet16: not the published files" in part.notes[0]


def test_imagenet16_is_not_there_or_damaged(tmp_path):
    with pytest.raises(DataError, match="val_data"):
        load_data("imagenet16-120", data_dir=tmp_path)
    write_imagenet16(tmp_path / "ImageNet16", pixels(3, 16), [1, 1001, 2], [1, 2])
    with pytest.raises(DataError, match="train_data_batch_2"):
        load_data("imagenet16-120", data_dir=tmp_path)
    (tmp_path / "ImageNet16/train_data_batch_1").write_bytes(pickle.dumps({"data": 1}))
    with pytest.raises(DataError, match="train_data_batch_1"):
        load_data("imagenet16", data_dir=tmp_path)
    (tmp_path / "ImageNet16/train_data_batch_1").unlink()
    with pytest.raises(DataError, match=r"train_data_batch_1 is missing"):
        load_data("imagenet16", data_dir=tmp_path)


def test_arrays_are_not_streamed(cifar10):
    with pytest.raises(SettingsError, match="image_cache"):
        load_data("cifar10", data_dir=cifar10[0], image_cache="streamed")
