"""What is used of a folder and what is left out, and that nothing leaks from the test."""

import csv
import json
import os
import shutil
import unicodedata

import numpy as np
import pytest
import torch
from PIL import Image

import zarts
from small import small, stop_at
from zarts.config import dump, search_settings
from zarts.data import halves, load_data, load_test_images, python_data
from zarts.data import left_out as left_out_module
from zarts.data.groups import groups_of
from zarts.errors import DataError, Interrupted, SettingsError
from zarts.runs import Run
from zarts.training.setup import load_images


def image(path, seed, size=12):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="PNG" if path.suffix == ".png" else "JPEG")


def fill(root, classes, count, first=0, suffix="png"):
    for number, kind in enumerate(classes):
        for i in range(count):
            image(root / kind / f"{first + i:03d}.{suffix}", 1000 * number + first + i)
    return root


def reasons(data):
    return sorted((one.name, one.reason) for one in data.left_out)


def used(data):
    return {*data.train.names, *data.test().names}


def test_every_readable_image_is_used(tmp_path):
    """Case 1: endings say nothing, and linked folders are followed; loops of links end."""
    root = fill(tmp_path / "pets", ["cat", "frog"], 10)
    for i in range(10, 20):
        image(root / "cat" / f"{i:03d}.jfif", i)
    image(root / "cat/without", 50)
    image(root / "cat/called.bin", 51)
    shutil.copy(root / "cat/000.png", root / "cat/named.txt")
    fill(tmp_path, ["elsewhere"], 10, first=100)
    (root / "frog/more").symlink_to(tmp_path / "elsewhere")
    (root / "frog/more/back").symlink_to(root / "frog")
    (root / "frog/itself").symlink_to(root / "frog/itself")
    (root / "frog/linked.png").symlink_to(tmp_path / "elsewhere/000.png")
    data = load_data(root, image_size=8, allow_left_out=True)
    assert sum(data.counts.values()) == 20 + 10 + 3 + 10
    assert {"cat/019.jfif", "cat/without", "cat/called.bin", "cat/named.txt", "frog/more/105.png"} <= used(data)
    assert reasons(data) == [("frog/itself", "broken link"), ("frog/linked.png", "broken link")]


def test_debris_of_other_systems_is_neither_image_nor_class(tmp_path):
    """Case 2."""
    root = fill(tmp_path / "pets", ["cat", "frog"], 8)
    expected = load_data(root, image_size=8)
    for kind in ("cat", "frog"):
        for i in range(8):
            (root / kind / f"._{i:03d}.png").write_bytes(b"\0\5\x16\7" + bytes(78))
        image(root / kind / ".ipynb_checkpoints/000-checkpoint.png", 77)
        shutil.copy(root / kind / "001.png", root / kind / ".hidden.png")
        (root / kind / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (root / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    image(root / "__MACOSX/cat/000.png", 78)
    (root / "README.md").write_text("pets")
    data = load_data(root, image_size=8)
    assert (data.classes, data.counts) == (("cat", "frog"), expected.counts)
    assert data.train.names == expected.train.names
    (note,) = data.notes
    assert "22 left by another system" in note
    assert "2 hidden" in note
    assert "1 another kind of file (first: README.md)" in note


def test_what_is_left_out_is_counted_listed_and_stops_a_run_above_five_percent(tmp_path):
    root = fill(tmp_path / "pets", ["cat", "dog"], 19)
    (root / "cat/empty.png").touch()
    (root / "dog/text.jpg").write_text("no image")
    data = load_data(root, image_size=8)  # 2 of 40
    assert len(reasons(data)) == 2
    image(root / "stray.png", 5)
    with pytest.raises(DataError, match=r"3 of 41 images \(7 %\) would be left out.*stray\.png.*allow_left_out"):
        load_data(root, image_size=8)
    settings, heard = search_settings({"data": str(root), "image_size": 8, "allow_left_out": True}), []
    run = Run.create(tmp_path / "run", dump(settings), "search")
    load_images(settings, run, torch.device("cpu"), heard.append)
    notes = [event["text"] for event in heard if event["event"] == "note"]
    assert notes[0] == f"{root}: 2 classes, 30 training, 8 test images (drawn by split_seed = 0)"
    assert "left out: " in notes[1]
    with (run.path / "left_out.csv").open(newline="") as file:
        listed = {row["file"] for row in csv.DictReader(file)}
    assert listed == {"cat/empty.png", "dog/text.jpg", "stray.png"}


def cut(path):
    path.write_bytes(path.read_bytes()[:70])  # its header says that it is a PNG


def test_damaged_training_images_are_left_out_and_stay_so(tmp_path):
    root = fill(tmp_path / "pets", ["cat", "dog"], 30)
    whole = load_data(root, image_size=8)
    cut(root / whole.train.names[3])
    data = load_data(root, image_size=8)
    assert reasons(data) == [(whole.train.names[3], "damaged")]
    assert [*whole.train.names[:3], *whole.train.names[4:]] == list(data.train.names)
    again = load_data(root, image_size=8, manifest=json.loads(json.dumps(data.manifest)))
    assert (again.train.names, again.notes) == (data.train.names, ())
    cut(root / whole.train.names[5])
    with pytest.raises(DataError, match=r"repair"):
        load_data(root, image_size=8, manifest=data.manifest)  # a run goes on with the same images or not at all


def test_one_class_in_two_forms_of_unicode(tmp_path):
    """Case 10."""
    for part, form in (("train", "NFC"), ("test", "NFD")):
        fill(tmp_path / part, [unicodedata.normalize(form, kind) for kind in ("café", "thé")], 4, first=10 * len(part))
    data = load_data(tmp_path, image_size=8)
    assert data.classes == ("café", "thé")
    assert data.test().labels.tolist() == [0] * 4 + [1] * 4


def test_a_name_that_is_no_utf_8(tmp_path):
    """Case 9: kept losslessly in the split."""
    root = fill(tmp_path / "pets", ["blue", "red"], 5)
    odd = os.fsencode(root / "red") + b"/caf\xe9.png"
    (root / "red/000.png").rename(os.fsdecode(odd))
    data = load_data(root, image_size=8)
    text = json.dumps(data.manifest)
    assert text.isascii()
    names = {*json.loads(text)["train"], *json.loads(text)["test"]}
    assert os.fsdecode(b"red/caf\xe9.png") in names & used(data)


def test_validation_images_are_used_and_said(tmp_path):
    """Case 13."""
    for seed, part in enumerate(("train", "Val", "test")):
        fill(tmp_path / part, ["cat", "dog"], 4, first=100 * seed)
    data = load_data(tmp_path, image_size=8)
    assert data.counts == {"train": 8, "val": 8, "test": 8}
    assert data.val().names[0] == "Val/cat/100.png"
    (tmp_path / "more").mkdir()
    assert reasons(load_data(tmp_path, image_size=8)) == [("more", "another folder")]


def test_copies_never_straddle_parts_that_are_drawn(tmp_path):
    root = fill(tmp_path / "pets", ["cat", "dog"], 20)
    for kind in ("cat", "dog"):
        for i in range(20):
            shutil.copy(root / kind / f"{i:03d}.png", root / kind / f"copy{i:03d}.png")
    for seed in range(5):
        data = load_data(root, image_size=8, seed=seed)
        whole = {(root / name).read_bytes() for name in data.train.names}
        assert not whole & {(root / name).read_bytes() for name in data.test().names}
        assert torch.bincount(data.test().labels).tolist() == [8, 8]
        half, other = halves(data.train.labels, seed, data.units)
        read = [{(root / data.train.names[i]).read_bytes() for i in part.tolist()} for part in (half, other)]
        assert not read[0] & read[1]


def test_a_copy_across_given_parts_leaves_the_training_images(tmp_path):
    for seed, part in enumerate(("train", "val", "test")):
        fill(tmp_path / part, ["cat", "dog"], 30, first=100 * seed)
    shutil.copy(tmp_path / "test/cat/200.png", tmp_path / "train/dog/other.png")
    shutil.copy(tmp_path / "test/cat/201.png", tmp_path / "val/cat/x.png")
    shutil.copy(tmp_path / "val/cat/100.png", tmp_path / "train/cat/y.png")
    data = load_data(tmp_path, image_size=8)
    assert data.counts == {"train": 60, "val": 60, "test": 60}
    assert reasons(data) == [
        ("train/cat/y.png", "training image that is a copy of one of the validation images"),
        ("train/dog/other.png", "training image that is a copy of one of the test images"),
        ("val/cat/x.png", "validation image that is a copy of one of the test images"),
    ]
    assert "1 training image that is a copy of one of the test images (first: train/dog/other.png)" in data.notes[0]


def test_groups_stay_together(tmp_path):
    root = tmp_path / "films"
    for number, kind in enumerate(("cat", "dog")):
        for film in range(10):
            for frame in range(4):
                image(root / kind / f"film{film}_{frame}.png", 100 * number + 10 * film + frame)
    data = load_data(root, image_size=8, group_by=r"^(\w+/film\d+)_")
    films = [{name.split("_")[0] for name in names} for names in (data.train.names, data.test().names)]
    assert [len(part) for part in films] == [16, 4]
    assert not films[0] & films[1]
    half, _ = halves(data.train.labels, 0, data.units)
    assert len({data.train.names[i].split("_")[0] for i in half.tolist()}) == 8
    table = tmp_path / "groups.csv"
    names = sorted(used(data))
    table.write_text("file,group\n" + "".join(f"{name},{name.split('_')[0]}\n" for name in names))
    assert load_data(root, image_size=8, group_by=str(table)).train.names == data.train.names


@pytest.mark.parametrize(
    ("group_by", "error", "message"),
    [
        ("([", SettingsError, "regular expression"),
        ("dog", SettingsError, r"does not match 1 of 2 names in pets \(first: cat/1\.png\)"),
        ("missing.csv", DataError, r"missing\.csv"),
    ],
)
def test_what_is_no_group(group_by, error, message):
    with pytest.raises(error, match=message):
        groups_of(group_by, ["cat/1.png", "dog/1.png"], "pets")
    with pytest.raises(SettingsError, match="digits"):
        load_data("digits", group_by="x")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dog/1.png", "line 3 has file 'dog/1.png', group None"),
        ("dog/1.png,", "line 3 has file 'dog/1.png', group ''"),
        (",b", "line 3 has file '', group 'b'"),
        ("dog/1.png,b,c", "no more"),
        ("cat/1.png,b", r"line 3: cat/1\.png is in group 'a' already"),
        ("cat/1.png,a", r"1 images have no group \(first: dog/1\.png\)"),
    ],
)
def test_lines_that_give_no_group(tmp_path, line, message):
    file = tmp_path / "groups.csv"
    file.write_text(f"file,group\ncat/1.png,a\n{line}\n")
    with pytest.raises(DataError, match=message):
        groups_of(str(file), ["cat/1.png", "dog/1.png"], "pets")


def test_a_run_goes_on_where_its_images_were_moved(tmp_path, monkeypatch):
    """Case 15, for the search and the retraining."""
    root = fill(tmp_path / "pets", ["cat", "dog"], 20)
    settings = small("darts", data=str(root), image_size=8, subset=None, batch_size=8, epochs=2, warmup_epochs=0)
    whole = zarts.search(out=tmp_path / "whole", **settings)
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(3))
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "run", **settings)
    monkeypatch.undo()
    moved = root.rename(tmp_path / "moved")
    with pytest.raises(DataError, match=r"pets: not found; if the images of .* were moved, name the new place by data"):
        zarts.search(resume=tmp_path / "run")
    for other in ("digits", str(fill(tmp_path / "other", ["cat", "dog"], 20, first=500))):
        with pytest.raises((SettingsError, DataError), match=r"data = |is gone"):
            zarts.search(resume=tmp_path / "run", data=other)
    result = zarts.search(resume=tmp_path / "run", data=str(moved))
    assert all(torch.equal(result.alphas[kind], whole.alphas[kind]) for kind in whole.alphas)
    assert f"data: {moved}" in (result.run / "config.yaml").read_text()
    with pytest.raises(SettingsError, match="has finished"):
        zarts.search(resume=tmp_path / "run", data=str(moved))


def test_listing_many_images_shows_progress(tmp_path, monkeypatch):
    monkeypatch.setattr("zarts.data.contents._QUIET_SECONDS", -1.0)
    monkeypatch.setattr("zarts.data.contents._CHUNK", 10)
    heard = []
    load_data(fill(tmp_path, ["a", "b"], 12), image_size=8, report=lambda *at: heard.append(at))
    assert heard == [("listing images", 10, 24), ("listing images", 20, 24), ("listing images", 24, 24)]


def test_the_share_that_may_be_left_out():
    left = [left_out_module.LeftOut(str(i), "empty") for i in range(5)]
    left_out_module.check_share("x", 95, left, allowed=False)
    with pytest.raises(DataError):
        left_out_module.check_share("x", 94, left, allowed=False)
    debris = [left_out_module.LeftOut(str(i), "hidden") for i in range(50)]
    left_out_module.check_share("x", 95, [*left, *debris], allowed=False)


def test_a_picture_in_two_classes_is_said(tmp_path):
    root = fill(tmp_path / "pets", ["cat", "dog"], 6)
    shutil.copy(root / "cat/000.png", root / "dog/zz.png")
    data = load_data(root, image_size=8)
    assert data.notes == (f"{root}: 1 pictures are in two classes (first: cat/000.png, dog/zz.png)",)
    parts = [set(data.train.names), set(data.test().names)]
    assert any({"cat/000.png", "dog/zz.png"} <= part for part in parts)


def test_which_images_a_network_was_trained_on(tmp_path):
    """Of images elsewhere, also by a split of 0.1.0 whose folder is still there."""
    root = fill(tmp_path / "pets", ["cat", "dog"], 10)
    data = load_data(root, image_size=8)
    old = {key: data.manifest[key] for key in ("source", "seed", "train", "test")}
    other = tmp_path / "other"
    for path in root.rglob("*.png"):
        (other / path.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other / path.parent.name / f"x{path.name}")
    apart = tmp_path / "apart/test"
    shutil.copytree(other, apart)
    for manifest in (data.manifest, old):
        options = {"image_size": 8, "channels": 3, "manifest": manifest}
        again = load_test_images(other, ("dog", "cat"), **options)
        assert {name.replace("/x", "/") for name in again.images.names} == set(data.test().names)
        assert (again.seen.any(), again.notes) == (False, ())
        whole = load_test_images(tmp_path / "apart", ("dog", "cat"), **options)
        assert (len(whole.images), int(whole.seen.sum())) == (20, len(data.train))
        assert whole.images.labels.tolist() == [1] * 10 + [0] * 10
    shutil.copy(root / data.train.names[0], root / data.test().names[0])  # an old split may have copies in both parts
    leaked = load_test_images(root, data.classes, image_size=8, channels=3, manifest=old, own=True)
    assert (len(leaked.images), int(leaked.seen.sum())) == (4, 1)
    arrays = python_data(
        (np.zeros((8, 8, 8), np.uint8) + np.arange(8, dtype=np.uint8)[:, None, None], np.arange(8) % 2)
    )
    made = load_data(arrays, image_size=8)
    (note,) = load_test_images(root, data.classes, image_size=8, channels=3, manifest=made.manifest).notes
    assert "not known" in note
    tested = load_test_images(arrays, made.classes, image_size=8, channels=1, manifest=made.manifest)
    assert (len(tested.images), int(tested.seen.sum())) == (8, len(made.train))
