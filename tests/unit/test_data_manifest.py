import json

import numpy as np
import pytest
from PIL import Image

from zarts.data import load_data
from zarts.errors import DataError


def fill(folder, classes, count):
    random = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(random.integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(folder / name / f"{i:02}.png")
    return folder


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
    manifest = load_data(flat, image_size=8).manifest
    Image.new("RGB", (8, 8)).save(flat.parent / "outside.png")
    with pytest.raises(DataError, match=r"outside\.png"):
        load_data(flat, manifest={**manifest, "train": [*manifest["train"], "../outside.png"]})


def test_manifest_with_an_image_in_both_parts(flat):
    manifest = load_data(flat, image_size=8).manifest
    leaked = manifest["test"][0]
    with pytest.raises(DataError, match=f"'{leaked}'"):
        load_data(flat, manifest={**manifest, "train": [*manifest["train"], leaked]})


def test_manifest_with_a_class_only_to_test(flat):
    manifest = load_data(flat, image_size=8).manifest
    only_cats = [name for name in manifest["train"] if name.startswith("cat")]
    data = load_data(flat, image_size=8, manifest={**manifest, "train": only_cats})
    with pytest.raises(DataError, match="'dog'"):
        data.test()


@pytest.mark.parametrize("broken", [{"source": "digits"}, {"train": ["a"], "test": []}, {"train": "ab", "test": ["c"]}])
def test_manifest_of_something_else(flat, broken):
    with pytest.raises(DataError, match=r"split\.json"):
        load_data(flat, manifest=broken)


def test_manifest_of_a_split_for_a_folder_with_parts(tmp_path):
    manifest = load_data(fill(tmp_path / "flat", ["cat", "dog"], 3), image_size=8).manifest
    parted = tmp_path / "parted"
    fill(parted / "train", ["cat", "dog"], 3)
    fill(parted / "test", ["cat", "dog"], 2)
    with pytest.raises(DataError, match=r"split\.json"):
        load_data(parted, manifest=manifest)
    own = load_data(parted, image_size=8).manifest
    assert load_data(parted, image_size=8, manifest=json.loads(json.dumps(own))).manifest == own


@pytest.fixture
def parted(tmp_path):
    fill(tmp_path / "parted/train", ["cat", "dog"], 3)
    fill(tmp_path / "parted/test", ["cat", "dog"], 2)
    return tmp_path / "parted"


def rename(folder):
    (folder / "cat/00.png").rename(folder / "cat/other.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda train: (train / "cat/00.png").unlink(),
            "now there are 5",
        ),
        (lambda train: Image.new("RGB", (8, 8)).save(train / "dog/new.png"), "now there are 7"),
        (rename, "digest"),
    ],
)
def test_training_images_of_a_parted_folder_that_changed(parted, change, message):
    manifest = load_data(parted, image_size=8).manifest
    change(parted / "train")
    with pytest.raises(DataError, match=rf"split\.json.*{message}"):
        load_data(parted, image_size=8, manifest=manifest)
    assert load_data(parted, image_size=8).manifest != manifest, "a new search takes what is there"


def test_images_put_back_are_the_same_again(parted):
    """The names count, not the order in which the disk lists them; the test images are not looked at."""
    first = load_data(parted, image_size=8)
    moved = (parted / "train/cat/00.png").rename(parted / "away.png")
    with pytest.raises(DataError):
        load_data(parted, image_size=8, manifest=first.manifest)
    moved.rename(parted / "train/cat/00.png")
    (parted / "test/cat/00.png").unlink()
    assert load_data(parted, image_size=8, manifest=first.manifest).train.names == first.train.names


def test_manifest_of_something_else_for_a_parted_folder(parted):
    with pytest.raises(DataError, match="train_names"):
        load_data(parted, manifest={"source": "digits", "classes": 10, "train_images": 1438})


def test_named_set_with_another_number_of_images():
    manifest = load_data("digits", subset=40).manifest
    assert load_data("digits", subset=40, manifest=manifest).manifest == manifest
    with pytest.raises(DataError, match="1438"):
        load_data("digits", manifest={**manifest, "train_images": 5})
    with pytest.raises(DataError, match="train_images"):
        load_data("digits", manifest={})
