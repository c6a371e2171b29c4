"""Every example runs."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import yaml

from zarts.config import RetrainSettings, SearchSettings, retrain_settings, search_settings

pytestmark = pytest.mark.usefixtures("unchecked")

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_zero_order_optimisers_alone():
    losses = runpy.run_path(str(EXAMPLES / "zero_order.py"))["main"](steps=300)
    assert set(losses) == {"mgs", "rs", "gld"}
    assert all(loss < 4.0 for loss in losses.values())  # 4 is the loss of the start


@pytest.mark.slow
def test_search_and_retrain_from_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["search_digits.py", "--fast"])
    runpy.run_path(str(EXAMPLES / "search_digits.py"), run_name="__main__")
    assert "test accuracy" in capsys.readouterr().out
    assert len(list(tmp_path.glob("runs/*/*/report.html"))) == 2


def test_settings_files():
    for path in EXAMPLES.glob("*.yaml"):
        sections = yaml.safe_load(path.read_text())
        search, retrain = search_settings({}, config=path), retrain_settings({}, config=path)
        assert isinstance(search, SearchSettings)
        assert isinstance(retrain, RetrainSettings)
        assert {k: getattr(search, k) for k in sections["search"]} == sections["search"]
        assert {k: getattr(retrain, k) for k in sections["retrain"]} == sections["retrain"]


def test_table_of_retrained_runs(tmp_path, monkeypatch):
    for number, accuracy in enumerate((60.0, 62.0)):
        folder = tmp_path / f"r-{number}" / "retrain"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({"test_accuracy": accuracy, "parameters": 123_000}))
    monkeypatch.chdir(tmp_path)
    row = runpy.run_path(str(EXAMPLES / "table.py"))["row"]
    assert row("random", "r-*/retrain") == "| random | 2 | 61.00 ± 1.41 | 60.00 / 62.00 | 123k / 123k |"
    with pytest.raises(SystemExit, match="finished"):
        row("random", "nothing")
