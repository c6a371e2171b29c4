"""Runs from Python objects: the results of the folder, the fingerprint, and the way to go on."""

import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

import zarts
from small import SMALL, TRAIN, stop_at
from zarts import api
from zarts.config import dump, search_settings
from zarts.data import load_data, python_data
from zarts.errors import DataError, Interrupted, RunError, SettingsError
from zarts.runs import Run
from zarts.runtime.distributed import Ranks
from zarts.searcher.halves import Halves
from zarts.spaces import Genotype
from zarts.training.setup import _check_same as check_same

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")
SEARCH = {**SMALL, "subset": None, "image_size": 8, "flip": False}
RETRAIN = {key: value for key, value in TRAIN.items() if key not in ("data", "subset")}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """80 digits of four classes as arrays and as a folder."""
    data = load_data("digits")
    few = torch.cat([(data.train.labels == k).nonzero()[:20, 0] for k in range(4)])
    images, labels = data.train.images[few, 0].numpy(), data.train.labels[few].numpy()
    root = tmp_path_factory.mktemp("digits") / "images"
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (root / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / str(label) / f"{i:03}.png")
    return images, labels, root


@pytest.fixture(scope="module")
def found(digits, tmp_path_factory):
    """A search and a retraining from arrays, to read only."""
    images, labels, _ = digits
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zarts.api._new_search.draw_cells", lambda genotype, folder: [])
        patch.setattr("zarts.api._new_search.write_report", lambda run: run / "report.html")
        out = tmp_path_factory.mktemp("runs")
        searched = zarts.search(**{**SEARCH, "data": (images, labels)}, out=out / "searched")
        return searched, zarts.retrain(searched, out=out / "retrained", **RETRAIN)


def same_weights(one, other):
    """Whether two retrainings have the same weights, to the bit."""
    left, right = (load_file(result.run / "model.safetensors") for result in (one, other))
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def losses(result):
    return [event.get("loss", event.get("train_loss")) for event in result.history]


def test_the_results_of_the_folder(tmp_path, digits, found):
    """To the bit, through search and retraining, and the test images are the same."""
    searched, retrained = found
    files = zarts.search(**{**SEARCH, "data": digits[2]}, out=tmp_path / "s")
    assert files.genotype == searched.genotype
    assert all(torch.equal(files.alphas[kind], searched.alphas[kind]) for kind in files.alphas)
    assert losses(files) == losses(searched)
    trained = zarts.retrain(files, out=tmp_path / "r", **RETRAIN)
    assert trained.test_accuracy == retrained.test_accuracy
    assert same_weights(trained, retrained)
    assert zarts.evaluate(retrained) == zarts.evaluate(trained.run) == trained.test_accuracy


def test_a_run_keeps_the_fingerprint(found):
    searched, retrained = found
    for result, section in ((searched, "search"), (retrained, "retrain")):
        split = Run(result.run).split()
        assert split["fingerprint"] == result.images.fingerprint
        assert yaml.safe_load((result.run / "config.yaml").read_text())[section]["data"] == "python"
        assert "images" not in repr(result)
    assert Run(retrained.run).split()["test"] == split["test"]


def test_resume_with_the_same_images(tmp_path, digits, found, monkeypatch, command):
    images, labels, _ = digits
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(5))
    with pytest.raises(Interrupted):
        zarts.search(**{**SEARCH, "data": (images, labels)}, out=tmp_path / "run")
    monkeypatch.undo()
    with pytest.raises(RunError, match=r"zarts.search\(resume=RUN, data="):
        zarts.search(resume=tmp_path / "run")
    with pytest.raises(DataError, match="fingerprint"):
        zarts.search(resume=tmp_path / "run", data=(images[::-1], labels))
    code, _, err = command("search", "--resume", tmp_path / "run", "--devices", 2)
    assert (code, err.count("\n")) == (1, 1)
    assert "given in Python" in err
    assert "zarts.search(resume=RUN, data=" in err
    result = zarts.search(resume=tmp_path / "run", data=(images / 255, labels))
    assert all(torch.equal(result.alphas[kind], found[0].alphas[kind]) for kind in result.alphas)


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["retrain", "{searched}"], "zarts.retrain(RUN, data="),
        (["evaluate", "{retrained}"], "zarts.evaluate(RUN, data="),
        (["diagnose", "{searched}"], "zarts.diagnose(RUN, data="),
        (["landscape", "{searched}"], "zarts.landscape(RUN, data="),
        (["search", "--config", "{searched}/config.yaml", "--out", "{out}"], "zarts.search(data="),
    ],
)
def test_the_command_line_says_how_to_go_on(tmp_path, found, command, words, call):
    names = {"searched": found[0].run, "retrained": found[1].run, "out": tmp_path / "new"}
    code, out, err = command(*(word.format(**names) for word in words))
    assert (code, out, err.count("\n")) == (2 if words[0] == "search" else 1, "", 1)
    assert call in err
    assert not (tmp_path / "new").exists()


def test_what_needs_no_images_goes_on(found, command):
    """A finished run is resumed without them."""
    searched, retrained = found
    assert zarts.search(resume=searched.run).genotype == searched.genotype
    assert zarts.retrain(resume=retrained.run).test_accuracy == retrained.test_accuracy


def test_a_retraining_from_a_folder_needs_the_images(tmp_path, digits, found):
    images, labels, root = digits
    with pytest.raises(RunError, match="given in Python"):
        zarts.retrain(found[0].run, out=tmp_path / "a", **RETRAIN)
    same = zarts.retrain(found[0].run, data=(images, labels), out=tmp_path / "b", **RETRAIN)
    assert same_weights(same, found[1])
    other = zarts.retrain(found[0], data=root, out=tmp_path / "c", **{**RETRAIN, "epochs": 1})
    assert other.images is None
    shutil.copytree(same.run, tmp_path / "d")
    (tmp_path / "d/result.json").unlink()
    with pytest.raises(RunError, match=r"zarts.retrain\(resume=RUN, data="):
        zarts.retrain(resume=tmp_path / "d")
    assert zarts.retrain(resume=tmp_path / "d", data=(images, labels)).test_accuracy == same.test_accuracy


def test_evaluate_other_images(digits, found):
    """All of a single part are tested, or its part `test`; labels are names, or indices."""
    images, labels, _ = digits
    trained = found[1]
    with pytest.raises(RunError, match="given in Python"):
        zarts.evaluate(trained.run)
    assert zarts.evaluate(trained.run, data=(images, labels)) == trained.test_accuracy  # its own: its test images
    details = api.examine(trained, data=(images[20:61], labels[20:61]))
    assert [row["images"] for row in details["per_class"]] == [0, 20, 20, 1]
    parts = zarts.ImageParts((images, labels), test=(images[20:61], labels[20:61].astype(str)))
    assert api.examine(trained.run, data=parts)["accuracy"] == details["accuracy"]
    colour = np.repeat(images[20:61, :, :, None], 3, axis=3)
    assert zarts.evaluate(trained.run, data=(colour, labels[20:61])) == details["accuracy"]
    with pytest.raises(DataError, match="label is 4"):
        zarts.evaluate(trained, data=(images, labels + 1))


def test_validation_images_update_alpha(tmp_path, digits):
    """They take the place of half of the training images, all of which train the weights."""
    images, labels, _ = digits
    parts = {"train": (images[::2], labels[::2]), "val": (images[1::4], labels[1::4])}
    short = {**SEARCH, "data": zarts.ImageParts(**parts, test=(images[3::4], labels[3::4])), "method": "darts"}
    for name in ("inner_steps", "samples", "esr_target"):
        del short[name]

    settings = search_settings({**short, "data": "python"})
    halves = Halves(settings, load_data(python_data(short["data"]), image_size=8), torch.device("cpu"))
    assert len(halves.train) == 3  # 40 images in batches of 16
    assert len(halves.val) == 2  # 20 images; one of the two batches has 4
    assert sorted(halves.selection()[0][1].tolist()) == sorted(labels[1::4].tolist())
    result = zarts.search(**short, out=tmp_path / "run")
    assert result.history


def test_other_processes_are_not_sent_the_images(tmp_path, digits, found):
    images, labels, root = digits
    with pytest.raises(SettingsError, match="torchrun"):
        zarts.search((images, labels), **_without_data(SEARCH), devices=2, out=tmp_path / "a")
    with pytest.raises(SettingsError, match="torchrun"):
        zarts.retrain(found[0], **RETRAIN, devices=2, out=tmp_path / "a")
    for data in (root, (images, labels)):
        with pytest.raises(SettingsError, match="own images"):
            zarts.search(resume=found[0].run if data is root else _folder_run(tmp_path), data=data)
    assert not (tmp_path / "a").exists()


def _folder_run(tmp_path):
    """The begun run of a folder."""
    settings = search_settings({**SEARCH, "data": "digits"})
    return Run.create(tmp_path / "begun", dump(settings), "search").path


def _without_data(settings):
    return {key: value for key, value in settings.items() if key != "data"}


class Second(Ranks):
    """The second of two processes; the first one was given other images."""

    def __init__(self):
        super().__init__()
        self.rank, self.count = 1, 2

    def broadcast(self, value):
        return "of the first one"

    def all_reduce(self, tensor):
        return tensor


def test_processes_need_the_same_images():
    with pytest.raises(DataError, match="1 of 2 processes"):
        check_same("of the second one", Second())


def test_dry_runs(digits, monkeypatch):
    images, labels, _ = digits
    monkeypatch.setattr("zarts.training.dry_run._SECONDS", 0.0)
    monkeypatch.setattr("zarts.training.stub_forward._SECONDS", 0.0)
    given = python_data((images, labels))
    settings = search_settings({**SEARCH, "data": "python", "memory_limit": "none"})
    assert api.dry_run_search(settings, images=given).seconds > 0


def test_a_csv_file_on_the_command_line(tmp_path, digits, command, found):
    root = digits[2]
    rows = [f"{file.relative_to(root)},{file.parent.name}\n" for file in sorted(root.rglob("*.png"))]
    (root / "images.csv").write_text("file,label\n" + "".join(rows))
    options = {**SEARCH, "data": root / "images.csv"}
    words = [w for k, v in options.items() if v is not None for w in _option(k, v)]
    code, _, err = command("search", *words, "--out", tmp_path / "run", "--devices", 1)
    assert code == 0, err

    assert Genotype.load(tmp_path / "run/genotype.json") == found[0].genotype


def _option(key, value):
    flag = key.replace("_", "-")
    return [f"--no-{flag}" if value is False else f"--{flag}", *([] if isinstance(value, bool) else [value])]
