"""What is drawn and analysed after a training may fail: its result is safe, and a line says what is missing."""

import json
import sys

import pytest

import zarts
from small import SMALL, TRAIN, options
from zarts.errors import RunError
from zarts.spaces import published

pytestmark = pytest.mark.usefixtures("unchecked")


def fails(*arguments, **options):
    raise ZeroDivisionError("a chart\nwithout numbers")


def no_memory(*arguments, **options):
    raise MemoryError


@pytest.fixture
def nothing_can_be_drawn(monkeypatch):
    monkeypatch.setattr("zarts.api._new_search.draw_cells", fails)
    monkeypatch.setattr("zarts.api._new_search.write_report", fails)


def lines_of(err):
    return [line for line in err.splitlines() if "the result is safe" in line]


def test_a_retraining_without_error_analysis_cells_and_report(command, tmp_path, monkeypatch, nothing_can_be_drawn):
    monkeypatch.setattr("zarts.training.error_analysis.worst_images", fails)
    run = tmp_path / "run"
    code, out, err = command("retrain", "DARTS_V2", *options(TRAIN), "--out", run)
    assert code == 0
    result = json.loads((run / "result.json").read_text())
    assert f"test accuracy: {result['test_accuracy']:.2f} %" in out
    assert lines_of(err) == [
        f"the result is safe, but {missing} (ZeroDivisionError: a chart without numbers): `zarts {again}` makes up for "
        "it"
        for missing, again in (
            ("its error analysis is missing", f"evaluate {run}"),
            ("cells/ is missing", f"draw {run} --out {run}/cells"),
            ("report.html is missing", f"report {run}"),
        )
    ]
    monkeypatch.undo()
    monkeypatch.setenv("COLUMNS", "200")
    assert zarts.evaluate(run) == pytest.approx(result["test_accuracy"])
    assert zarts.load_result(run).genotype.cells == published("DARTS_V2").cells
    for words in (
        ["evaluate", run, "--details"],
        ["draw", run, "--out", run / "cells"],
        ["report", run],
    ):  # what the lines say
        assert command(*words)[0] == 0
    assert (run / "report.html").exists()
    assert list((run / "cells").glob("*.svg"))


def test_a_search_whose_report_fails(command, tmp_path, nothing_can_be_drawn):
    run = tmp_path / "run"
    code, _, err = command("search", *options(SMALL), "--out", run)
    assert code == 0
    assert [line.split("`")[1] for line in lines_of(err)] == [
        f"zarts draw {run} --out {run}/cells",
        f"zarts report {run}",
    ]
    assert zarts.load_result(run).genotype


def test_ctrl_c_while_the_report_is_drawn(command, tmp_path, no_pictures, monkeypatch):
    def interrupted(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("zarts.api._new_search.write_report", interrupted)
    run = tmp_path / "run"
    line = f"interrupted: the result is safe, but report.html is missing: `zarts report {run}` makes up for it"
    assert command("search", *options(SMALL), "--out", run) == (130, "", f"zarts: {line}\n")
    assert (run / "result.json").exists()


def test_a_retraining_that_was_killed_before_its_result(tmp_path, monkeypatch):
    """The last checkpoint is there, the answers to the test images are not: they are computed again."""
    straight = zarts.retrain("DARTS_V2", out=tmp_path / "straight", quiet=True, **TRAIN)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["zarts.training.retrain"], "save_model", fails)
        with pytest.raises(RunError, match=r"its result was not written .*resume="):
            zarts.retrain("DARTS_V2", out=tmp_path / "run", quiet=True, **TRAIN)
    assert not (tmp_path / "run/result.json").exists()
    again = zarts.retrain(resume=tmp_path / "run", quiet=True)
    assert again.test_accuracy == straight.test_accuracy
    for name in ("test.json", "worst/00.png"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_a_test_that_fails_costs_no_step(tmp_path, monkeypatch):
    """The training is kept: the run goes on with the test."""
    settings = {**TRAIN, "test_every": 0}
    straight = zarts.retrain("DARTS_V2", out=tmp_path / "straight", quiet=True, **settings)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["zarts.training.retrain"], "answers", no_memory)
        with pytest.raises(RunError, match=r"the network was not tested \(MemoryError\); .*resume="):
            zarts.retrain("DARTS_V2", out=tmp_path / "run", quiet=True, **settings)
    heard = []
    again = zarts.retrain(resume=tmp_path / "run", quiet=True, callbacks=[heard.append])
    assert again.test_accuracy == straight.test_accuracy
    assert not [event for event in heard if event["event"] == "step"]
    epochs = [
        {**event, "seconds": 0, "data_wait": 0}
        for run in (again.run, straight.run)
        for line in (run / "metrics.jsonl").read_text().splitlines()
        if (event := json.loads(line))["event"] == "train_epoch"
    ]
    assert epochs[: len(epochs) // 2] == epochs[len(epochs) // 2 :]
    assert (again.run / "model.safetensors").read_bytes() == (straight.run / "model.safetensors").read_bytes()
