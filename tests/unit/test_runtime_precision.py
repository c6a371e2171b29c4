"""Precision and compilation: what is refused, and that the network is the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from small import TRAIN, small
from zarts.config import RetrainSettings, SearchSettings, retrain_settings, search_settings
from zarts.errors import SettingsError
from zarts.runtime.precision import Passes

CPU = torch.device("cpu")


def python(code, *words, **environment):
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "ignore", "-c", code, *map(str, words)]
    more = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **more})


@pytest.mark.long
def test_no_compiler(tmp_path):
    code = (
        "import torch; from zarts.config import SearchSettings; from zarts.runtime.precision import Passes; "
        "Passes(SearchSettings(compile=True), torch.device('cpu'), draws=False)"
    )
    process = python(code, CXX=str(tmp_path / "none"), TORCHINDUCTOR_CACHE_DIR=str(tmp_path))
    assert "SettingsError: compile = True" in process.stderr
    assert "leave compile out" in process.stderr


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"precision": "16-mixed"}, "precision = '16-mixed'"),
        ({"precision": "64"}, "precision = '64'"),
        (
            {"method": "darts-2nd", "hessian": "exact", "compile": True},
            "compile = True",
        ),
    ],
)
def test_settings_that_cannot_be(layer, message):
    with pytest.raises(SettingsError, match=message):
        search_settings(layer)


def test_numbers_drawn_by_the_network_are_not_compiled():
    with pytest.raises(SettingsError, match="drop_path=0"):
        Passes(SearchSettings(compile=True), CPU, draws=True)


@pytest.mark.parametrize("settings", [{"compile": True}, {"compile": True, "drop_path": 0.0}])
def test_what_draws(settings, tmp_path):
    import zarts

    source = "DARTS_V2"
    if "drop_path" in settings:  # then only the operation `noise` is left
        found = zarts.search(method="random", space="s4", seed=3, out=tmp_path / "found").genotype
        assert sum(found.count(kind, frozenset({"noise"})) for kind in found.cells)
        source = found
    with pytest.raises(SettingsError, match="draws random numbers"):
        zarts.retrain(source, out=tmp_path / "run", **{**TRAIN, "drop_path": 0.2, **settings})
    assert not (tmp_path / "run").exists()
    with pytest.raises(SettingsError, match="draws random numbers"):
        zarts.search(out=tmp_path / "run", **small("darts", space="s4", compile=True))


def test_a_precision_that_the_device_has_not(monkeypatch):
    def no_autocast(*_):
        raise RuntimeError("no bfloat16 on this device\nmore")

    monkeypatch.setattr(torch, "autocast", no_autocast)
    with pytest.raises(SettingsError, match="precision = bf16-mixed"):
        Passes(RetrainSettings(precision="bf16-mixed"), CPU, draws=False)


def test_only_passes_with_gradient_are_in_bfloat16():
    passes = Passes(retrain_settings({"precision": "bf16-mixed"}), CPU, draws=False)
    network = nn.Linear(3, 2)
    assert passes(network, torch.ones(1, 3)).dtype == torch.bfloat16
    with torch.no_grad():
        assert passes(network, torch.ones(1, 3)).dtype == torch.float32
    passes(network, torch.ones(1, 3)).sum().backward()
    assert network.weight.grad.dtype == torch.float32
    plain = Passes(retrain_settings({}), CPU, draws=False)
    assert torch.equal(plain(network, torch.ones(1, 3)), network(torch.ones(1, 3)))
