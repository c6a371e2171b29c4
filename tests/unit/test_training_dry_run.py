"""Dry runs: a known cost is found, few passes are run, and what a run has shows that nothing is forgotten."""

import os
import time
from collections import Counter
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import zarts
from small import SMALL, TRAIN, often, small
from zarts import api
from zarts.config import retrain_settings, search_settings
from zarts.errors import KernelError
from zarts.limits import count_parameters
from zarts.methods import METHODS
from zarts.spaces import published
from zarts.training.dry_run import DryRun
from zarts.training.stub_forward import StubForward
from zarts.training.trainer import Job

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")

PASS_SECONDS = 0.02
UNMEASURED = {"memory_limit": "none"}
"""Memory is not looked at: test_training_memory.py does."""


class Slow(nn.Module):
    """A pass of known cost."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.calls = 0

    def forward(self, x):
        if x.device.type != "meta":
            self.calls += 1
            time.sleep(PASS_SECONDS * len(x))
        return self.layer(x)


class Toy(Job):
    """4 epochs of 50 steps, each on one image: each tenth step evaluates 30, each epoch's end 20, the job's 10."""

    passes = staticmethod(lambda network, *inputs: network(*inputs))
    device = torch.device("cpu")
    train = SimpleNamespace(mean_size=1.0)

    def __init__(self):
        self.network, self.epoch = Slow(), None
        self.trainer = self
        self.all_steps = [(epoch, step) for epoch in range(4) for step in range(50)]

    def doing(self, phase):
        assert phase == "measuring steps"

    def step_kind(self, epoch, step):
        return "update" if step % 10 == 0 else "step"

    def begin_epoch(self, epoch):
        self.epoch = epoch

    def move_to(self, epoch, step):
        assert epoch == self.epoch
        self.position = epoch, step

    def step(self, epoch, step):
        assert (epoch, step) == self.position
        if self.step_kind(epoch, step) == "update":
            self.evaluate(30)
        self.passes(self.network, torch.zeros(1, 3)).sum().backward()
        return torch.zeros(()), torch.zeros(()), 1

    def count(self, loss, correct, images):
        """Nothing is logged."""

    def end_epoch(self, epoch, meter):
        self.evaluate(20)

    def close_epoch(self, job):
        """Nothing is saved."""

    def finish(self):
        self.evaluate(10)

    meter = None
    state_dict = load_state_dict = None

    @torch.no_grad()
    def evaluate(self, batches):
        for _ in range(batches):
            assert self.passes(self.network, torch.zeros(1, 3)).shape == (1, 2)


@pytest.fixture
def quick(monkeypatch):
    """No more passes and takes than there must be."""
    monkeypatch.setattr("zarts.training.dry_run._SECONDS", 0.0)
    monkeypatch.setattr("zarts.training.stub_forward._SECONDS", 0.0)


def test_a_known_cost(quick):
    job, dry_run = Toy(), DryRun(before_seconds=100.0)
    dry_run.run(job)
    time.sleep(0.1)
    forecast = dry_run.forecast()
    parts = {part.name: part for part in forecast.parts}
    passes = {"update": 20 * 31, "step": 180, "end of an epoch": 4 * 20, "selection of the genotype": 10}
    for name, count in passes.items():
        assert parts[name].seconds == pytest.approx(count * PASS_SECONDS, rel=0.3)
    assert {name: part.count for name, part in parts.items()} == {
        "start, images, network": 1,
        "update": 20,
        "step": 180,
        "end of an epoch": 4,
        "selection of the genotype": 1,
        "results, pictures, report": 1,
    }
    assert 100 <= parts["start, images, network"].seconds < 101
    assert 0.1 <= parts["results, pictures, report"].seconds < 1
    assert forecast.seconds == sum(part.seconds for part in forecast.parts)
    assert (forecast.parameters, forecast.macs) == (8, 6)
    assert job.network.calls <= 2 * (3 + 1) + 3 * 2 + 2  # of 890: two takes of each, two passes of a kind in each


def test_ends_of_epochs_of_two_kinds(quick):
    """Of the four epochs the last one alone has a costly end."""

    class Ending(Toy):
        def epoch_end_kind(self, epoch):
            return "test" if epoch == 3 else "end of an epoch"

        def end_epoch(self, job, meter=None):
            if self.epoch == 3:
                super().end_epoch(job, meter)

    job, dry_run = Ending(), DryRun()
    dry_run.run(job)
    parts = {part.name: part for part in dry_run.forecast().parts}
    assert (parts["test"].count, parts["end of an epoch"].count) == (1, 3)
    assert parts["test"].seconds == pytest.approx(20 * PASS_SECONDS, rel=0.3)
    assert parts["end of an epoch"].seconds < 5 * PASS_SECONDS


def test_steps_are_repeated_while_that_is_quick(monkeypatch):
    monkeypatch.setattr("zarts.training.dry_run._SECONDS", 10 * PASS_SECONDS)
    job, dry_run = Toy(), DryRun()
    dry_run.run(job)
    assert job.network.calls > 20


def test_the_last_batch_of_an_epoch_may_be_smaller(quick):
    job, dry_run = Toy(), DryRun()
    job.train = SimpleNamespace(mean_size=0.5)
    dry_run.run(job)
    steps = next(part for part in dry_run.forecast().parts if part.name == "step")
    assert steps.seconds == pytest.approx(180 * PASS_SECONDS / 2, rel=0.3)


def test_an_output_that_was_not_computed_is_tied_to_the_weights(quick):
    network = Slow()
    passes = StubForward(lambda network, *inputs: network(*inputs))
    outputs = [passes(network, torch.ones(2, 3)) for _ in range(4)]
    assert network.calls == 2
    assert [p.run for p in passes.taken] == [True, True, False, False]
    assert outputs[3].shape == (2, 2)
    outputs[3].sum().backward()
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in network.parameters())


def test_passes_that_are_differentiated_in_the_operation_weights_are_run(quick):
    network = Slow()
    passes = StubForward(lambda network, x, weights: network(x) * weights["normal"])
    for _ in range(5):
        passes(network, torch.ones(1, 3), {"normal": torch.ones((), requires_grad=True)})
    assert network.calls == 5


@pytest.mark.parametrize("method", often(METHODS, "zarts-mgs", "darts-2nd", "enas", "random"))
def test_all_of_a_search_is_counted(method, quick, tmp_path):
    settings = small(method) | ({} if method == "random" else UNMEASURED)
    if settings.get("epochs") == 2:
        settings["epochs"] = 4
    history = zarts.search(out=tmp_path / "run", **settings).history
    forecast = api.dry_run_search(search_settings(settings))
    moves = sum(event["event"] == "alpha_step" for event in history)
    counts = {part.name: part.count for part in forecast.parts}
    assert sum(count for name, count in counts.items() if name.startswith("alpha update")) == moves
    watched = sum(event["event"] == "eigenvalue" for event in history)
    assert sum(count for name, count in counts.items() if name.endswith("eigenvalue")) == watched
    assert counts.get("selection of the genotype", 0) == sum(event["event"] == "selection" for event in history)
    assert counts.get("end of an epoch", 0) == sum(event["event"] == "weight_epoch" for event in history)
    assert all(part.seconds > 0 for part in forecast.parts)
    assert (forecast.parameters > 0) == (forecast.macs > 0) == (method != "random")


@pytest.mark.long
def test_time_and_memory_are_about_those_of_the_search(tmp_path):
    settings = {**SMALL, "epochs": 6, "inner_steps": 5, "samples": 4}
    forecast = api.dry_run_search(search_settings(settings))
    start = time.perf_counter()
    zarts.search(out=tmp_path / "run", **settings)
    taken = time.perf_counter() - start
    assert taken / 3 < forecast.seconds < 3 * taken
    assert 50e6 < forecast.peak_bytes < 64e9


def test_a_dry_run_leaves_nothing_behind(tmp_path, monkeypatch, quick):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = torch.get_rng_state(), torch.get_num_threads(), dict(os.environ)
    api.dry_run_search(search_settings(SMALL))
    api.dry_run_retrain("DARTS_V2", retrain_settings(TRAIN))
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), dict(os.environ)) == before[1:]


def test_a_retraining(searched, retrained, quick):
    forecast = api.dry_run_retrain(*api.retraining_of(searched.run, {**TRAIN, **UNMEASURED}))
    assert forecast.macs == retrained.macs
    assert forecast.parameters == retrained.parameters
    with_head = retrain_settings({**TRAIN, **UNMEASURED, "auxiliary_weight": 0.4, "image_size": 32})
    forecast = api.dry_run_retrain("DARTS_V2", with_head)
    network = zarts.create_model(published("DARTS_V2"), channels=2, cells=3, in_channels=1)
    assert forecast.parameters == count_parameters(network)
    assert Counter(part.count for part in forecast.parts)[2 * 4] == 1  # 2 epochs of 64 / 16 steps


def test_notes_are_heard_and_steps_are_not(monkeypatch, quick):
    def no_compiler(*_):
        raise KernelError("no compiler")

    monkeypatch.setattr("zarts.searcher.supernets.prepare", no_compiler)
    heard = []
    api.dry_run_search(search_settings({**SMALL, **UNMEASURED}), heard.append)
    (note,) = [event["text"] for event in heard if event["event"] == "note"]
    assert note.startswith("no compiler; torch's own kernels")
    phases = ["loading images", "measuring steps", "drawing the report"]
    assert [event["text"] for event in heard if event["event"] != "note"] == phases
