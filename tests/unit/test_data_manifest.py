import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from zarts.data import load_data
from zarts.data.known_split import digest
from zarts.errors import DataError


def fill(folder, classes, count, seed=0):
    random = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(folder / name / f"{i:02}.png")
    return folder


def of_0_1_0(manifest):
    """The split of a folder as zarts 0.1.0 wrote it: names alone."""
    return {key: manifest[key] for key in ("source", "seed", "train", "test")}


@pytest.fixture
def flat(tmp_path):
    return fill(tmp_path / "pets", ["cat", "dog"], 10)


def test_manifest_gives_the_same_split_again(flat):
    first = load_data(flat, image_size=8, seed=0)
    manifest = json.loads(json.dumps(first.manifest))
    again = load_data(flat, image_size=8, seed=9, manifest=manifest)
    assert again.train.names == first.train.names
    assert again.test().names == first.test().names
    assert (again.manifest, again.notes) == (manifest, ())


def test_images_that_came_after_the_split_are_left_out_and_told(flat):
    manifest = load_data(flat, image_size=8).manifest
    fill(flat, ["bird"], 2)
    Image.new("RGB", (8, 8)).save(flat / "cat/new.png")
    data = load_data(flat, image_size=8, manifest=manifest)
    assert data.classes == ("cat", "dog")
    assert "cat/new.png" not in {*data.train.names, *data.test().names}
    (note,) = data.notes
    assert note.startswith(f"{flat}: 3 images")
    assert "bird/00.png" in note


def test_manifest_image_that_is_gone(flat):
    manifest = load_data(flat, image_size=8).manifest
    (flat / manifest["test"][1]).unlink()
    with pytest.raises(DataError, match=f"'{manifest['test'][1]}'"):
        load_data(flat, manifest=manifest)


def test_manifest_opens_nothing_outside_the_folder(flat):
    manifest = of_0_1_0(load_data(flat, image_size=8).manifest)
    Image.new("RGB", (8, 8)).save(flat.parent / "outside.png")
    with pytest.raises(DataError, match=r"outside\.png"):
        load_data(flat, manifest={**manifest, "train": [*manifest["train"], "../outside.png"]})


def test_manifest_with_an_image_in_both_parts(flat):
    manifest = of_0_1_0(load_data(flat, image_size=8).manifest)
    leaked = manifest["test"][0]
    with pytest.raises(DataError, match=f"'{leaked}'"):
        load_data(flat, manifest={**manifest, "train": [*manifest["train"], leaked]})


def test_manifest_with_a_class_only_to_test(flat):
    manifest = of_0_1_0(load_data(flat, image_size=8).manifest)
    only_cats = [name for name in manifest["train"] if name.startswith("cat")]
    with pytest.raises(DataError, match="'dog'"):
        load_data(flat, image_size=8, manifest={**manifest, "train": only_cats}).test()


@pytest.mark.parametrize("broken", [{"source": "digits"}, {"train": ["a"], "test": []}, {"train": "ab", "test": ["c"]}])
def test_manifest_of_something_else(flat, broken):
    with pytest.raises(DataError, match=r"split\.json"):
        load_data(flat, manifest=broken)


@pytest.fixture
def parted(tmp_path):
    fill(tmp_path / "parted/train", ["cat", "dog"], 6)
    fill(tmp_path / "parted/test", ["cat", "dog"], 2, seed=1)
    return tmp_path / "parted"


def as_0_1_0(parted, manifest):
    """The manifest of given parts as zarts 0.1.0 wrote it: counts and a digest of the names."""
    return {"source": str(parted), "classes": 2, "train_images": 12, "train_names": digest(manifest["train"])}


@pytest.mark.parametrize("old", [False, True])
def test_a_run_goes_on_with_the_training_images_that_it_began_with(parted, old):
    """Of a folder with parts; the names count, not the order in which the disk lists them."""
    first = load_data(parted, image_size=8)
    manifest = as_0_1_0(parted, first.manifest) if old else json.loads(json.dumps(first.manifest))
    away = (parted / "train/cat/00.png").rename(parted / "away.png")
    with pytest.raises(DataError, match=r"split\.json.*now there are 11" if old else r"'train/cat/00\.png'.*gone"):
        load_data(parted, image_size=8, manifest=manifest)
    away.rename(parted / "train/cat/00.png")
    again = load_data(parted, image_size=8, manifest=manifest)
    assert (again.train.names, again.manifest, again.notes) == (first.train.names, manifest, ())
    Image.new("RGB", (8, 8)).save(parted / "train/dog/new.png")
    if old:
        with pytest.raises(DataError, match="now there are 13"):
            load_data(parted, image_size=8, manifest=manifest)
        return
    grown = load_data(parted, image_size=8, manifest=manifest)
    assert grown.train.names == first.train.names
    assert "1 images were added" in grown.notes[0]
    with pytest.raises(DataError, match="in both lists"):
        load_data(parted, manifest={**manifest, "test": [*manifest["test"], manifest["train"][0]]})


def test_manifest_of_something_else_for_a_parted_folder(parted):
    with pytest.raises(DataError, match="digits"):
        load_data(parted, manifest={"source": "digits", "classes": 10, "train_images": 1438})


def moved(flat, tmp_path):
    """A copy with other names for folder and files, as after an export from a photo program."""
    for path in sorted(flat.rglob("*.png")):
        other = tmp_path / "moved" / path.parent.name / f"IMG_{path.stem}.png"
        other.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other)
    return tmp_path / "moved"


def contents(root, names):
    return [(root / name).read_bytes() for name in names]


def test_a_known_image_keeps_its_part_in_another_place_under_another_name(flat, tmp_path):
    first = load_data(flat, image_size=8)
    other = moved(flat, tmp_path)
    again = load_data(other, image_size=8, seed=5, manifest=first.manifest)
    assert torch.equal(again.train.images, first.train.images)
    assert contents(other, again.test().names) == contents(flat, first.test().names)
    (other / "cat/IMG_00.png").unlink()
    with pytest.raises(DataError, match=r"'cat/00\.png'.*gone"):
        load_data(other, image_size=8, manifest=first.manifest)


@pytest.mark.parametrize("old", [False, True])
def test_new_images_are_dealt_and_known_ones_stay(flat, tmp_path, old):
    """Case 21: a folder that was copied and has grown; by names alone for a split of 0.1.0."""
    first = load_data(flat, image_size=8)
    other = flat if old else moved(flat, tmp_path)
    fill(other / "more", ["cat", "dog"], 5, seed=3)
    for kind in ("cat", "dog"):
        for path in (other / "more" / kind).iterdir():
            path.rename(other / kind / f"new_{path.name}")
        (other / "more" / kind).rmdir()
    (other / "more").rmdir()
    manifest = of_0_1_0(first.manifest) if old else first.manifest
    data = load_data(other, image_size=8, manifest=manifest, goes_on=False)
    for part, names, before in (
        ("train", data.train.names, first.train.names),
        ("test", data.test().names, first.test().names),
    ):
        known = [name for name in names if "new_" not in name]
        assert contents(other, known) == contents(flat, before), part
    assert torch.bincount(data.test().labels).tolist() == [3, 3]  # a fifth of 15 of each class
    assert "20 images are those of the earlier split" in data.notes[0]
    assert "10 are new: 8 training, 2 test" in data.notes[0]
    again = load_data(other, image_size=8, manifest=data.manifest)
    assert (again.train.names, again.test().names) == (data.train.names, data.test().names)


def test_a_copy_of_a_known_image_is_of_its_part(flat):
    first = load_data(flat, image_size=8)
    shutil.copy(flat / first.test().names[0], flat / "cat/copy.png")
    data = load_data(flat, image_size=8, manifest=first.manifest, goes_on=False)
    assert set(data.test().names) == {*first.test().names, "cat/copy.png"}
    assert data.train.names == first.train.names


def test_an_image_that_was_moved_into_the_test_folder_stays_a_training_image(parted):
    first = load_data(parted, image_size=8)
    (parted / "train/cat/00.png").rename(parted / "test/cat/zz.png")
    data = load_data(parted, image_size=8, manifest=first.manifest, goes_on=False)
    assert "test/cat/zz.png" in data.train.names
    assert data.test().names == first.test().names
    assert "1 lie in the folder of another part" in data.notes[0]


def test_another_folder_is_no_earlier_split(flat, tmp_path):
    """Of which no image is known: drawn as without a manifest."""
    first = load_data(flat, image_size=8)
    other = fill(tmp_path / "other", ["cat", "dog"], 10, seed=9)
    data = load_data(other, image_size=8, manifest=first.manifest, goes_on=False)
    assert data.manifest == load_data(other, image_size=8).manifest
    assert data.notes == ()


def test_a_class_that_an_image_of_a_going_run_has_left(flat):
    first = load_data(flat, image_size=8)
    (flat / first.train.names[0]).rename(flat / "dog/zz.png")
    with pytest.raises(DataError, match=r"'dog/zz\.png' is of class 'dog'"):
        load_data(flat, image_size=8, manifest=first.manifest)


def test_named_set_with_another_number_of_images():
    manifest = load_data("digits", subset=40).manifest
    assert load_data("digits", subset=40, manifest=manifest).manifest == manifest
    with pytest.raises(DataError, match="1438"):
        load_data("digits", manifest={**manifest, "train_images": 5})
    with pytest.raises(DataError, match="train_images"):
        load_data("digits", manifest={})
