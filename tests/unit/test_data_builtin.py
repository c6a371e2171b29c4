import hashlib
import pickle
import tarfile
import urllib.error

import numpy as np
import pytest
import torch
from torchvision import datasets

from zarts.data import DATA_SETS, load_data
from zarts.errors import DataError, SettingsError


def test_registry():
    names = ["cifar10", "cifar100", "cifar100-p-darts", "digits", "fashion-mnist", "imagenet", "imagenet16"]
    names += ["imagenet16-120", "mnist", "svhn"]
    assert sorted(DATA_SETS) == names


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
    with pytest.raises(DataError, match="subset is 1439"):
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


def test_unknown_name():
    with pytest.raises(SettingsError, match="'cifar10'"):
        load_data("cifar11")
    with pytest.raises(DataError, match="pets: not found"):
        load_data("pets")


@pytest.mark.parametrize(
    ("name", "file"),
    [("cifar10", "cifar-10-python.tar.gz"), ("cifar100", "cifar-100-python.tar.gz"), ("svhn", "train_32x32.mat")],
)
def test_missing_without_network(tmp_path, monkeypatch, name, file):
    def no_network(*_, **__):
        raise urllib.error.URLError("no network\nat all")

    monkeypatch.setattr(datasets.utils, "_urlretrieve", no_network)
    with pytest.raises(DataError) as raised:
        load_data(name, data_dir=tmp_path)
    message = str(raised.value)
    assert f"{file} is missing or damaged in {tmp_path} and cannot be downloaded" in message
    assert f"/{file} and put it into {tmp_path}" in message
    assert "\n" not in message
    assert raised.value.exit_code == 3


def test_an_archive_put_there_is_unpacked_if_it_is_the_published_one(tmp_path, monkeypatch):
    def no_network(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(datasets.utils, "_urlretrieve", no_network)
    archive, folder = tmp_path / "cifar-10-python.tar.gz", tmp_path / "other/cifar-10-batches-py"
    folder.mkdir(parents=True)
    batch = {"data": np.full((2, 3072), 7, dtype=np.uint8), "labels": [0, 1]}
    for file, content in (
        ("data_batch_1", batch),
        ("test_batch", batch),
        ("batches.meta", {"label_names": ["a", "b"]}),
    ):
        (folder / file).write_bytes(pickle.dumps(content))
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    with pytest.raises(DataError, match=r"cifar-10-python\.tar"):
        load_data("cifar10", data_dir=tmp_path)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    assert load_data("cifar10", data_dir=tmp_path).train.images.unique().tolist() == [7]
