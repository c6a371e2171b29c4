"""What 0.1.0 left behind: finished runs can be used, unfinished ones say that they cannot go on, old names are told."""

import json
import shutil
from pathlib import Path

import pytest
import torch

import zarts
from zarts.api import genotype_of, retrained_settings, searched_settings
from zarts.config import search_settings
from zarts.config.renamed import RENAMED
from zarts.errors import RunError, SettingsError
from zarts.reports import write_report
from zarts.runtime.io import read_events

FOLDER = Path(__file__).parent.parent / "runs_of_0_1_0"
ACCURACY = 10.03  # what `zarts retrain` of 0.1.0 printed


@pytest.fixture
def runs(tmp_path):
    return shutil.copytree(FOLDER, tmp_path / "runs")


def test_settings_have_todays_names(runs):
    settings = searched_settings(runs / "search")
    assert (settings.phases, settings.phase_operations, settings.arch_learning_rate) == ("restart", (5, 3), 0.001)
    assert (settings.arch_optimizer, settings.edge_normalization, settings.max_macs) == ("gradient", False, 30_000_000)
    assert retrained_settings(runs / "retrain").image_cache == "auto"


def test_events_have_todays_names():
    events = read_events(FOLDER / "search" / "metrics.jsonl")
    assert [(e["phase"], e["phases"]) for e in events if e["event"] == "phase"] == [(2, 3), (3, 3)]
    assert all(e["macs"]["limit"] == 30_000_000 for e in events if e["event"] == "cost")
    assert not {"stage", "stages", "mult_adds"} & {key for event in events for key in event}


def test_a_finished_search_gives_its_result_and_its_report(runs):
    found = zarts.api.resume_search(runs / "search")
    assert found.genotype == genotype_of(runs / "search")[0]
    page = write_report(runs / "search").read_text()
    assert "arch_learning_rate" in page
    assert 'id="cost-macs"' in page or "MACs" in page


def test_a_trained_network_is_evaluated_exported_and_reported(runs):
    assert zarts.evaluate(runs / "retrain") == pytest.approx(ACCURACY, abs=0.005)
    zarts.export(runs / "retrain", "safetensors", out=runs / "exported")
    assert "MACs" in (runs / "exported" / "README.md").read_text()
    assert write_report(runs / "retrain").exists()
    result = zarts.api.resume_retrain(runs / "retrain")
    assert result.macs == json.loads((FOLDER / "retrain" / "result.json").read_text())["mult_adds"]


def test_a_search_is_retrained_from(runs, tmp_path):
    settings = {"channels": 4, "cells": 3, "epochs": 1, "subset": 100, "auxiliary_weight": 0.0}
    trained = zarts.retrain(runs / "search", out=tmp_path / "again", **settings)
    assert trained.genotype == genotype_of(runs / "search")[0]


@pytest.mark.parametrize(
    ("kind", "resume"), [("search", zarts.api.resume_search), ("retrain", zarts.api.resume_retrain)]
)
def test_an_unfinished_run_cannot_go_on(runs, kind, resume):
    (runs / kind / "result.json").unlink()
    torch.save({"format": 1, "settings": {}, "metrics_bytes": 0}, runs / kind / "checkpoint.pt")
    with pytest.raises(RunError, match=r"0\.1\.0"):
        resume(runs / kind)


@pytest.mark.parametrize("name", RENAMED)
def test_an_old_name_is_an_error_with_the_new_one(name):
    with pytest.raises(SettingsError, match=RENAMED[name]):
        search_settings({name: 1})
