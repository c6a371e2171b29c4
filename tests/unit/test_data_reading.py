"""Which images are read where there is no time for all: evenly drawn, the same again, and said."""

import json
import shutil

import pytest
from PIL import Image

from fits_tiny import fit_in
from zarts.config.fit import fit_settings
from zarts.data import ReadingTime, load_data, reading_time
from zarts.data.file_index import limited
from zarts.planner.pictures import Reading, first_size, how_many_to_read

pytestmark = pytest.mark.usefixtures("unchecked")

PARTS = {
    "train": {"cat": [f"cat/{i}.png" for i in range(600)], "dog": [f"dog/{i}.png" for i in range(300)]},
    "test": {
        "cat": [f"test/cat/{i}.png" for i in range(97)],
        "dog": ["test/dog/a.png", "test/dog/b.txt", "test/dog/c"],
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """400 of the digits, by class."""
    root = tmp_path_factory.mktemp("digits") / "images"
    digits = load_data("digits").train
    for i in range(400):
        place = root / str(int(digits.labels[i]))
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits.images[i, 0].numpy()).save(place / f"{i}.png")
    return root


def names(parts):
    return {name for found in parts.values() for own in found.values() for name in own}


def test_each_class_of_each_part_keeps_its_share_but_five():
    assert limited(PARTS, None, 0, ()) == limited(PARTS, 1000, 0, ()) == PARTS
    drawn = limited(PARTS, 200, 0, ())
    assert {part: {kind: len(own) for kind, own in found.items()} for part, found in drawn.items()} == {
        "train": {"cat": 120, "dog": 60},
        "test": {"cat": 19, "dog": 3},
    }
    for part, found in drawn.items():
        for kind, own in found.items():
            assert own == [name for name in PARTS[part][kind] if name in own]
    assert limited(PARTS, 200, 0, ()) == drawn
    assert limited(PARTS, 200, 1, ()) != drawn
    assert names(drawn) < names(limited(PARTS, 400, 0, ()))
    again = limited(PARTS, 10, 0, {"cat/3.png", "test/cat/9.png"})
    assert again == {"train": {"cat": ["cat/3.png"]}, "test": {"cat": ["test/cat/9.png"]}}, "a new class is left out"


def test_files_that_are_images_by_their_names_come_first():
    mixed = {"train": {"cat": [f"cat/{i}.txt" for i in range(100)] + [f"cat/{i}.png" for i in range(7)]}}
    drawn = limited(mixed, 10, 0, ())["train"]["cat"]
    assert sum(name.endswith(".png") for name in drawn) == 7


@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_a_run_that_goes_on_has_the_same_images_also_if_others_were_added(folder, tmp_path, kind):
    data = folder
    if kind == "csv":
        data = tmp_path / "list.csv"
        rows = [f"{file},{file.parent.name}" for file in sorted(folder.rglob("*.png"))]
        data.write_text("file,label\n" + "\n".join(rows) + "\n")
    first = load_data(data, image_size=8, most=100)
    assert 95 <= sum(first.counts.values()) <= 105
    assert len(first.classes) == 10
    if kind == "csv":
        (tmp_path / "new.png").write_bytes((folder / "0" / "0.png").read_bytes())
        data.write_text(data.read_text() + "new.png,1\n")
    again = load_data(data, image_size=8, most=100, manifest=first.manifest)
    assert again.train.names == first.train.names
    assert again.test().names == first.test().names


def test_reading_is_timed_of_many_files_and_two_sizes_are_read_twice(folder, tmp_path, monkeypatch):
    assert reading_time(folder, 8, 0) is None
    assert reading_time(tmp_path / "none", 8, 0) is None
    monkeypatch.setattr("zarts.data.reading._MANY", 100)
    found = reading_time(folder, 8, 0)
    assert found.files == 400
    assert 0 < found.seconds < 1
    monkeypatch.setattr("zarts.planner.pictures.reading_time", lambda place, size, seed: ReadingTime(100_000, 0.01))
    settings = fit_settings({"data": str(folder), "time": 1800})
    assert how_many_to_read(settings, 32) == {"files": 100_000, "seconds": 0.01, "most": 36_000}
    assert how_many_to_read(settings, 64) == {"files": 100_000, "seconds": 0.02, "most": 18_000}
    assert how_many_to_read(fit_settings({"data": str(folder), "time": 1800, "subset": 50}), 32)["most"] is None
    assert how_many_to_read(fit_settings({"data": str(folder), "time": 5000}), 32)["most"] is None
    assert how_many_to_read(fit_settings({"data": "digits"}), 32) is None
    read = {"train": 28_000, "test": 8_000}
    assert "all 100,000 images: 36,000 were drawn" in Reading(100_000, 0.01, 36_000).remark(read)
    assert "--time 84m" in Reading(100_000, 0.01, 36_000).remark(read)
    assert "--time 14h" in Reading(1_000_000, 0.01, 36_000).remark(read)
    assert Reading(36_000, 0.01, 10_000).remark(read) == Reading(100_000, 0.01, None).remark(read) == ""


def test_only_images_in_the_parts_that_are_used_are_counted(tmp_path, monkeypatch):
    for name in ("train/a/1.png", "train/a/1.xml", "train/b/2.png", "test/a/3.png", "test/b/4.png", "raw/5.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / name, "png")
    monkeypatch.setattr("zarts.data.reading._MANY", 1)
    assert reading_time(tmp_path, 8, 0).files == 4


def test_what_is_no_image_is_no_share_of_those_that_are_drawn(folder, tmp_path):
    root = tmp_path / "images"
    shutil.copytree(folder, root)
    for number in range(20):  # a twentieth of all, but a third of those that are read
        (root / "0" / f"{number}.png.link").symlink_to(tmp_path / "nowhere")
    assert sum(load_data(root, image_size=8, most=60).counts.values()) <= 65


def test_a_list_s_images_have_their_own_size(folder, tmp_path):
    data = tmp_path / "list.csv"
    data.write_text("file,label\n" + "".join(f"{file},{file.parent.name}\n" for file in folder.rglob("*.png")))
    assert first_size(fit_settings({"data": str(data)})) == first_size(fit_settings({"data": str(folder)})) == 8


def test_a_fit_without_time_for_all_images_says_how_many_it_read(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("zarts.planner.pictures.reading_time", lambda place, size, seed: ReadingTime(400, 0.2))
    monkeypatch.setattr("zarts.planner.pictures._LEAST_READ", 150)
    monkeypatch.setattr("zarts.api._fit_session._budget", one_without_end)  # of 0.2 s an image
    result = fit_in(tmp_path / "run", data=str(folder), int8=False)
    said = "There was no time to read all 400 images: 149 were drawn"  # as each class has a share, rounded
    assert said in " ".join(result.facts["details"])
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert 145 <= len(split["train"]) + len(split["test"]) <= 155


def one_without_end(settings, run, begun, data, reading):
    from zarts.planner.budget import Budget

    assert reading.most == 150
    return Budget(120.0, begun, 0.0, 5.0)
