"""What steps need is said before the first one: counted in full where they are small, refused where they do not fit."""

import gc
import sys
from contextlib import nullcontext, suppress

import pytest
import torch
from torch import nn

import zarts
from small import SMALL, TRAIN, needs_compiler, often, outcome, small, untimed
from zarts import api
from zarts.config import SearchSettings, retrain_settings, search_settings
from zarts.errors import SettingsError
from zarts.kernels.allocator import ALLOCATOR
from zarts.runs import Run
from zarts.runtime.distributed import Ranks
from zarts.runtime.measure import Allocations, Fit
from zarts.searcher import measure_search, prepare_search
from zarts.spaces import published
from zarts.training import retrain as run_retrain
from zarts.training.memory_check import _free, check_memory, readable
from zarts.training.memory_forecast import _HOLES, _ONCE, _SPREAD, Line, needs
from zarts.training.trainer import Job

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")


class Enough(Exception):
    """Nothing further is wanted of the run."""


def with_job(settings, folder, look):
    """What `look` sees of the job of a search or a retraining, which goes no further."""
    seen = []

    def drive(job):
        seen.append(look(job))
        raise Enough

    settings = settings.model_copy(update={"memory_limit": "none"})
    search, run = isinstance(settings, SearchSettings), Run.create(folder, {}, "search")
    with suppress(Enough):
        if search:
            measure_search(settings, run, drive)
        else:
            run_retrain(settings, published("DARTS_V2"), run, drive=drive)
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


def test_a_byte_of_torch_may_count_for_more():
    with Allocations(1.5) as counted:
        kept = torch.ones(1000)
        block = ALLOCATOR.empty([1 << 16], torch.float32)
    assert counted.peak == 6000 + (4 << 16)
    assert len(kept) + len(block) == 1000 + (1 << 16)


def test_outputs_in_lists_are_counted_once():
    with Allocations() as counted:
        first, _second = torch.ones(100).split(50)
        torch._foreach_add([first, first], 1)
    assert counted.peak == 4 * (100 + 100)


def test_blocks_of_the_native_kernels_are_counted():
    with Allocations() as counted:
        block = ALLOCATOR.empty([1 << 16], torch.float32)
        assert counted.peak == 4 << 16
        del block
        gc.collect()
        again = ALLOCATOR.empty([1 << 16], torch.float32)
    assert counted.peak == 4 << 16
    assert again.shape == (1 << 16,)


class Scaled(nn.Module):
    """Keeps what two tanh make; the weight from outside has a gradient, so that no pass is left out."""

    def forward(self, x, weights):
        return (x * weights["normal"]).tanh().tanh().sum(1, keepdim=True)


class Toy(Job):
    """Images of 1000 numbers; the update passes a batch thrice before it lets go."""

    device = torch.device("cpu")
    passes = staticmethod(lambda network, *inputs: network(*inputs))
    finish = None

    def __init__(self, batch, pieces):
        self.network, self.images, self.pieces = Scaled(), torch.ones(batch, 1000), pieces
        self.trainer, self.log = self, []
        self.all_steps = [(0, 0), (0, 1), (1, 0), (1, 1)]
        self.muted, self.train = nullcontext, [(torch.ones(1, 3, 64, 64), torch.zeros(1))]
        self.doing = lambda phase: None

    def step_kind(self, epoch, step):
        return "update" if step else "step"

    def begin_epoch(self, epoch):
        self.log.append(epoch)

    def step(self, epoch, step):
        leaf = torch.ones(1, requires_grad=True)
        for piece in self.images.chunk(self.pieces):
            outputs = [self.passes(self.network, piece, {"normal": leaf}) for _ in range(3 if step else 1)]
            assert all(output.shape == (len(piece), 1) for output in outputs)
            del outputs

    def end_epoch(self, epoch, meter):
        raise NotImplementedError

    def state_dict(self):
        return {"log": self.log}

    def load_state_dict(self, state):
        self.log = state["log"]


@pytest.mark.parametrize(("batch", "pieces"), [(64, 1), (64, 8)])
def test_a_known_need(batch, pieces):
    job = Toy(batch, pieces)
    step, update = needs(job, batch, checkpointing=False)
    assert job.log == [], "the job is as before"
    kept = 4 * 1000 * batch / pieces  # by each tanh
    for line, passes in ((step, 1), (update, 3)):
        whole = (line.whole - _ONCE) / _SPREAD
        assert whole == pytest.approx(passes * 2 * kept, rel=0.1)
        assert line.share_within(line.whole) == pytest.approx(1)
    assert Line(100.0, 0.0).share_within(99.0) < 0 < Line(100.0, 0.0).share_within(100.0)


CASES = {
    "unrolled": search_settings(small("darts-2nd", channels=4, batch_size=24, val_batches=2)),
    "candidates": search_settings(small("zarts-mgs", channels=4, batch_size=24, val_batch_size=12)),
    "checkpointed": search_settings(small("darts", channels=4, batch_size=24, checkpoint_activations=True)),
    "in pieces": retrain_settings(
        {**TRAIN, "channels": 4, "batch_size": 32, "micro_batches": 4, "auxiliary_weight": 0.4}
    ),
}


@needs_compiler
@pytest.mark.parametrize("name", CASES)
def test_a_few_images_say_what_all_need(name, tmp_path):
    settings = CASES[name]

    def look(job):
        lines = needs(job, settings.batch_size, checkpointing=settings.checkpoint_activations)
        whole = 0
        for step in (1, 0):
            job.begin_epoch(1)
            with Allocations(_HOLES if settings.checkpoint_activations else _SPREAD) as counted:
                job.step(1, step)
            whole = max(whole, counted.peak)
        return max(line.whole for line in lines) - _ONCE, whole

    said, whole = with_job(settings, tmp_path / "run", look)
    assert said == pytest.approx(whole, rel=0.1)


SEARCHES = {
    "zarts-mgs": small("zarts-mgs", channels=4),
    "darts": small("darts", channels=4, drop_path=0.3),
    "p-darts": small("p-darts", channels=4),
    "enas": small("enas", channels=4),
}


@pytest.fixture
def measured(monkeypatch):
    """What is obviously small is measured too."""
    monkeypatch.setattr("zarts.training.memory_check._OBVIOUS", 1 << 40)


@pytest.mark.parametrize("method", often(SEARCHES, "zarts-mgs", "darts"))
def test_a_search_is_the_same_to_the_bit(method, measured, tmp_path):
    """Whether its memory was looked at or not, and whether it is checkpointed or not."""
    settings = SEARCHES[method]
    zarts.search(out=tmp_path / "plain", **settings, memory_limit="none")
    zarts.search(out=tmp_path / "other", **settings, memory_limit="1GB", checkpoint_activations=True)
    assert outcome(tmp_path / "plain") == outcome(tmp_path / "other")


def test_a_retraining_is_the_same_to_the_bit(measured, tmp_path):
    """Also with drop-path, an auxiliary head, a moving average and the operation noise."""
    settings = {**TRAIN, "drop_path": 0.3, "auxiliary_weight": 0.4, "ema": 0.9}
    plain, other = (
        zarts.retrain("sdarts/c10_s4_rs", out=tmp_path / more["memory_limit"], **settings, **more)
        for more in ({"memory_limit": "none"}, {"memory_limit": "1GB", "checkpoint_activations": True})
    )
    assert untimed(plain.history) == untimed(other.history)
    models = plain.load().state_dict(), other.load().state_dict()
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])


def test_a_dry_run_knows_what_is_needed_and_what_is_free(monkeypatch):
    monkeypatch.setattr("zarts.training.dry_run._SECONDS", 0.0)
    monkeypatch.setattr("zarts.training.stub_forward._SECONDS", 0.0)
    found = api.dry_run_search(search_settings({**SMALL, "channels": 4, "memory_limit": "1GB"})).fit
    assert found.free == 10**9
    assert _ONCE < found.needed < 2 * _ONCE
    assert found.largest > 1000


def test_a_dry_run_does_not_count_a_look_that_the_run_does_not_take(monkeypatch):
    monkeypatch.setattr("zarts.training.dry_run._SECONDS", 0.0)
    module = sys.modules["zarts.searcher.prepare"]
    monkeypatch.setattr(module, "check_memory", lambda *_, **__: Fit(1, 2, 3, seconds=1000.0))
    start, *_ = api.dry_run_search(search_settings({**SMALL, "channels": 4})).parts
    assert -1000 < start.seconds < -900
    toy, settings = Toy(4, 1), {**SMALL, "memory_limit": "1GB"}
    toy.train = [(torch.ones(4, 3, 8, 8), torch.zeros(4))]
    assert check_memory(toy, search_settings(settings), Ranks(), always=True).seconds > 0
    fit = check_memory(Toy(BATCH, 1), limited(70), Ranks(), always=True)
    assert fit.seconds == 0, "the run looks too"


def test_a_search_that_does_not_fit_does_not_begin(tmp_path):
    settings = search_settings({**SMALL, "channels": 4, "memory_limit": "1MB"})
    run = Run.create(tmp_path / "run", {}, "search")
    with pytest.raises(SettingsError, match="channels"):
        prepare_search(settings, run)
    assert not run.started


BATCH = 64
UPDATE = _SPREAD * 6 * 4000
"""What the update of a toy needs for an image."""


def limited(images, **settings):
    """Settings of a search on batches of 64, whose memory is enough for so many images, and a half, of a toy."""
    limit = int(_ONCE + UPDATE * (images + 0.5))
    return search_settings({**SMALL, "batch_size": BATCH, "memory_limit": limit, **settings})


def test_what_does_not_fit_is_refused_with_the_batch_that_would():
    settings = limited(20)
    words = (
        rf"^steps on 64 images need 54\.2 MB of memory, memory_limit = {settings.memory_limit}: "
        r"take batch_size=20; memory_limit=.none. goes on anyway$"
    )
    with pytest.raises(SettingsError, match=words):
        check_memory(Toy(BATCH, 1), settings, Ranks())
    with pytest.raises(SettingsError, match=r"take batch_size=1[01], val_batch_size=2[02];"):
        check_memory(Toy(BATCH, 1), limited(10, val_batch_size=128), Ranks())
    fit = check_memory(Toy(BATCH, 1), limited(70), Ranks())
    assert fit.largest in (70, 71)
    assert fit.needed == pytest.approx(_ONCE + 64 * UPDATE, rel=0.01)


def test_what_is_free_here_counts_where_there_is_no_limit(monkeypatch):
    monkeypatch.setattr("zarts.training.memory_check.free_bytes", lambda device: 30_000_000)
    with pytest.raises(SettingsError, match=r"54\.2 MB"):
        check_memory(Toy(BATCH, 1), limited(1, memory_limit="auto"), Ranks())
    monkeypatch.setattr("zarts.training.memory_check.free_bytes", lambda device: None)
    assert check_memory(Toy(BATCH, 1), limited(1, memory_limit="auto"), Ranks()) is None
    unknown = check_memory(Toy(BATCH, 1), limited(1, memory_limit="auto"), Ranks(), always=True)
    assert (unknown.free, unknown.largest) == (None, None)


def test_checkpointing_may_be_enough(tmp_path):
    settings = retrain_settings({**TRAIN, "channels": 8, "cells": 6, "epochs": 1})

    def look(job):
        whole, less = (max(line.whole for line in needs(job, 16, checkpointing=on)) for on in (False, True))
        between = settings.model_copy(update={"memory_limit": int(less + 0.2 * (whole - less))})
        with pytest.raises(SettingsError, match=r"or checkpoint_activations=True, with which they need [\d.]+ MB; "):
            check_memory(job, between, Ranks())
        shorter = settings.model_copy(update={"memory_limit": int(_ONCE + 0.5 * (less - _ONCE))})
        with pytest.raises(SettingsError, match=r"or checkpoint_activations=True, batch_size=\d+; "):
            check_memory(job, shorter, Ranks())
        assert not job.network.checkpointing.on, "as the settings say"
        return (whole - _ONCE) / _SPREAD, (less - _ONCE) / _HOLES

    whole, less = with_job(settings, tmp_path / "run", look)
    assert less < 0.7 * whole


def test_what_is_obviously_small_is_not_measured(monkeypatch):
    def fail(*_, **__):
        raise AssertionError

    monkeypatch.setattr("zarts.training.memory_check.needs", fail)
    toy = Toy(4, 1)
    toy.train = [(torch.ones(4, 3, 8, 8), torch.zeros(4))]
    assert check_memory(toy, search_settings({**SMALL, "memory_limit": "1GB"}), Ranks()) is None
    with pytest.raises(AssertionError):
        check_memory(toy, search_settings({**SMALL, "memory_limit": "10MB"}), Ranks())
    for settings in ({"memory_limit": "none"}, {"memory_limit": "1MB", "compile": True}):
        assert check_memory(toy, search_settings({**SMALL, **settings}), Ranks(), always=True) is None


class Two(Ranks):
    """The first of two on one machine, of which the other has less free."""

    def __init__(self):
        super().__init__()
        self.count = 2

    def all_reduce(self, tensor):
        return tensor + torch.tensor([0.0, 50e6], dtype=tensor.dtype) if len(tensor) == 2 else tensor


def test_processes_on_one_machine_count_together(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    settings = limited(1, memory_limit="60MB")
    assert _free(torch.device("cpu"), settings, Two()) == 50e6
    with pytest.raises(SettingsError, match="108 MB"):
        check_memory(Toy(BATCH, 1), settings, Two())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"memory_limit": "much"}, "memory_limit = 'much'"),
        ({"memory_limit": 0}, "memory_limit = 0"),
        (
            {"compile": True, "checkpoint_activations": True},
            "compile = True",
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
