"""Axes that no paper has put together: each combination runs and goes on where it was interrupted, or is refused."""

import pytest
import torch

import zarts
from small import PARTIAL, PHASES, outcome, small, stop_at
from zarts import api
from zarts.config import search_settings
from zarts.errors import Interrupted, SettingsError

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("pc-darts", {"arch_optimizer": "gld"}),
        pytest.param("pc-darts", {"arch_optimizer": "rs", "select": "perturbation"}, marks=pytest.mark.long),
        ("pc-darts", {"relaxation": "gumbel", "drop_path": 0.3, "skip_dropout": "0.5"}),
        pytest.param("pc-darts", {"weight_relaxation": "adversarial"}, marks=pytest.mark.long),
        ("sdarts-rs", {"arch_optimizer": "mgs"}),
        pytest.param("mergenas", {"select": "perturbation"}, marks=pytest.mark.long),
        ("merge-zarts", {"arch_optimizer": "rs", "drop_path": 0.3}),
        pytest.param("p-darts", {"supernet": "partial", "edge_normalization": True, **PARTIAL}, marks=pytest.mark.long),
        pytest.param(
            "p-zarts",
            {"arch_optimizer": "gld", "supernet": "partial", "edge_normalization": True, **PARTIAL},
            marks=pytest.mark.long,
        ),
        ("p-zarts", {"arch_optimizer": "rs", "relaxation": "gumbel"}),
        ("r-darts", {"supernet": "merged", "epochs": 3}),
        ("gzas", {"arch_optimizer": "gld", "max_skips": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_runs_and_goes_on(tmp_path, monkeypatch, method, more):
    settings = small(method, **more)
    straight = zarts.search(out=tmp_path / "straight", **settings)
    phases = {"p-darts": "restart", "p-zarts": "prune"}.get(method)
    steps = 2 * (PHASES[phases]["epochs"] if phases else settings["epochs"])
    with monkeypatch.context() as patch:
        patch.setattr("zarts.training.trainer.stop_request", stop_at(steps))
        with pytest.raises(Interrupted):
            zarts.search(out=tmp_path / "resumed", **settings)
    api.resume_search(tmp_path / "resumed")
    assert outcome(tmp_path / "resumed") == outcome(tmp_path / "straight")
    for kind, matrix in straight.alphas.items():
        assert matrix.isfinite().all()
        assert matrix.shape == torch.Size(zarts.spaces.get_space("s2").shapes[kind])
    if settings.get("max_skips") is not None or method == "p-zarts":
        assert straight.genotype.count("normal", frozenset({"skip_connect"})) <= settings.get("max_skips", 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"method": "p-darts", "supernet": "merged"},
            "supernet = merged",
        ),
        ({"method": "merge-zarts", "phases": "prune"}, "supernet = merged"),
        (
            {"method": "mergenas", "edge_normalization": True},
            "edge_normalization = True",
        ),
        ({"method": "gdas", "supernet": "merged"}, "supernet = merged"),
        ({"method": "pc-darts", "select": "best-of"}, "edge_normalization = True"),
    ],
)
def test_is_refused(given, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(given)
