import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from zarts.data import load_data
from zarts.errors import DataError, SettingsError


def fill(folder, classes, count, size=(12, 10), grey=False, seed=0):
    random = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            shape = (*size, 3) if not grey else size
            Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(folder / name / f"{i:02}.png")
    return folder


@pytest.fixture
def flat(tmp_path):
    return fill(tmp_path / "pets", ["cat", "dog"], 10)


@pytest.fixture
def parted(tmp_path):
    fill(tmp_path / "pets/train", ["cat", "dog"], 6)
    fill(tmp_path / "pets/test", ["cat", "dog"], 3, seed=1)
    return tmp_path / "pets"


def test_train_and_test_folders(parted):
    data = load_data(str(parted), image_size=8)
    assert (data.name, data.classes, data.channels, data.image_size) == (str(parted), ("cat", "dog"), 3, 8)
    assert (data.flip, data.notes) == (True, ())
    assert data.train.images.shape == (12, 3, 8, 8)
    assert data.train.labels.tolist() == [0] * 6 + [1] * 6
    assert data.train.names[0] == "train/cat/00.png"
    assert data.counts == {"train": 12, "test": 6}
    assert (data.manifest["source"], data.manifest["classes"]) == (str(parted), ["cat", "dog"])
    assert data.manifest["labels"]["test"] == [0] * 3 + [1] * 3
    assert "seed" not in data.manifest
    test = data.test()
    assert (len(test), test.names[-1], test.labels.tolist()) == (6, "test/dog/02.png", [0] * 3 + [1] * 3)


def test_default_size_is_32_and_paths_may_be_paths(parted):
    assert load_data(parted).image_size == 32


def test_capital_letters(parted):
    (parted / "train").rename(parted / "Train")
    (parted / "test").rename(parted / "TEST")
    data = load_data(parted, image_size=8)
    assert data.train.names[0] == "Train/cat/00.png"
    assert data.test().names[0] == "TEST/cat/00.png"


def cut(path):
    """Keep the header of a PNG file, which tells that it is one, and not its pixels."""
    path.write_bytes(path.read_bytes()[:60])


def test_test_images_are_not_decoded_before_they_are_asked_for(parted):
    broken = parted / "test/dog/01.png"
    cut(broken)
    data = load_data(parted, image_size=8)
    assert len(data.train) == 12
    with pytest.raises(DataError, match=r"1 damaged \(first: test/dog/01\.png"):
        data.test()


def test_set_aside_images_are_not_decoded_before_they_are_asked_for(flat):
    held_out = load_data(flat, image_size=8).manifest["test"]
    cut(flat / held_out[0])
    data = load_data(flat, image_size=8)
    with pytest.raises(DataError, match=held_out[0]):
        data.test()


def test_split_is_a_stratified_partition(flat):
    data = load_data(flat, image_size=8, seed=4)
    test = data.test()
    assert torch.bincount(test.labels).tolist() == [2, 2]
    assert torch.bincount(data.train.labels).tolist() == [8, 8]
    assert not set(test.names) & set(data.train.names)
    assert len({*test.names, *data.train.names}) == 20
    assert list(test.names) == data.manifest["test"]
    assert list(data.train.names) == data.manifest["train"]
    assert (data.manifest["source"], data.manifest["seed"]) == (str(flat), 4)


def test_split_depends_on_the_seed_alone(flat):
    tests = [load_data(flat, image_size=8, seed=seed).manifest["test"] for seed in (0, 0, 1, 2)]
    assert tests[0] == tests[1]
    assert len({tuple(names) for names in tests}) > 1


def test_subset_draws_from_the_training_part(flat):
    whole, part = load_data(flat, image_size=8), load_data(flat, image_size=8, subset=6)
    assert torch.bincount(part.train.labels).tolist() == [3, 3]
    assert set(part.train.names) < set(whole.train.names)
    assert part.manifest == whole.manifest
    assert len(part.test()) == 4
    for name, image in zip(part.train.names, part.train.images, strict=True):
        assert torch.equal(image, whole.train.images[whole.train.names.index(name)])


def test_only_the_subset_is_decoded(flat):
    chosen = load_data(flat, image_size=8, subset=4).train.names
    for path in flat.rglob("*.png"):
        if path.relative_to(flat).as_posix() not in chosen:
            cut(path)
    assert load_data(flat, image_size=8, subset=4).train.names == chosen


def test_subset_larger_than_the_folder(flat):
    with pytest.raises(DataError, match="subset is 17"):
        load_data(flat, subset=17)


def test_one_channel_if_all_training_images_are_grey(tmp_path):
    fill(tmp_path / "train", ["a", "b"], 3, grey=True)
    fill(tmp_path / "test", ["a", "b"], 2)
    data = load_data(tmp_path, image_size=8)
    assert data.channels == len(data.mean) == len(data.std) == 1
    assert data.test().images.shape == (4, 1, 8, 8)


def test_set_aside_images_get_the_channels_too(tmp_path):
    data = load_data(fill(tmp_path / "grey", ["a", "b"], 6, grey=True), image_size=8)
    assert data.train.images.shape[1] == data.test().images.shape[1] == 1


def test_test_images_get_the_channels_of_the_training_images(tmp_path):
    fill(tmp_path / "train", ["a", "b"], 3)
    fill(tmp_path / "test", ["a", "b"], 2, grey=True)
    assert load_data(tmp_path, image_size=8).test().images.shape == (4, 3, 8, 8)


def test_nested_folders_count_and_other_files_do_not(flat):
    (flat / "cat/deep/er").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(flat / "cat/deep/er/x.PNG")
    (flat / "cat/.hidden").mkdir()
    (flat / ".git").mkdir()
    for name in ("cat/notes.txt", "cat/.hidden.png", "cat/.hidden/y.png", "README.md", "top.png"):
        (flat / name).write_bytes(b"not an image")
    data = load_data(flat, image_size=8)
    assert data.classes == ("cat", "dog")
    assert len(data.train) + len(data.test()) == 21


def test_a_class_may_be_called_train(tmp_path):
    fill(tmp_path, ["plane", "train"], 3)
    assert load_data(tmp_path, image_size=8).classes == ("plane", "train")


def test_survives_pickling(flat):
    data = load_data(flat, image_size=8)
    assert pickle.loads(pickle.dumps(data)).test().names == data.test().names  # noqa: S301


def test_constant_images_have_a_std_that_divides(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("L", (8, 8 + 8 * (name == "b") + i), 100).save(tmp_path / name / f"{i}.png")
    data = load_data(tmp_path)
    assert data.std == pytest.approx((1 / 255,))
    assert data.mean == pytest.approx((100 / 255,))


def test_a_home_folder(flat, monkeypatch):
    monkeypatch.setenv("HOME", str(flat.parent))
    assert load_data("~/pets", image_size=8).classes == ("cat", "dog")


def test_no_folder(tmp_path):
    with pytest.raises(DataError, match="nowhere") as raised:
        load_data(str(tmp_path / "nowhere"))
    assert raised.value.exit_code == 3
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\.zip"):
        load_data(tmp_path / "a.zip")


def test_too_few_classes(tmp_path):
    with pytest.raises(DataError, match="sub-folders"):
        load_data(tmp_path)
    fill(tmp_path, ["only"], 3)
    with pytest.raises(DataError, match="'only'"):
        load_data(tmp_path)


def test_class_without_images(flat):
    (flat / "emu").mkdir()
    (flat / "emu/notes.txt").write_text("none yet")
    with pytest.raises(DataError, match="pets"):
        load_data(flat)


def test_class_with_one_image_cannot_be_split(flat):
    fill(flat, ["emu"], 1)
    with pytest.raises(DataError, match="'emu'"):
        load_data(flat)


def test_broken_training_image(parted):
    (parted / "train/cat/03.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"03\.png"):
        load_data(parted)


def test_train_without_test(parted):
    (parted / "test").rename(parted / "valid")
    with pytest.raises(DataError, match="no test/"):
        load_data(parted)


def test_test_without_train(parted):
    (parted / "train").rename(parted / "other")
    with pytest.raises(DataError, match="no train/"):
        load_data(parted)


def test_test_with_other_classes(parted):
    (parted / "test/dog").rename(parted / "test/cow")
    with pytest.raises(DataError, match="same classes"):
        load_data(parted, image_size=8)


def test_test_class_without_images(parted):
    for path in (parted / "test/cat").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="'cat'"):
        load_data(parted, image_size=8).test()


@pytest.mark.parametrize("where", ["", "cat"])
def test_folder_that_may_not_be_read(flat, monkeypatch, where):
    scandir, listdir = os.scandir, os.listdir

    def refusing(call):
        def wrapped(path):
            if str(path) == str(flat / where):
                raise PermissionError(13, "Permission denied", str(path))
            return call(path)

        return wrapped

    monkeypatch.setattr(os, "scandir", refusing(scandir))
    monkeypatch.setattr(os, "listdir", refusing(listdir))
    with pytest.raises(DataError, match=f"{flat / where}: "):
        load_data(flat)


def test_impossible_sizes(flat):
    for size in (4, 30):
        with pytest.raises(SettingsError, match=f"image_size is {size}"):
            load_data(flat, image_size=size)
