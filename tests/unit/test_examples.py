"""Examples that take no time; `make docs-test` runs them all."""

import runpy
from pathlib import Path

import pytest
import yaml

from zarts.config import RetrainSettings, SearchSettings, retrain_settings, search_settings

pytestmark = pytest.mark.usefixtures("unchecked")

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_zero_order_optimisers_alone():
    losses = runpy.run_path(str(EXAMPLES / "ask_tell.py"))["main"](steps=300)
    assert set(losses) == {"mgs", "rs", "gld"}
    assert all(loss < 4.0 for loss in losses.values())  # 4 is the loss of the start


def test_settings_files():
    for path in EXAMPLES.glob("*.yaml"):
        sections = yaml.safe_load(path.read_text())
        search, retrain = search_settings({}, config=path), retrain_settings({}, config=path)
        assert isinstance(search, SearchSettings)
        assert isinstance(retrain, RetrainSettings)
        assert {k: getattr(search, k) for k in sections["search"]} == sections["search"]
        assert {k: getattr(retrain, k) for k in sections["retrain"]} == sections["retrain"]
