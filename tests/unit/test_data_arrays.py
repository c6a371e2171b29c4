"""IDX files of the MNIST family, and NumPy's .npz: written here by hand, read as images by class."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

import zarts
from small import TRAIN
from zarts.data import check_data, load_data
from zarts.data import idx as idx_module
from zarts.errors import DataError, SettingsError

SYSTEM = Path("/usr/share/datasets/fashion-mnist")
MEDMNIST = [f"{part}_{what}" for part in ("train", "val", "test") for what in ("images", "labels")]


def pixels(count, *shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def write_idx(path, array):
    head = bytes((0, 0, 8, array.ndim)) + b"".join(struct.pack(">I", n) for n in array.shape)
    content = head + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(folder, *, before="", suffix="", side=8, first=0):
    """Twelve training and six test images of three classes; the arrays."""
    folder.mkdir(exist_ok=True)
    found = []
    for part, count, seed in (("train", 12, 1), ("t10k" if not before else "test", 6, 2)):
        images, labels = pixels(count, side, side, seed=seed), (np.arange(count) % 3 + first).astype(np.uint8)
        write_idx(folder / f"{before}{part}-images-idx3-ubyte{suffix}", images)
        write_idx(folder / f"{before}{part}-labels-idx1-ubyte{suffix}", labels)
        found += [images, labels]
    return found


def images_by_class(images):
    """{class: set of images as bytes}, whatever their order is."""
    found = {}
    for i in range(len(images)):
        found.setdefault(int(images.labels[i]), set()).add(images.read(i).tobytes())
    return found


def as_sets(images, labels, first=0):
    return {k: {i.tobytes() for i in images[labels == k + first]} for k in range(3)}


class TestIDX:
    @pytest.mark.parametrize(
        ("before", "suffix", "first"), [("", "", 0), ("", ".gz", 0), ("emnist-letters-", ".gz", 1)]
    )
    def test_a_folder(self, tmp_path, before, suffix, first):
        train, labels, test, test_labels = write_mnist(tmp_path / "set", before=before, suffix=suffix, first=first)
        data = load_data(str(tmp_path / "set"))
        assert check_data(str(tmp_path / "set")) is None
        assert data.classes == tuple(str(k + first) for k in range(3))
        assert (data.image_size, data.channels, data.flip, data.name) == (8, 1, False, str(tmp_path / "set"))
        assert images_by_class(data.train) == as_sets(train, labels, first)
        assert images_by_class(data.test()) == as_sets(test, test_labels, first)
        again = load_data(str(tmp_path / "set"), manifest=data.manifest)
        assert np.array_equal(again.train.images, data.train.images)
        write_mnist(tmp_path / "set", before=before, suffix=suffix, first=first, side=12)
        with pytest.raises(DataError, match="fingerprint"):
            load_data(str(tmp_path / "set"), manifest=data.manifest)

    def test_characters_of_emnist(self, tmp_path):
        write_mnist(tmp_path, before="emnist-letters-", first=1)
        (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
        assert load_data(str(tmp_path)).classes == ("Aa", "Bb", "Cc")

    def test_the_training_images_alone(self, tmp_path):
        """A fifth is set aside for the test, and stays so."""
        train, labels, *_ = write_mnist(tmp_path)
        for file in tmp_path.glob("t10k*"):
            file.unlink()
        data = load_data(str(tmp_path), seed=3)
        assert (len(data.train), len(data.test())) == (9, 3)
        merged = {k: images_by_class(data.train)[k] | images_by_class(data.test())[k] for k in range(3)}
        assert merged == as_sets(train, labels)
        again = load_data(str(tmp_path), seed=4, manifest=data.manifest)
        assert images_by_class(again.test()) == images_by_class(data.test())

    @pytest.mark.parametrize(
        ("file", "change", "message"),
        [
            ("train-images", lambda b: b[:-1], "cut short"),
            ("train-images", lambda b: b[:10], "expected 00 00 08 03"),
            ("train-images", lambda b: b + b"0", "too long"),
            ("train-images", lambda b: b"\x00\x00\x0d\x03" + b[4:], "00 00 0d 03"),
            ("train-images", lambda b: b"", "nothing"),
            ("train-images", lambda b: gzip.compress(b)[:-20], "cannot be unpacked"),
            ("train-images", lambda b: b"\x1f\x8bno", "cannot be unpacked"),
            ("train-labels", lambda b: b[:7] + b"\x0b" + b[8:-1], "12 images, but there are 11 labels"),
            ("train-labels", None, "no train-labels-idx1-ubyte"),
            ("t10k-labels", lambda b: b[:-2], "cut short"),
        ],
    )
    def test_damaged_files(self, tmp_path, file, change, message):
        write_mnist(tmp_path)
        (path,) = tmp_path.glob(f"{file}*")
        content = path.read_bytes()
        path.unlink()
        if change is not None:
            path.write_bytes(change(content))
        with pytest.raises(DataError, match=message) as error:
            load_data(str(tmp_path))
        assert str(tmp_path) in str(error.value)
        assert "\n" not in str(error.value)

    def test_two_sets_in_one_folder(self, tmp_path):
        for before in ("emnist-letters-", "emnist-digits-"):
            write_mnist(tmp_path, before=before)
        with pytest.raises(DataError, match="emnist-digits, emnist-letters"):
            load_data(str(tmp_path))


class TestNamed:
    @pytest.fixture
    def published(self, tmp_path, monkeypatch):
        """Files like the published ones, with the checksums of these."""
        folder = tmp_path / "fashion-mnist"
        arrays = write_mnist(folder, suffix=".gz", side=28)
        sums = [hashlib.md5(gzip.decompress((folder / f"{name}.gz").read_bytes())) for name in idx_module._FILES]
        monkeypatch.setitem(idx_module._MD5, "FashionMNIST", tuple(found.hexdigest() for found in sums))
        monkeypatch.setattr(idx_module, "_SYSTEM", tmp_path / "system")
        return folder, arrays

    def test_in_the_data_directory(self, tmp_path, published):
        folder, (train, labels, test, test_labels) = published
        data = load_data("fashion-mnist", data_dir=tmp_path)
        assert data.classes[:3] == ("T-shirt/top", "Trouser", "Pullover")
        assert (data.image_size, data.flip, data.notes) == (28, True, ())
        assert np.array_equal(data.train.images[:, 0], train)
        assert data.train.labels.tolist() == labels.tolist()
        assert np.array_equal(data.test().images[:, 0], test)
        for file in folder.glob("*.gz"):  # unpacked, they are the same
            file.with_suffix("").write_bytes(gzip.decompress(file.read_bytes()))
            file.unlink()
        assert load_data("fashion-mnist", data_dir=tmp_path).notes == ()
        write_idx(folder / "t10k-labels-idx1-ubyte", test_labels[::-1])
        (note,) = load_data("fashion-mnist", data_dir=tmp_path).notes
        assert "t10k-labels-idx1-ubyte" in note

    def test_of_the_system_and_of_torchvision(self, tmp_path, published):
        folder, _ = published
        for place in ("system/fashion-mnist", "data/FashionMNIST/raw"):
            (tmp_path / place).parent.mkdir(parents=True)
            (tmp_path / place).symlink_to(folder)
            assert len(load_data("fashion-mnist", data_dir=tmp_path / "data").train) == 12
            (tmp_path / place).unlink()

    def test_a_download_that_fails_names_what_to_get(self, tmp_path, monkeypatch):
        def refuse(url, root, filename, md5):
            asked.append((url, filename, len(md5)))
            raise OSError("no network")

        asked = []
        monkeypatch.setattr("torchvision.datasets.utils.download_url", refuse)
        with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is missing"):
            load_data("mnist", data_dir=tmp_path)
        assert [(name, length) for _, name, length in asked] == [("train-images-idx3-ubyte.gz", 32)] * 2  # mirrors

    @pytest.mark.skipif(not SYSTEM.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")
    def test_fashion_mnist_itself(self, tmp_path):
        data = load_data("fashion-mnist", data_dir=tmp_path)
        assert (len(data.train), data.notes) == (60_000, ())
        assert (data.mean, data.std) == ((pytest.approx(0.2860, abs=5e-5),), (pytest.approx(0.3530, abs=5e-5),))
        assert data.train.labels[:5].tolist() == [9, 0, 0, 3, 0]  # an ankle boot, a T-shirt ...
        assert data.test().labels.bincount().tolist() == [1000] * 10


class TestNPZ:
    @pytest.mark.parametrize(
        ("keys", "shape", "column"),
        [
            (("x_train", "y_train", "x_test", "y_test"), (8, 8), False),
            (("x_train", "y_train", "x_test", "y_test"), (8, 8, 3), True),
            (("train_images", "train_labels", "test_images", "test_labels"), (8, 8, 3), True),
            (("train_images", "train_labels", "test_images", "test_labels"), (3, 8, 8), False),
        ],
    )
    def test_keys_and_shapes(self, tmp_path, keys, shape, column):
        labels = [np.arange(n) % 3 for n in (12, 6)]
        images = [pixels(n, *shape, seed=n) for n in (12, 6)]
        given = [found.reshape(-1, 1) if column else found for found in labels]
        np.savez_compressed(
            tmp_path / "set.npz", **dict(zip(keys, (images[0], given[0], images[1], given[1]), strict=True))
        )
        data = load_data(str(tmp_path / "set.npz"))
        last = [found.transpose(0, 2, 3, 1) if shape[0] == 3 else found for found in images]
        assert (data.classes, data.image_size, data.name) == (("0", "1", "2"), 8, str(tmp_path / "set.npz"))
        assert images_by_class(data.train) == as_sets(last[0], labels[0])
        assert images_by_class(data.test()) == as_sets(last[1], labels[1])

    def test_validation_images_of_medmnist(self, tmp_path):
        arrays = [pixels(6, 8, 8, seed=k // 2) if k % 2 == 0 else np.arange(6)[:, None] % 3 for k in range(6)]
        np.savez(tmp_path / "set.npz", **dict(zip(MEDMNIST, arrays, strict=True)))
        data = load_data(str(tmp_path / "set.npz"))
        assert images_by_class(data.val()) == as_sets(arrays[2], arrays[3][:, 0])

    def test_one_part_with_names(self, tmp_path):
        labels = np.array(["ant", "猫"] * 10)
        np.savez(tmp_path / "set.npz", images=pixels(20, 10, 10), labels=labels)
        data = load_data(tmp_path / "set.npz")
        assert (data.classes, data.image_size, len(data.train), len(data.test())) == (("ant", "猫"), 32, 16, 4)

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"a": np.zeros(3), "b": np.zeros(3)}, "keys a, b"),
            ({}, r"\(none\)"),
            ({"images": pixels(4, 8, 8)}, "no 'labels'"),
            ({"images": pixels(4, 8, 8), "labels": np.arange(3)}, "4 images but 3 labels"),
            ({"images": pixels(4, 8, 8), "labels": np.zeros((4, 14))}, r"\(4, 14\)"),
            ({"images": pixels(4, 8), "labels": np.arange(4)}, r"\(4, 8\)"),
            ({"images": pixels(4, 8, 8, 8), "labels": np.arange(4) % 2}, r"\(8, 8, 8\)"),
            ({"images": np.array([{}] * 4), "labels": np.arange(4)}, "pickle"),
            ({"x_train": pixels(4, 8, 8), "y_train": np.arange(4), "x_test": pixels(2, 8, 8)}, "no 'y_test'"),
        ],
    )
    def test_what_cannot_be_used(self, tmp_path, arrays, message):
        np.savez(tmp_path / "set.npz", **arrays)
        with pytest.raises(DataError, match=message) as error:
            load_data(str(tmp_path / "set.npz"))
        assert str(error.value).startswith(str(tmp_path / "set.npz"))
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("content", [b"", b"no", b"PK\x03\x04no", "npy", "cut"])
    def test_damaged_files(self, tmp_path, content):
        path = tmp_path / "set.npz"
        np.savez(path, images=pixels(20, 8, 8), labels=np.arange(20) % 2)
        if content == "npy":
            np.save(tmp_path / "array.npy", pixels(3, 8, 8))
            content = (tmp_path / "array.npy").read_bytes()
        path.write_bytes(path.read_bytes()[:-40] if content == "cut" else content)
        with pytest.raises(DataError, match=r"set\.npz: cannot be read"):
            load_data(str(path))


@pytest.mark.usefixtures("unchecked", "no_pictures")
def test_a_run_on_a_file(tmp_path, monkeypatch, command):
    """The setting stays the path: the command line, a run that goes on, and the test of the model all read it again."""
    labels = np.arange(40) % 2
    np.savez(
        tmp_path / "set.npz",
        images=pixels(40, 8, 8) // 4 + (labels * 150).astype(np.uint8)[:, None, None],
        labels=labels,
    )
    options = {**TRAIN, "data": str(tmp_path / "set.npz"), "subset": None, "epochs": 1}
    run = zarts.retrain("DARTS_V2", out=tmp_path / "run", quiet=True, **options)
    assert zarts.evaluate(run) == run.test_accuracy
    assert command("evaluate", run.run, "--data", tmp_path / "set.npz")[0] == 0
    with pytest.raises(SettingsError, match="did you mean 'fashion-mnist'"):
        check_data("fashion_mnist")


def test_arrays_that_unpack_to_more_than_there_is_memory(tmp_path, monkeypatch):
    arrays = {"images": np.zeros((1000, 28, 28), np.uint8), "labels": np.zeros(1000, np.int64)}
    np.savez_compressed(tmp_path / "set.npz", **arrays)
    assert (tmp_path / "set.npz").stat().st_size < 10_000
    monkeypatch.setattr("zarts.data.npz.free_memory", lambda: 700_000)
    with pytest.raises(DataError, match="more than there is memory"):
        load_data(str(tmp_path / "set.npz"))
