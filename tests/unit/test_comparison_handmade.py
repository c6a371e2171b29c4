"""Hand-made networks as rows of a comparison: trained like the derived networks, and never searched."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zarts
from small import in_this_process, stop_at, trials_in
from zarts.bench import Column
from zarts.comparison.grid import rows_of
from zarts.comparison.handmade import parse_baselines
from zarts.comparison.trials import plan
from zarts.errors import DivergedError, Interrupted, SettingsError
from zarts.reports import write_report
from zarts.runtime.io import read_mapping

pytestmark = pytest.mark.usefixtures("unchecked")

CELLS = {"channels": 2, "cells": 3, "auxiliary_weight": 0.0, "drop_path": 0.0}
RECIPE = {"batch_size": 16, "epochs": 2, "cutout": 0, "subset": 48, "learning_rate": 0.1}
TEST = Column("digits", "test", 2)
ROW = "resnet8 width=0.25"
LABEL = f"{ROW} (hand-made)"


@pytest.fixture(autouse=True)
def _here(monkeypatch):
    in_this_process(monkeypatch)


def compare(out, seeds=1, baselines=ROW, **more):
    options = {"data": "digits", "space": "s2", "retrain": CELLS | RECIPE, **more}
    return zarts.compare("random", seeds, baselines=baselines, out=out, **options)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A comparison, for tests that only read it or go on with it."""
    with pytest.MonkeyPatch.context() as patch:
        in_this_process(patch)
        return compare(tmp_path_factory.mktemp("handmade") / "out", 2, against=ROW)


def test_it_is_the_network_that_retrain_trains_with_the_same_settings_and_seeds(compared, tmp_path):
    derived, handmade = compared.rows
    assert (handmade.name, handmade.n, handmade.seconds, handmade.parameterless) == (ROW, 2, None, None)
    plain = [
        zarts.retrain("resnet8", data="digits", width=0.25, seed=seed, threads=1, out=tmp_path / str(seed),
                      quiet=True, **RECIPE)
        for seed in (0, 1)
    ]  # fmt: skip
    accuracies = [one.test_accuracy for one in plain]
    assert handmade.mean_stds[TEST] == pytest.approx((np.mean(accuracies), np.std(accuracies, ddof=1)))
    assert handmade.parameters == plain[0].parameters
    assert (handmade.p is None, derived.p is None) == (True, False)
    for trial, one in compared.found.items():
        assert len(one.curves["test_accuracy"]) == 2
        assert one.curves["test_accuracy"][-1] == one.accuracies[TEST]
        assert trial.folder.exists() == (trial.handmade is None), "a hand-made network has no search"


def test_tables_files_pictures_and_report_tell_it_from_what_was_searched(compared, command, tmp_path):
    lines = compared.markdown.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| random", f"| {LABEL}"]
    assert "(hand-made): a published network" in compared.markdown
    rows = list(csv.DictReader((compared.out / "table.csv").read_text().splitlines()))
    assert [(row["row"], row["handmade"], row["seconds"] != "") for row in rows] == [
        ("random", "False", True), (ROW, "True", False),
    ]  # fmt: skip
    data = json.loads((compared.out / "table.json").read_text())["rows"][1]
    assert (data["handmade"], data["settings"], data["seeds"]["1"].get("command")) == (True, {"width": 0.25}, None)
    assert command(*data["seeds"]["1"]["retraining"].split()[1:], "--out", tmp_path / "again")[0] == 0
    assert read_mapping(tmp_path / "again/result.json")["test_accuracy"] == data["seeds"]["1"]["accuracies"][TEST.name]
    assert f'id="line-{LABEL}"' in (compared.out / "training.svg").read_text()
    assert not (compared.out / "curves.svg").exists(), "nothing was searched over epochs"
    (compared.out / "handmade,resnet8,width=0.25,data=digits/seed0-retrained/report.html").touch()
    page = write_report(compared.out).read_text()
    assert LABEL in page
    assert "Derived cells and hand-made networks" in page
    link = "handmade%2Cresnet8%2Cwidth%3D0.25%2Cdata%3Ddigits/seed0-retrained/report.html"
    assert page.count(link) == 1


def test_nothing_is_trained_twice_and_another_network_only_adds_to_it(compared, command):
    before = {file: file.stat().st_mtime_ns for file in compared.out.glob("*/*/*")}
    heard = []
    more = compare(compared.out, 2, f"{ROW},ds_cnn  width=0.1", callbacks=[heard.append])
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert [(event["row"], event["seed"], event["over"]) for event in trials_in(heard)] == [
        ("ds_cnn width=0.1", 0, 5), ("ds_cnn width=0.1", 1, 6),
    ]  # fmt: skip
    assert [row.label for row in more.rows] == ["random", LABEL, "ds_cnn width=0.1 (hand-made)"]
    words = [
        "compare",
        "--methods",
        "random",
        "--seeds",
        2,
        "--baselines",
        f"{ROW},ds_cnn width=0.1",
        "--data",
        "digits",
    ]
    settings = [word for key, value in (CELLS | RECIPE).items() for word in ("--retrain", f"{key}={value}")]
    words += ["--space", "s2", "--out", compared.out, "--quiet"]
    assert command(*words, *settings) == (0, more.markdown, "")
    with pytest.raises(SettingsError, match="epochs = 2, not 3"):
        compare(compared.out, 2, retrain={**CELLS, **RECIPE, "epochs": 3})


def test_an_interrupted_training_goes_on(compared, tmp_path, monkeypatch):
    compare(tmp_path / "out", baselines=())
    with monkeypatch.context() as patch:
        patch.setattr("zarts.training.trainer.stop_request", stop_at(3))
        with pytest.raises(Interrupted, match="1 of 2"):
            compare(tmp_path / "out")
    assert (tmp_path / "out/handmade,resnet8,width=0.25,data=digits/seed0-retrained/config.yaml").exists()
    done = compare(tmp_path / "out")
    for trial, one in done.found.items():
        straight = next(b for a, b in compared.found.items() if (a.row, a.seed) == (trial.row, trial.seed))
        assert one.accuracies == straight.accuracies


def test_groups_with_the_same_images_share_one_training(tmp_path, monkeypatch):
    import zarts.comparison.retrained as retrainings

    def fail(source, settings, *words):
        if settings.width is not None:
            raise DivergedError("no finite loss is left")
        return start(source, settings, *words)

    start, grid = retrainings.start_retrain, {"space": ["s1", "s3"]}
    more = {"data": "digits", "retrain": CELLS | RECIPE, "grid": grid, "baselines": ROW, "out": tmp_path / "out"}
    monkeypatch.setattr(retrainings, "start_retrain", fail)
    broken = zarts.compare("random", 1, **more)
    assert sorted(trial.title for trial in broken.failed) == [f"{s}: {LABEL}, seed 0" for s in ("s1", "s3")]
    assert "2 of 4 trials failed" in broken.markdown
    monkeypatch.setattr(retrainings, "start_retrain", start)
    found, heard = zarts.compare("random", 1, callbacks=[(heard := []).append], **more), heard
    assert len(trials_in(heard)) == 1
    assert [[row.label for row in section.rows] for section in found.sections] == [["random", LABEL]] * 2
    assert len({row.mean_stds[TEST] for row in found.rows if row.handmade}) == 1
    assert len(list((tmp_path / "out").glob("handmade*/*"))) == 1


def test_it_is_tested_on_the_images_that_the_derived_networks_are_tested_on(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(60):
        file = tmp_path / "images" / f"class{number % 2}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(file)
    recipe = {**CELLS, **RECIPE, "epochs": 1, "batch_size": 8, "subset": 16}
    compare(tmp_path / "out", data=str(tmp_path / "images"), image_size=8, split_seed=3, retrain=recipe)
    derived, handmade = (read_mapping(file) for file in sorted((tmp_path / "out").glob("*/seed0-retrained/split.json")))
    assert len(derived["test"]) > 0
    assert derived["test"] == handmade["test"]
    settings = read_mapping(next((tmp_path / "out").glob("handmade*/*/config.yaml")))["retrain"]
    assert (settings["image_size"], settings["split_seed"], settings["width"]) == (8, 3, 0.25)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"baselines": "resnet9"}, "did you mean 'resnet8'"),
        ({"baselines": ["resnet8", " resnet8 "]}, "appears twice"),
        ({"baselines": ""}, "hand-made network"),
        ({"baselines": "resnet8 width=0"}, "width = 0.*above 0"),
        ({"baselines": "resnet8 width=wide"}, "width = wide; expected a number"),
        ({"baselines": "resnet8 epochs=3"}, "epochs is no setting.*width and stem_stride"),
        ({"baselines": "resnet8 seed=3"}, "use seeds"),
        ({"retrain": None}, "baselines = resnet8.*nothing is retrained"),
        ({"space": "nasbench201"}, "baselines = resnet8.*no hand-made network is in the table"),
        ({"retrain": {"weights_from": "supernet"}}, "weights_from = supernet"),
        ({"against": "resnet"}, "did you mean 'resnet8"),
    ],
)
def test_refused_before_anything_is_searched(tmp_path, more, message):
    with pytest.raises(SettingsError, match=message):
        compare(tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()


def test_rows_with_their_own_settings():
    wide, strided = parse_baselines("resnet8  width=2,mobilenet_v2 stem-stride=1 width=0.35")
    assert (wide.name, wide.network, dict(wide.settings)) == ("resnet8 width=2", "resnet8", {"width": 2})
    assert dict(strided.settings) == {"width": 0.35, "stem_stride": 1}
    rows = rows_of("random", {"space": "s1"}, grid={"data": ["digits", "cifar10"]})
    folders = {trial.folder.parent.name: trial.group.data for trial in plan(rows, 1, out=Path("o"), baselines=[wide])}
    assert folders["handmade,resnet8,width=2,data=cifar10"] == "cifar10"
    assert len(folders) == 4
