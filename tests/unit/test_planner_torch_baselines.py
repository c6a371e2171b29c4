"""Networks of the user in torch, which are trained beside the finalists of a fit."""

import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from jaxtyping import config
from torch import nn

import zarts
from tests.fits_tiny import fit_in, tiny_trainings
from zarts.config.fit import fit_settings
from zarts.data import load_data
from zarts.errors import NotFoundError, SettingsError
from zarts.planner.baselines import check_torch, torch_names
from zarts.planner.finals import Finals
from zarts.planner.pictures import Pictures
from zarts.planner.time_plan import plan_time
from zarts.planner.torch_baselines import TorchBaseline

pytestmark = pytest.mark.usefixtures("unchecked")  # parts that train are annotated with networks of zarts

CODE = """
from torch import nn

def make(classes):
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Flatten(), nn.Linear(144, classes))
"""


def opened(name, seconds=1e4, colours=False):
    check_torch(name)
    first = load_data("digits")
    if colours:
        pixels = first.train.pixels(torch.arange(len(first.train))).repeat(1, 3, 1, 1)
        first = replace(first, train=replace(first.train, images=pixels), mean=first.mean * 3, std=first.std * 3)
    pictures = Pictures(lambda size: first, [8], 0, first)
    recipe = fit_settings({"data": "digits"}).recipe(**pictures.batches)
    return TorchBaseline.open(name, pictures[8], recipe, seconds)


def file_of(folder, code=CODE):
    (folder / "mine.py").write_text(code)
    return f"{folder / 'mine.py'}:make"


def test_a_network_of_the_user_is_compared_on_the_same_images_and_repeated_to_the_bit(tmp_path, monkeypatch):
    """Also which network is delivered: where no difference is shown, measured latencies would not always agree."""
    name = file_of(tmp_path)
    given = {"baselines": f"resnet8 width=0.1, {name}", "int8": False}
    fitted = fit_in(tmp_path / "run", **given)
    (facts,) = fitted.facts["torch_baselines"]
    assert (facts["name"], facts["parameters"]) == (name, 4 * 9 + 4 + 8 + 1440 + 10)
    assert facts["difference"]["mean"] == pytest.approx(fitted.test_accuracy - facts["test_accuracy"])
    assert f"Your {name} (1,498 parameters), trained for as long, is right on" in " ".join(fitted.facts["details"])
    assert name not in [one["name"] for one in fitted.candidates]  # it is none that could be delivered
    plan = (fitted.run / "plan.yaml").read_text()
    assert ('{"take":' in plan) == (fitted.facts["better"] is None)
    monkeypatch.setattr("zarts.planner.ending.cheaper", lambda *pair: pytest.fail("it was asked again"))
    again = fit_in(tmp_path / "again", **given, plan=fitted.run / "plan.yaml")
    assert again.facts["torch_baselines"] == fitted.facts["torch_baselines"]

    for baselines, code in ((given["baselines"], CODE.replace("0.2", "0.3")), (f"{name}, {name}2", CODE), (None, CODE)):
        file_of(tmp_path, code)
        with pytest.raises(SettingsError, match=r"has changed since the fit began|in torch, and the plan has"):
            fit_in(tmp_path / "other", **{**given, "baselines": baselines}, plan=fitted.run / "plan.yaml")


def test_code_that_fails_in_its_training_or_test_costs_nothing_else(tmp_path):
    forward = "    def forward(self, x):\n        {}\n        return super().forward(x)\n"
    late = "if self.training and torch.is_grad_enabled() and len(list(pathlib.Path({!r}).glob('work/*-T-*'))): 1 / 0"
    for case, line, words in (
        ("training", late.format(str(tmp_path / "training")), "was not trained to the end"),
        ("test", "if len(x) == 359 - 256: 1 / 0", "ZeroDivisionError: division by zero: it was not tested"),
    ):
        code = "import pathlib, torch\nfrom torch import nn\n\nclass Net(nn.Sequential):\n" + forward.format(line)
        code += "\ndef make(classes): return Net(nn.Flatten(), nn.Linear(64, classes))\n"
        fitted = fit_in(tmp_path / case, baselines=file_of(tmp_path, code), int8=False)
        assert words in " ".join(fitted.facts["details"])
        assert fitted.test_accuracy > 0


@pytest.mark.long
def test_processes_train_it_for_each_seed(tmp_path):
    given = {"data": "digits", "max_params": "3k", "processes": 6, "time": 60, "search": False}
    fitted = zarts.fit(out=tmp_path / "run", quiet=True, baselines=file_of(tmp_path), **given)
    assert fitted.facts["torch_baselines"][0]["test_accuracy"] > 70  # of a few seconds


def test_an_interrupted_fit_runs_code_only_where_it_is_named_again(tmp_path):
    name, run = file_of(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'a').close()\n{CODE}"), tmp_path / "run"
    fit_in(run, baselines=name, int8=False)
    for file in ("result.json", "report.html"):
        (run / file).unlink()
    shutil.rmtree(run / "model")
    (tmp_path / "ran").unlink()
    begun = (run / "plan.yaml").read_text().splitlines(keepends=True)  # as if it had been interrupted before trainings
    (run / "plan.yaml").write_text("".join(begun[: next(at for at, line in enumerate(begun) if '"muon"' in line)]))
    config.update("jaxtyping_disable", True)
    for given in ({}, {"baselines": f"{name}2"}):
        with pytest.raises(SettingsError, match="make, Python code that is not run unasked"):
            zarts.fit(resume=run, quiet=True, **given)
    assert not (tmp_path / "ran").exists()
    settings = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(settings.replace(f"baselines: {name}", "baselines: [1]"))
    with pytest.raises(SettingsError, match=r"baselines"):
        zarts.fit(resume=run, quiet=True)
    (run / "config.yaml").write_text(settings)
    with tiny_trainings():
        assert zarts.fit(resume=run, quiet=True, baselines=name).facts["torch_baselines"][0]["name"] == name


def test_what_cannot_be_trained_is_refused_before_the_fit(tmp_path):
    for code, words in (
        ("def other(classes): pass", "no function or class 'make' in it"),
        ("make = 3", "no function or class 'make' in it"),
        ("def make(classes): return classes", "makes a int; needs a torch.nn.Module"),
        ("def make(): pass", "TypeError: make"),
        ("def make(classes): return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def make(:", "line 1: SyntaxError|SyntaxError"),
        ("import sys\nsys.exit(3)\ndef make(classes): pass", "SystemExit: 3"),
        (f"made = []\nimport sys\n{CODE}\nif 'once' in sys.modules: 1 / 0\nsys.modules['once'] = sys", "ZeroDivision"),
        (CODE.replace("classes))", "3))"), "gives 32×3 for 32 images; needs 32×10 logits"),
        (CODE.replace("Conv2d(1,", "Conv2d(3,"), "RuntimeError: .*channels"),
        (
            CODE.replace("nn.Flatten()", "nn.Unflatten(0, (32, 1)), nn.Flatten(2), nn.Flatten(0, 1)"),
            "1×10|Unflatten|size",
        ),
    ):
        name = file_of(tmp_path, code)
        with pytest.raises(SettingsError, match=words) as raised:
            opened(name)
        assert str(raised.value).startswith("baselines: ")
        assert "\n" not in str(raised.value)
    with pytest.raises(SettingsError, match=r"mine.py:make$"):
        opened(str(tmp_path / "mine.py"))
    with pytest.raises(NotFoundError):
        opened(str(tmp_path / "none.py:make"))


def test_code_may_need_features_as_torch_lays_them_out_and_what_is_in_its_folder(tmp_path):
    (tmp_path / "beside_mine.py").write_text("WIDTH = 4\n")
    code = """
from __future__ import annotations
import dataclasses
from torch import nn
from beside_mine import WIDTH

@dataclasses.dataclass
class Form:
    width: int = WIDTH

class make(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, Form().width, 3), nn.Linear(144, classes)

    def forward(self, x):
        return self.last(self.conv(x).view(x.size(0), -1))
"""
    found = opened(file_of(tmp_path, code), colours=True)
    assert (found.layout, found.parameters) == ("nchw", 3 * 36 + 4 + 1450)


def test_two_networks_may_not_import_two_files_of_one_name(tmp_path):
    names = []
    for version in ("old", "new"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "layers.py").write_text("WIDTH = 4\n")
        names.append(file_of(tmp_path / version))
    with pytest.raises(SettingsError, match=r"old and .*new both have layers.py"):
        check_torch(", ".join(names))
    assert check_torch(names[0]) == [tmp_path / "old" / "mine.py"]


def test_a_seed_that_failed_does_not_stand_for_the_others():
    """Of three seeds of the network of the user the second one failed; the first had all of the time."""
    known = SimpleNamespace(scores={(-1, "T"): [], (7, "T"): []})
    for number, times in ((-1, (100.0, 0.0, 90.0)), (7, (100.0, 100.0, 100.0))):
        for seed, seconds in enumerate(times):
            known.scores[number, "T"].append(SimpleNamespace(seed=seed, seconds=seconds))
    finals = Finals(known, None, None, None, 1, None, cropped=None)
    assert finals._share(SimpleNamespace(number=-1), SimpleNamespace(number=7)) == 0.9


def test_a_network_too_slow_for_the_time_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r'a step takes .* s: take time="1m" or more'):
        opened(file_of(tmp_path), seconds=1e-3)


def test_a_training_that_was_cut_short_is_not_compared():
    one = TorchBaseline("mine.py:make", "", 8, parameters=7)
    right, wrong = torch.ones(100, dtype=torch.bool), torch.zeros(100, dtype=torch.bool)
    text, facts = one.compared("vgg", [(wrong, right)], 0.5)
    assert "50 % of that time, is right on 100.0 %: too short to be compared" in text
    assert "difference" not in facts
    text, facts = one.compared("vgg", [(wrong, right)], 1.0)
    assert "vgg is worse: vgg minus yours -100.0 points" in text
    assert facts["difference"]["mean"] == -100


def test_a_network_of_timm_gets_classes_and_channels(monkeypatch):
    asked = []

    def create_model(name, **how):
        asked.append((name, how))
        return nn.Sequential(nn.Flatten(), nn.Linear(64, how["num_classes"]))

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model, __version__="1.0"))
    found = opened("timm:resnet18")
    assert found.parameters == 650
    assert found.step_seconds > 0
    assert asked == 2 * [("resnet18", {"num_classes": 10, "in_chans": 1})]
    found.check()
    monkeypatch.setattr(sys.modules["timm"], "__version__", "2.0")
    with pytest.raises(SettingsError, match=r"timm is 2.0 now: pip install timm==1.0"):
        found.check()
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(SettingsError, match="pip install timm"):
        opened("timm:resnet18")


def test_names_of_networks_in_torch_are_known():
    texts = "resnet8, mine.onnx, a/mine.py:Net, timm:resnet18, old.py, runs/fit/old"
    assert torch_names(texts) == ["a/mine.py:Net", "timm:resnet18", "old.py"]
    assert torch_names(texts, code=True) == ["a/mine.py:Net", "old.py"]
    assert torch_names(None) == []


@pytest.mark.parametrize(("left", "processes"), [(120.0, 1), (2400.0, 1), (2400.0, 4)])
def test_final_trainings_of_more_networks_fit_into_the_time(left, processes):
    alone, both = (plan_time(left, processes, 10.0, others=others) for others in (0, 2))
    assert both.final < alone.final
    assert bool(both.searched) == bool(alone.searched)
    for plan, others in ((alone, 0), (both, 2)):
        networks = (2 if plan.searched else 1) + others
        finals = plan.final * -(-networks * plan.seeds // processes)
        before = sum(count * plan.shortest[1] for count in (plan.handmade, plan.searched)) / processes
        assert finals >= 0.3 * left
        assert finals + before <= left
