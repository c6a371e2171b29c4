"""Searches and retrainings with compiled passes and in bfloat16 beside plain ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import zarts
from small import TRAIN, small

pytestmark = pytest.mark.usefixtures("no_pictures")
CHECK = """
import functools, json, sys, torch
torch.compile = functools.partial(torch.compile, backend="aot_eager")  # the graphs, without minutes of C++ compiler
import zarts
from small import TRAIN, small
torch.set_num_threads(1)
def jobs(compile, **more):
    out = f"{sys.argv[1]}/{compile}"
    found = zarts.search(out=out, compile=compile, **small("zarts-mgs", subset=76))  # 38 images: batches of 16 and 6
    zarts.retrain(found, out=out + "-trained", compile=compile, **TRAIN | {"auxiliary_weight": 0.4, "subset": 70})
jobs(False), jobs(True)
counters = torch._dynamo.utils.counters
print(json.dumps({"graphs": counters["stats"]["unique_graphs"], "breaks": len(counters["graph_break"])}))
"""


@pytest.fixture
def python():
    """Code in a process of its own, where the shapes of no signature are checked: nothing else can be traced."""

    def run(code, *words):
        path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", "-c", code, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    return run


def events(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.long
def test_compiled_passes(tmp_path, python):
    process = python(CHECK, tmp_path)
    assert process.returncode == 0, process.stderr
    stats = json.loads(process.stdout.splitlines()[-1])
    assert stats["breaks"] == 0
    assert stats["graphs"] <= 2 * 3 + 1  # whole batches, others, the trial whether it works; with frozen weights
    for name, key in (("{}", "losses"), ("{}", "train_loss"), ("{}-trained", "train_loss")):
        plain, compiled = ([e[key] for e in events(tmp_path / name.format(c)) if key in e] for c in (False, True))
        for a, b in zip(plain, compiled, strict=True):
            assert b == pytest.approx(a, rel=1e-5)
    for name in ("{}", "{}-trained"):
        states = [
            torch.load(tmp_path / name.format(c) / "checkpoint.pt", weights_only=True)["job"]["model"]
            for c in (False, True)
        ]
        assert list(states[0]) == list(states[1])
    zarts.load_model(tmp_path / "True-trained" / "model.safetensors")


def test_bfloat16_searches(tmp_path):
    def search(precision):
        found = zarts.search(out=tmp_path / precision, precision=precision, **small("zarts-mgs"))
        job = torch.load(found.run / "checkpoint.pt", weights_only=True)["job"]
        momenta = [state["momentum_buffer"] for state in job["optimizer"]["state"].values()]
        assert {t.dtype for t in (*job["model"].values(), *momenta) if t.is_floating_point()} == {torch.float32}
        return next(e["train_loss"] for e in found.history if e["event"] == "weight_epoch"), job["model"]

    (plain, model), (mixed, other) = search("32-true"), search("bf16-mixed")
    assert plain != mixed == pytest.approx(plain, rel=2**-7)  # half a step of bfloat16
    assert list(model) == list(other)


def test_bfloat16_trains(tmp_path):
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        more = {"auxiliary_weight": 0.4, "precision": precision}
        trained = zarts.retrain("DARTS_V2", out=tmp_path / precision, **{**TRAIN, **more})
        losses[precision] = trained.history[0]["train_loss"]
        assert zarts.evaluate(trained.run) == trained.test_accuracy
        assert {p.dtype for p in trained.load().parameters()} == {torch.float32}
    assert losses["32-true"] != losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=2**-7)
