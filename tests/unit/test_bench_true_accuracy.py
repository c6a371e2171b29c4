"""The log of true accuracies: written each epoch, and never seen by the search."""

import json

import pytest
import yaml

import zarts
from small import small, stop_at
from tables import CONV, TEST, write_csv
from zarts.bench import look_up, read_table
from zarts.errors import DataError, Interrupted, SettingsError
from zarts.reports import draw_curves, write_report
from zarts.runtime.io import read_events
from zarts.spaces.nasbench201 import from_string, to_string

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")
CELLS = {**small("darts"), "space": "nasbench201", "cells": 1, "channels": 2, "epochs": 3, "arch_learning_rate": 1.0}


def untold(run):
    """All that a run has written, without times and without what is told of the table."""
    events = [{k: v for k, v in e.items() if k != "seconds"} for e in read_events(run / "metrics.jsonl")]
    result = json.loads((run / "result.json").read_text())
    return (
        [event for event in events if event["event"] != "truth"],
        {key: value for key, value in result.items() if key not in ("truth", "seconds")},
        {path.name: path.read_text() for path in sorted((run / "genotypes").iterdir())},
    )


@pytest.fixture(scope="session")
def searched(every, tmp_path_factory):
    return zarts.search(out=tmp_path_factory.mktemp("searched") / "run", benchmark_table=every, **CELLS)


def test_each_epoch_and_the_result_have_their_truth(searched, every):
    table, events = read_table(every), searched.history
    truths = [event for event in events if event["event"] == "truth"]
    assert [event["epoch"] for event in truths] == [1, 2, 3]
    for truth in truths:
        derived = json.loads((searched.run / "genotypes" / f"epoch_{truth['epoch']:03d}.json").read_text())
        entry = look_up(table, truth["architecture"]).entries[TEST]
        assert from_string(truth["architecture"]).to_dict() == derived
        assert truth["cifar10_test_200"] == vars(entry)
        assert truth["cifar100_test_200"]["accuracy"] > 0
        assert "cifar10_valid_12" not in truth
    result = json.loads((searched.run / "result.json").read_text())
    assert result["truth"]["architecture"] == to_string(searched.genotype) == truths[-1]["architecture"]
    assert len({truth["index"] for truth in truths}) > 1, "the test would not notice a late look-up"


def test_the_search_never_sees_it(searched, tmp_path):
    """The same bits with and without a table."""
    alone = zarts.search(out=tmp_path / "alone", **CELLS)
    assert untold(alone.run) == untold(searched.run)
    assert "truth" not in (alone.run / "metrics.jsonl").read_text()


@pytest.mark.long
def test_goes_on_with_another_table_or_none(searched, every, tmp_path, monkeypatch):
    moved = every.rename(every.with_name("moved.csv"))
    for number, other in enumerate((moved, None)):
        run = tmp_path / str(number)
        moved.rename(every)
        monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(5))
        with pytest.raises(Interrupted):
            zarts.search(out=run, benchmark_table=every, **CELLS)
        every.rename(moved)
        monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(0))
        with pytest.raises(DataError, match=r"every\.csv"):
            zarts.api.resume_search(run)
        zarts.api.resume_search(run, benchmark_table=other)
        assert untold(run) == untold(searched.run)
    moved.rename(every)


def test_a_random_cell_has_its_truth(every, tmp_path):
    run = zarts.search(out=tmp_path / "run", space="nasbench201", method="random", benchmark_table=every).run
    assert "cifar10_test_200" in json.loads((run / "result.json").read_text())["truth"]


def test_a_cell_that_is_not_in_the_table_is_told_and_stops_nothing(tmp_path):
    table = write_csv(tmp_path / "one.csv", {"architecture": [CONV], "cifar10_test_200": [93.76]})
    notes = []
    found = zarts.search(out=tmp_path / "run", benchmark_table=table, callbacks=[notes.append], **CELLS)
    texts = [event["text"] for event in notes if event["event"] == "note"]
    assert len(texts) == CELLS["epochs"] + 1
    assert "one.csv: has no architecture |" in texts[0]
    assert "truth" not in json.loads((found.run / "result.json").read_text())


def test_the_report_shows_it(searched):
    curve = draw_curves(searched.history)[0]
    assert curve.name == "truth"
    assert {"line-cifar10", "line-cifar100"} <= set(curve.svg.replace('"', " ").split())
    page = write_report(searched.run).read_text()
    assert "true accuracy, CIFAR-10" in page
    assert "True test accuracy of the derived cell" in page


def test_a_table_for_another_space(tmp_path):
    with pytest.raises(SettingsError, match="benchmark_table"):
        zarts.search(out=tmp_path / "run", benchmark_table=tmp_path / "t.csv", **small("darts"))


def test_no_such_table(tmp_path, monkeypatch):
    monkeypatch.delenv("ZARTS_DATA", raising=False)
    with pytest.raises(DataError, match="benchmark_table"):
        zarts.search(out=tmp_path / "run", benchmark_table=tmp_path / "absent", **CELLS)
    with pytest.raises(DataError, match="NAS-Bench-201"):
        zarts.search(out=tmp_path / "run", benchmark_table="auto", **CELLS)
    assert list(tmp_path.iterdir()) == []


def test_the_path_is_kept_whole(searched, every):
    assert yaml.safe_load((searched.run / "config.yaml").read_text())["search"]["benchmark_table"] == str(every)
