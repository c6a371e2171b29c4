import hashlib
import pickle
import urllib.error

import numpy as np
import pytest
import torch
from torchvision import datasets

from zarts.data import DATA_SETS, load_data
from zarts.errors import DataError, SettingsError


def test_registry():
    assert sorted(DATA_SETS) == ["cifar10", "cifar100", "digits", "svhn"]


def test_digits():
    data = load_data("digits")
    test = data.test()
    assert (data.name, data.image_size, data.channels, data.flip) == ("digits", 8, 1, False)
    assert data.classes == tuple("0123456789")
    assert data.train.images.dtype == torch.uint8
    assert (int(data.train.images.min()), int(data.train.images.max())) == (0, 255)
    assert (len(data.train), len(test)) == (1438, 359)
    assert (torch.bincount(data.train.labels) / 1438 - torch.bincount(test.labels) / 359).abs().max() < 0.003
    assert data.mean == pytest.approx(((data.train.images / 255).mean().item(),), abs=1e-5)
    assert data.std == pytest.approx(((data.train.images / 255).std().item(),), abs=1e-4)
    assert data.manifest == {"source": "digits", "classes": 10, "train_images": 1438}


def test_digits_have_one_test_set_whatever_the_seed():
    from sklearn.datasets import load_digits

    one, other = load_data("digits", seed=0), load_data("digits", seed=1)
    assert torch.equal(one.train.images, other.train.images)
    assert torch.equal(one.test().images, other.test().images)
    together = torch.cat([one.train.images, one.test().images]).flatten(1).tolist()
    every = (load_digits().images * 255 / 16).round().astype(int).reshape(1797, 64).tolist()
    assert sorted(together) == sorted(every)


def test_subset_is_seeded_and_stratified():
    subsets = [load_data("digits", subset=100, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(subsets[0].train.images, subsets[1].train.images)
    assert not torch.equal(subsets[0].train.images, subsets[2].train.images)
    assert (torch.bincount(subsets[0].train.labels) - 10).abs().max() <= 1
    assert len(subsets[0].test()) == 359
    with pytest.raises(DataError, match=r"subset is 1439, but there are 1438 training images"):
        load_data("digits", subset=1439)


def test_another_size_holds_for_the_test_too():
    data = load_data("digits", image_size=16)
    assert data.train.images.shape == (1438, 1, 16, 16)
    assert data.test().images.shape == (359, 1, 16, 16)
    assert data.train.images.dtype == torch.uint8
    assert data.mean == pytest.approx(load_data("digits").mean, abs=0.01)


def test_loading_leaves_the_global_random_state():
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    load_data("digits", subset=50)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "cifar11",
            r"unknown data set 'cifar11': did you mean 'cifar10'\? known are cifar10, .*, or the path of a folder",
        ),
        (
            "pets",
            r"unknown data set 'pets': known are .*, or the path of a folder of images with one sub-folder a class",
        ),
    ],
)
def test_unknown_name(name, message):
    with pytest.raises(SettingsError, match=message):
        load_data(name)


def fake_cifar(root, monkeypatch, kind, label_key, classes):
    """Six training and four test images in the files of the published set, under their own checksums."""
    base = root / kind.base_folder
    base.mkdir(parents=True)

    def write(name, content):
        (base / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((base / name).read_bytes()).hexdigest()

    def part(n, level):
        return {"data": np.full((n, 3072), level, dtype=np.uint8), label_key: [i % 2 for i in range(n)]}

    monkeypatch.setattr(kind, "train_list", [["one", write("one", part(6, 10))]])
    monkeypatch.setattr(kind, "test_list", [["two", write("two", part(4, 20))]])
    md5 = write("meta", {"names": classes})
    monkeypatch.setattr(kind, "meta", {"filename": "meta", "key": "names", "md5": md5})


@pytest.mark.parametrize(
    ("name", "kind", "key", "mean"),
    [
        ("cifar10", datasets.CIFAR10, "labels", (0.4914, 0.4822, 0.4465)),
        ("cifar100", datasets.CIFAR100, "fine_labels", (0.5071, 0.4865, 0.4409)),
    ],
)
def test_cifar(tmp_path, monkeypatch, name, kind, key, mean):
    fake_cifar(tmp_path, monkeypatch, kind, key, ["cat", "dog"])
    data = load_data(name, data_dir=tmp_path)
    assert (data.classes, data.mean, data.flip) == (("cat", "dog"), mean, True)
    assert data.train.images.shape == (6, 3, 32, 32)
    assert data.train.images.is_contiguous(memory_format=torch.channels_last)
    assert data.train.labels.tolist() == [0, 1] * 3
    test = load_data(name, data_dir=str(tmp_path), image_size=16).test()
    assert test.images.shape == (4, 3, 16, 16)
    assert test.images.unique().tolist() == [20]


def test_damaged_files_are_not_unpickled(tmp_path, monkeypatch):
    fake_cifar(tmp_path, monkeypatch, datasets.CIFAR10, "labels", ["cat", "dog"])
    (tmp_path / "cifar-10-batches-py/one").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    monkeypatch.setattr(datasets.CIFAR10, "download", lambda _: None)
    with pytest.raises(DataError, match=r"missing or damaged .* \(Dataset not found or corrupted"):
        load_data("cifar10", data_dir=tmp_path)


def test_svhn(tmp_path, monkeypatch):
    from scipy.io import savemat

    parts = {}
    for part, n in (("train", 5), ("test", 3)):
        file = tmp_path / f"{part}_32x32.mat"
        pixels = np.random.default_rng(n).integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
        savemat(file, {"X": pixels, "y": np.array([[10], [1], [2], [3], [4]][:n], dtype=np.uint8)})
        parts[part] = ["http://example.invalid/x", file.name, hashlib.md5(file.read_bytes()).hexdigest()]
    monkeypatch.setattr(datasets.SVHN, "split_list", parts)
    data = load_data("svhn", data_dir=tmp_path)
    assert (data.flip, data.classes, data.train.labels.tolist()) == (True, tuple("0123456789"), [0, 1, 2, 3, 4])
    assert data.train.images.shape == (5, 3, 32, 32)
    assert data.std == (0.1980, 0.2010, 0.1970)
    test = data.test()
    assert torch.equal(test.images[1], torch.from_numpy(pixels[:, :, :, 1]).permute(2, 0, 1))


@pytest.mark.parametrize(
    ("name", "kind", "file"),
    [
        ("cifar10", datasets.CIFAR10, "cifar-10-python.tar.gz"),
        ("cifar100", datasets.CIFAR100, "cifar-100-python.tar.gz"),
        ("svhn", datasets.SVHN, "train_32x32.mat"),
    ],
)
def test_missing_without_network(tmp_path, monkeypatch, name, kind, file):
    def no_network(_):
        raise urllib.error.URLError("no network\nat all")

    monkeypatch.setattr(kind, "download", no_network)
    with pytest.raises(DataError) as raised:
        load_data(name, data_dir=tmp_path)
    message = str(raised.value)
    assert f"{file} is missing or damaged in {tmp_path} and cannot be downloaded" in message
    assert f"/{file} and put it into {tmp_path}" in message
    assert "\n" not in message
    assert raised.value.exit_code == 3
