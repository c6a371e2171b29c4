"""Every example runs."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from zarts.config import RetrainSettings, SearchSettings, retrain_settings, search_settings

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_zero_order_optimisers_alone():
    losses = runpy.run_path(str(EXAMPLES / "zero_order.py"))["main"](steps=300)
    assert set(losses) == {"mgs", "rs", "gld"}
    assert all(loss < 4.0 for loss in losses.values())  # 4 is the loss of the start


@pytest.mark.slow
def test_search_and_retrain_from_python(tmp_path):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "search_digits.py"), "--fast"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    assert len(list(tmp_path.glob("runs/*/*/report.html"))) == 2


def test_settings_files():
    for path in EXAMPLES.glob("*.yaml"):
        sections = yaml.safe_load(path.read_text())
        search, retrain = search_settings({}, config=path), retrain_settings({}, config=path)
        assert isinstance(search, SearchSettings)
        assert isinstance(retrain, RetrainSettings)
        assert {k: getattr(search, k) for k in sections["search"]} == sections["search"]
        assert {k: getattr(retrain, k) for k in sections["retrain"]} == sections["retrain"]
