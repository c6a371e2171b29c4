"""What steps need is said before the first one: counted in full where they are small, refused where they do not fit."""

import gc
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import zarts
from small import PARTIAL, SMALL, TRAIN, needs_compiler, outcome, small
from zarts import api
from zarts.config import retrain_settings, search_settings
from zarts.engine import Fit, Run, check_memory, readable
from zarts.engine import search as run_search
from zarts.engine.allocations import Allocations
from zarts.engine.probe import _ONCE, _UNSEEN, Line, needs
from zarts.engine.refusal import _free
from zarts.errors import SettingsError
from zarts.kernels.buffers import BUFFERS
from zarts.ranks import Ranks
from zarts.spaces import published
from zarts.training import retrain as run_retrain

pytestmark = pytest.mark.usefixtures("no_pictures")


class Enough(Exception):
    """Nothing further is wanted of the run."""


def with_job(settings, folder, look):
    """What `look` sees of the job of a search or a retraining, which goes no further."""
    seen = []

    def drive(job):
        seen.append(look(job))
        raise Enough

    settings = settings.model_copy(update={"memory_limit": "none"})
    with pytest.raises(Enough):
        if hasattr(settings, "update"):
            run_search(settings, Run.create(folder, {}, "search"), drive=drive)
        else:
            run_retrain(settings, published("DARTS_V2"), Run.create(folder, {}, "retrain"), drive=drive)
    return seen[0]


def test_tensors_are_counted_while_they_live():
    there = torch.ones(1000)
    with Allocations() as counted:
        a = there + 1
        b = a.view(10, 100)[:5] * 2
        assert counted.peak == 4 * (1000 + 500)
        del a
        c = torch.cat([b, b])
        del b, c
        there.view(-1).add_(1)
        d = torch.ones(1000)
    assert counted.peak == 4 * (1000 + 500)
    assert len(d) == 1000


def test_outputs_in_lists_are_counted_once():
    with Allocations() as counted:
        first, _second = torch.ones(100).split(50)
        torch._foreach_add([first, first], 1)
    assert counted.peak == 4 * (100 + 100)


def test_blocks_of_the_native_kernels_are_counted():
    with Allocations() as counted:
        block = BUFFERS.empty([1 << 16], torch.float32)
        assert counted.peak == 4 << 16
        del block
        gc.collect()
        again = BUFFERS.empty([1 << 16], torch.float32)
    assert counted.peak == 4 << 16
    assert again.shape == (1 << 16,)


class Toy:
    """Two kinds of step; a pass keeps 3 features of 1000 numbers an image, and the update passes a batch thrice."""

    device, train = torch.device("cpu"), None

    def __init__(self, batch, pieces=1):
        self.network = nn.Sequential(nn.Tanh(), nn.Tanh(), nn.Tanh())
        self.passes = lambda network, *inputs: network(*inputs)
        self.images, self.pieces = torch.ones(batch, 1000), pieces
        self.loop, self.log = self, []
        self.places = [(0, 0), (0, 1), (1, 0), (1, 1)]

    def muted(self):
        return torch.no_grad() if False else torch.enable_grad()

    def phase(self, epoch, step):
        return "update" if step else "step"

    def begin_epoch(self, epoch):
        self.log.append(epoch)

    def step(self, epoch, step):
        for piece in self.images.chunk(self.pieces):
            leaf = torch.ones(1, requires_grad=True)
            outputs = [self.passes(self.network, piece, {"normal": leaf}) for _ in range(3 if step else 1)]
            assert all(output.shape == piece.shape for output in outputs)

    def state_dict(self):
        return {"log": self.log}

    def load_state_dict(self, state):
        self.log = state["log"]


class Scaled(nn.Module):
    """Multiplies by a weight from outside, so that the pass is never left out."""

    def forward(self, x, weights):
        return (x * weights["normal"]).tanh().tanh()


@pytest.mark.parametrize(("batch", "pieces"), [(64, 1), (64, 8), (64, 32), (3, 1)])
def test_a_known_need(batch, pieces):
    job = Toy(batch, pieces)
    job.network = Scaled()
    step, update = needs(job, batch, recompute=False)
    assert job.log == [], "the job is as before"
    images = batch / pieces
    kept = 4 * 1000 * images  # of each of three operations
    for line, passes in ((step, 1), (update, 3)):
        whole = (line.whole - _ONCE) / _UNSEEN
        assert whole == pytest.approx(passes * 4 * kept, rel=0.15), "three, and the rows that stand for all"
        assert line.share_within(line.whole) == pytest.approx(1)
    assert Line(100.0, 0.0).share_within(99) < 0 < Line(100.0, 0.0).share_within(100)


CASES = {
    "first order": search_settings(small("darts", channels=4, batch_size=24)),
    "unrolled": search_settings(small("darts-2nd", channels=4, batch_size=24, val_batches=2)),
    "candidates": search_settings(small("zarts-mgs", channels=4, batch_size=24, val_batch_size=12)),
    "torch's kernels": search_settings(small("zarts-mgs", channels=4, batch_size=24, kernels="torch")),
    "checkpointed": search_settings(small("darts", channels=4, batch_size=24, checkpoint_activations=True)),
    "retraining": retrain_settings({**TRAIN, "channels": 4, "batch_size": 24, "auxiliary_weight": 0.4}),
    "retraining in pieces": retrain_settings({**TRAIN, "channels": 4, "batch_size": 32, "micro_batches": 4}),
}


@needs_compiler
@pytest.mark.parametrize("name", CASES)
def test_a_few_images_say_what_all_need(name, tmp_path):
    settings = CASES[name]

    def look(job):
        lines = needs(job, settings.batch_size, recompute=settings.checkpoint_activations)
        whole = 0
        for step in (1, 0):
            job.begin_epoch(1)
            with Allocations() as counted:
                job.step(1, step)
            whole = max(whole, counted.peak)
        return (max(line.whole for line in lines) - _ONCE) / _UNSEEN, whole

    said, whole = with_job(settings, tmp_path / "run", look)
    assert said == pytest.approx(whole, rel=0.2)


SEARCHES = {
    "zarts-mgs": {},
    "r-darts": {"eigenvalue_every": 1, "eigenvalue_growth": None},
    "p-darts": {},
    "p-zarts": {},
    "enas": {},
    "gdas": {},
}


@pytest.fixture
def measured(monkeypatch):
    """What is obviously small is measured too."""
    monkeypatch.setattr("zarts.engine.refusal._OBVIOUS", 1 << 40)


@pytest.mark.parametrize("method", SEARCHES)
def test_a_search_is_the_same_to_the_bit(method, measured, tmp_path):
    settings = {k: v for k, v in {**small(method), **SEARCHES[method]}.items() if v is not None}
    for limit in ("none", "auto"):
        zarts.search(out=tmp_path / limit, **settings, memory_limit=limit)
    assert outcome(tmp_path / "none") == outcome(tmp_path / "auto")


def test_a_retraining_is_the_same_to_the_bit(measured, tmp_path):
    settings = {**TRAIN, "drop_path": 0.3, "ema": 0.9}
    runs = []
    for limit in ("none", "auto"):
        runs.append(zarts.retrain("DARTS_V2", out=tmp_path / limit, **settings, memory_limit=limit))
    plain, checked = ([e for e in run.history if e["event"] == "train_epoch"] for run in runs)
    for event in (*plain, *checked):
        del event["seconds"]
    assert plain == checked
    models = [(tmp_path / limit / "model.safetensors").read_bytes() for limit in ("none", "auto")]
    assert models[0] == models[1]


@pytest.mark.parametrize("on", [False, True])
def test_what_is_checkpointed_is_the_same_to_the_bit(on, tmp_path):
    """A search with partial channels, drop-path and second derivatives goes on as it began, with or without."""
    settings = small("r-darts", supernet="partial", **PARTIAL, eigenvalue_every=1, drop_path=0.3)
    del settings["eigenvalue_growth"]
    run = zarts.search(out=tmp_path / str(on), **settings, checkpoint_activations=on)
    if not on:
        return
    other = zarts.search(out=tmp_path / "other", **settings)
    assert outcome(run.run) == outcome(other.run)


def fit(settings, **changes):
    """Numbers of the forecast; the settings need what they need, whatever may be taken."""
    return api.rehearse_search(search_settings({**settings, **changes})).fit


def test_a_dry_run_knows_what_is_needed_and_what_is_free(monkeypatch):
    monkeypatch.setattr("zarts.engine.rehearsal._SECONDS", 0.0)
    found = fit(SMALL, memory_limit="1GB")
    assert found.free == 10**9
    assert _ONCE < found.needed < 2 * _ONCE
    assert found.largest > 1000
    monkeypatch.setattr("zarts.engine.refusal.free_bytes", lambda device: None)
    assert fit(SMALL) == Fit(found.needed, None, None)
    assert fit(SMALL, memory_limit="none") is None


def test_what_does_not_fit_is_refused_with_the_batch_that_would(tmp_path):
    settings = search_settings({**SMALL, "channels": 4, "batch_size": 32, "memory_limit": _ONCE + 6_000_000})
    with pytest.raises(
        SettingsError,
        match=r"^steps on 32 images need \d\d\.\d MB of memory, memory_limit = \d+: take --batch-size \d+ or "
        r"--checkpoint-activations(, with which they need \d\d\.\d MB| --batch-size \d+); "
        r"--memory-limit none goes on anyway$",
    ) as error:
        run_search(settings, Run.create(tmp_path / "a", {}, "search"))
    assert not (tmp_path / "a" / "checkpoint.pt").exists(), "not begun"
    most = int(str(error.value).split("--batch-size ")[1].split()[0])
    assert 2 < most < 32
    zarts.search(out=tmp_path / "b", **{**settings.model_dump(include=set(SMALL)), "batch_size": most})
    with pytest.raises(SettingsError, match=rf"^steps on {most + 2} images need"):
        run_search(settings.model_copy(update={"batch_size": most + 2}), Run.create(tmp_path / "c", {}, "search"))


def test_checkpointing_may_be_enough(tmp_path):
    settings = retrain_settings({**TRAIN, "channels": 8, "cells": 6, "memory_limit": "1MB"})
    whole, less = with_job(
        settings,
        tmp_path / "look",
        lambda job: [max(line.whole for line in needs(job, 16, recompute=on)) for on in (False, True)],
    )
    assert less - _ONCE < 0.7 * (whole - _ONCE)
    between = settings.model_copy(update={"memory_limit": int(less + 0.2 * (whole - less))})
    with pytest.raises(SettingsError, match=r"or --checkpoint-activations, with which they need \d\d\.\d MB; "):
        run_retrain(between, published("DARTS_V2"), Run.create(tmp_path / "a", {}, "retrain"))
    enough = between.model_copy(update={"checkpoint_activations": True})
    assert run_retrain(enough, published("DARTS_V2"), Run.create(tmp_path / "b", {}, "retrain")).test_accuracy >= 0


def test_not_even_two_images(tmp_path):
    settings = search_settings({**SMALL, "memory_limit": "1MB"})
    with pytest.raises(SettingsError, match=r"not even 2 images fit: take a smaller network by --channels or --cells;"):
        run_search(settings, Run.create(tmp_path / "a", {}, "search"))


def test_validation_batches_get_smaller_alike(tmp_path):
    limit = {"memory_limit": _ONCE + 6_000_000}
    settings = search_settings({**SMALL, "channels": 4, "batch_size": 16, "val_batch_size": 32, **limit})
    with pytest.raises(SettingsError, match=r"take --batch-size (\d+) --val-batch-size (\d+) ") as error:
        run_search(settings, Run.create(tmp_path / "a", {}, "search"))
    words = str(error.value).split()
    batch, val = (int(words[words.index(option) + 1]) for option in ("--batch-size", "--val-batch-size"))
    assert val == 2 * batch


def test_what_is_obviously_small_is_not_measured(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise AssertionError

    monkeypatch.setattr("zarts.engine.refusal.needs", fail)
    zarts.search(out=tmp_path / "run", **SMALL, memory_limit="8GB")
    for settings in ({"memory_limit": "none"}, {"memory_limit": "1MB", "compile": True}):
        job = SimpleNamespace(device=torch.device("cpu"))
        assert check_memory(job, search_settings({**SMALL, **settings}), Ranks(), always=True) is None


class Two(Ranks):
    """The first of two on one machine, of which the other has less free."""

    def __init__(self):
        super().__init__()
        self.count = 2

    def sum(self, tensor):
        return tensor + torch.tensor([0.0, 30e6], dtype=tensor.dtype) if len(tensor) == 2 else tensor


def test_processes_on_one_machine_count_together(monkeypatch, tmp_path):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    settings = search_settings({**SMALL, "memory_limit": "60MB"})
    assert _free(torch.device("cpu"), settings, Two()) == 30e6

    def look(job):
        one = max(line.whole for line in needs(job, settings.batch_size, recompute=False))
        with pytest.raises(SettingsError, match=r"^steps on 16 images of 2 processes need") as error:
            check_memory(job, settings, Two())
        return one, str(error.value)

    one, words = with_job(settings, tmp_path / "run", look)
    assert f"need {readable(2 * one)} of memory" in words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"memory_limit": "much"}, r"memory_limit = 'much' \(options\): .* 'auto' or 'none'"),
        ({"memory_limit": 0}, r"memory_limit = 0 \(options\): should be greater than 0"),
        (
            {"compile": True, "checkpoint_activations": True},
            "compile = True: a compiled graph decides for itself what it keeps for the backward pass: leave "
            "--checkpoint-activations out, or --compile",
        ),
    ],
)
def test_settings_that_cannot_be(given, words):
    for settings in (search_settings, retrain_settings):
        with pytest.raises(SettingsError, match=words):
            settings(given)


def test_sizes_are_read():
    assert retrain_settings({"memory_limit": "8GB"}).memory_limit == 8_000_000_000
    assert retrain_settings({"memory_limit": "8GiB"}).memory_limit == 8 << 30
    assert [readable(size) for size in (12_340_000, 123_400_000_000)] == ["12.3 MB", "123 GB"]
