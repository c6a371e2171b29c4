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
    assert data.notes == (
        f"{flat}: 3 images came after the split into train and test and are left out "
        "(first: bird/00.png); a new search will use them",
    )


def test_manifest_image_that_is_gone(flat):
    manifest = load_data(flat, image_size=8).manifest
    (flat / manifest["test"][1]).unlink()
    with pytest.raises(DataError, match=rf"'{manifest['test'][1]}' of the earlier split .* is not there any more"):
        load_data(flat, manifest=manifest)


def test_manifest_opens_nothing_outside_the_folder(flat):
    manifest = load_data(flat, image_size=8).manifest
    Image.new("RGB", (8, 8)).save(flat.parent / "outside.png")
    with pytest.raises(DataError, match=r"'\.\./outside\.png' of the earlier split"):
        load_data(flat, manifest={**manifest, "train": [*manifest["train"], "../outside.png"]})


def test_manifest_with_an_image_in_both_parts(flat):
    manifest = load_data(flat, image_size=8).manifest
    leaked = manifest["test"][0]
    with pytest.raises(DataError, match=rf"'{leaked}' is in both lists, train and test"):
        load_data(flat, manifest={**manifest, "train": [*manifest["train"], leaked]})


def test_manifest_with_a_class_only_to_test(flat):
    manifest = load_data(flat, image_size=8).manifest
    only_cats = [name for name in manifest["train"] if name.startswith("cat")]
    data = load_data(flat, image_size=8, manifest={**manifest, "train": only_cats})
    with pytest.raises(DataError, match=r"class 'dog' has test images but no training images"):
        data.test()


@pytest.mark.parametrize("broken", [{"source": "digits"}, {"train": ["a"], "test": []}, {"train": "ab", "test": ["c"]}])
def test_manifest_of_something_else(flat, broken):
    with pytest.raises(DataError, match=r"the earlier split \(split\.json\) lists no \w+ images; it is of"):
        load_data(flat, manifest=broken)


def test_manifest_of_a_split_for_a_folder_with_parts(tmp_path):
    manifest = load_data(fill(tmp_path / "flat", ["cat", "dog"], 3), image_size=8).manifest
    parted = tmp_path / "parted"
    fill(parted / "train", ["cat", "dog"], 3)
    fill(parted / "test", ["cat", "dog"], 2)
    with pytest.raises(DataError, match=r"has train/ and test/, but the earlier split \(split\.json\) is of a folder"):
        load_data(parted, manifest=manifest)
    own = load_data(parted, image_size=8).manifest
    assert load_data(parted, image_size=8, manifest=own).manifest == own
