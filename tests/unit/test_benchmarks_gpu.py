"""The check of a machine with a GPU: what it says without one, with a fault, and of the processor."""

import pytest
import torch

from benchmarks import gpu
from benchmarks.cases import Size
from small import SMALL

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(gpu.STEPS, "cpu", Size("s2", channels=2, cells=3, batch=4, side=8))
    monkeypatch.setattr(gpu, "SUPERNETS", (("s2", {}), ("nasbench201", {})))
    monkeypatch.setattr(gpu, "SEARCH", {**SMALL, "method": "zarts-mgs"})
    monkeypatch.setattr(gpu, "_TIMED", 3)


def test_without_a_gpu_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("no GPU")


def test_the_checks_on_the_processor(tiny, capsys):
    """But for the search and retraining, which is the next test's."""
    checks = {name: check for name, check in gpu.CHECKS.items() if name != "search and retraining"}
    assert gpu.run(torch.device("cpu"), checks) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"ok {name}" for name in checks]
    assert "alpha the same to the bit" in lines[list(checks).index("resumption")]
    assert last.startswith("5 of 5 checks ok on CPU")


@pytest.mark.long
def test_the_search_and_the_retraining_on_the_processor(capsys):
    assert gpu.run(torch.device("cpu"), {"whole": gpu.search_and_retrain}) == 0
    assert "test accuracy" in capsys.readouterr().out


def test_what_is_unequal_fails_and_the_others_go_on(monkeypatch, capsys):
    monkeypatch.setattr(gpu, "TOLERANCE", {"outputs": -1.0, "gradients": 1.0})
    checks = {"operations": gpu.operations, "broken": lambda device: [][0], "imports": gpu.imports}
    monkeypatch.setattr(gpu, "CHECKS", checks)
    assert gpu.main(["--device", "cpu"]) == 1
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert first.startswith("FAILED operations: Unequal: none, stride 1: outputs differ")
    assert second.startswith("FAILED broken: IndexError")
    assert third.startswith("ok imports")
    assert last.startswith("1 of 3 checks ok")
