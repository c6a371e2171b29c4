"""The fast recipe: schedules over the steps, what is decayed and mirrored, and a training that fits into a time."""

import json
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import zarts
from small import stop_at
from zarts.config import RetrainSettings, retrain_settings
from zarts.data import Augment, Batches, ImageSet
from zarts.errors import Interrupted, SettingsError
from zarts.networks import create_chain, seeded
from zarts.runs import Run
from zarts.runtime.distributed import Ranks
from zarts.spaces import Chain, ChainStem, Stage
from zarts.training import length
from zarts.training.length import Length
from zarts.training.lr_schedule import rate_at
from zarts.training.retrain import TrainingJob
from zarts.training.setup import weight_optimizer
from zarts.training.train_step import WeightStep

TINY = Chain(ChainStem(4, stride=2), (Stage("conv", 4),))
FAST = RetrainSettings(schedule="trapezoid", learning_rate=1.0, warmup_share=0.25, cooldown_share=0.5)


def test_trapezoid():
    """Rises over 2 of 8 steps, is 1, and falls over the last 4 to 0 behind the last step."""
    assert [rate_at(FAST, step, 8) for step in range(8)] == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 0.75, 0.5, 0.25])


def test_a_constant_rate_can_be_cut_off_and_continued():
    """With the warm-up of the shorter one, the longer one has the same rates until the shorter one falls."""
    short = [rate_at(FAST, step, 8) for step in range(5)]
    assert short == [rate_at(FAST.model_copy(update={"warmup_share": 0.125}), step, 16) for step in range(5)]


def test_one_cycle():
    settings = FAST.model_copy(update={"schedule": "one-cycle"})
    rates = [rate_at(settings, step, 8) for step in range(8)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert rates[2:] == pytest.approx([(1 + math.cos(math.pi * i / 6)) / 2 for i in range(6)])


def test_norms_and_biases_decay_only_if_asked():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    for decays in (True, False):
        optimizer = weight_optimizer(RetrainSettings(weight_decay=0.5, decay_norms=decays), network.parameters())
        of = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        found = [of[id(p)] for p in network.parameters()]
        assert found == ([0.5] * 4 if decays else [0.5, 0, 0, 0])


def test_alternating_flips():
    """Every image is mirrored in one of two epochs, half of them in the first."""
    pixels = torch.arange(400 * 16, dtype=torch.int64).remainder(251).to(torch.uint8).view(400, 1, 4, 4)
    images = ImageSet(pixels, torch.arange(400))
    options = {"batch_size": 400, "seed": 0, "stream": "s", "mean": (0.0,), "std": (1.0,)}
    batches = Batches(images, **options, augment=Augment(flip=True, alternating=True, after=1))
    mirrored = []
    found, labels = batches[0]
    torch.testing.assert_close(found, pixels[labels] / 255)
    for epoch in range(1, 4):
        found, labels = batches[epoch]
        plain = pixels[labels].float() / 255
        is_plain, is_flipped = ((found - p).abs().amax((1, 2, 3)) < 1e-6 for p in (plain, plain.flip(3)))
        assert bool((is_plain ^ is_flipped).all())
        mirrored.append(is_flipped[labels.argsort()])
    assert torch.equal(mirrored[0], ~mirrored[1])
    assert torch.equal(mirrored[0], mirrored[2])
    assert 160 < int(mirrored[0].sum()) < 240


def test_layers_of_the_recipe():
    """Above the paper's defaults and a preset, below what is given."""
    found = retrain_settings({"recipe": "fast", "learning_rate": 0.2}, preset="cifar10", handmade=True)
    assert (found.learning_rate, found.schedule, found.decay_norms, found.drop_path) == (0.2, "trapezoid", False, 0)
    told = []
    found = retrain_settings({"time": "1h30m"}, handmade=True, note=told.append)
    assert (found.time, found.recipe) == (5400, "fast")
    assert "recipe = fast" in told[0]
    assert retrain_settings({}, handmade=True).recipe == "paper"
    rates = {made: retrain_settings({"recipe": "fast"}, handmade=made) for made in (True, False)}
    assert {made: (one.learning_rate, one.grad_clip) for made, one in rates.items()} == {
        True: (0.2, 0),
        False: (0.05, 5),
    }
    for options, word in (
        ({"time": "10m", "recipe": "paper"}, "schedule"),
        ({"time": "soon"}, "90s"),
        ({"time": "0s"}, "greater"),
        ({"recipe": "fast", "warmup_share": 0.7, "cooldown_share": 0.7}, "cooldown_share"),
        ({"recipe": "fast", "warmup_epochs": 2}, "warmup_share"),
    ):
        with pytest.raises(SettingsError, match=word):
            retrain_settings(options, handmade=True)


class Clock(SimpleNamespace):
    """Stands still until it is told how long a step took."""

    now = 100.0

    def perf_counter(self):
        return self.now


def _walked(settings, run, clock, seconds, *, state=None, stop=10**9):
    """Steps and rates of a length whose steps take `seconds(step)`."""
    made = Length(settings, run, 1000, 10.0, Ranks(), clock.now)
    step = 0
    if state is not None:
        made.load_state_dict(state[0])
        step = state[1]
    rates = {}
    while step < made.steps and step < stop:
        made.correct(step)
        rates[step] = made.rate(step)
        clock.now += seconds(step)
        step += 1
    return rates, (made.state_dict(), step)


@pytest.mark.parametrize("slower", [1, 3])
def test_a_length_fits_into_its_time(tmp_path, monkeypatch, slower):
    """Also on a machine that gets slower while it trains: with the test, 0.4 of ten steps, and four seconds left."""
    clock = Clock()
    monkeypatch.setattr(length, "time", clock)
    settings = FAST.model_copy(update={"time": 1000.0})
    rates, _ = _walked(settings, Run(tmp_path), clock, lambda step: 1.0 if step < 300 else slower)
    steps = 992 if slower == 1 else 300 + (1000 - 4 - 12 - 300) / 3
    assert len(rates) == pytest.approx(steps, rel=0.02)
    assert clock.now - 100 <= 1000
    assert max(rates.values()) == 1
    assert rates[len(rates) - 1] < 0.02  # has cooled down


def test_a_resumed_length_reads_its_corrections_back(tmp_path, monkeypatch):
    """From a state before some of them: the same rates, however fast the machine is now, until new steps follow."""
    clock = Clock()
    monkeypatch.setattr(length, "time", clock)
    settings = FAST.model_copy(update={"time": 1000.0})
    first, second = Run(tmp_path), Run(tmp_path)
    _, saved = _walked(settings, first, clock, lambda step: 1 + step / 300, stop=200)
    rates, _ = _walked(settings, first, clock, lambda step: 1 + step / 300, state=saved, stop=420)
    again, _ = _walked(settings, second, clock, lambda step: 9.0, state=saved, stop=420)
    assert again == rates
    assert len(again) == 220


@pytest.mark.usefixtures("no_pictures")
def test_a_timed_training_resumes_to_the_same_bits(tmp_path, monkeypatch):
    """Killed after later corrections were written, and resumed before them, on a clock that counts how often it is
    asked."""
    clock = Clock()
    clock.perf_counter = lambda: setattr(clock, "now", clock.now + 0.4) or clock.now

    monkeypatch.setattr(length, "time", clock)
    monkeypatch.setattr("zarts.api._retrain.time", clock)
    monkeypatch.setattr(TrainingJob, "_test_batch_seconds", lambda job: 0.1)

    def begin(name):
        clock.now = 0.0
        options = {"data": "digits", "subset": 300, "time": 60, "batch_size": 32, "quiet": True}
        options["memory_limit"] = "none"  # measured where little is free, it would ask the clock too
        return zarts.retrain(TINY, out=tmp_path / name, **options)

    straight = begin("straight")
    with monkeypatch.context() as patch:
        patch.setattr("zarts.training.trainer.stop_request", stop_at(25))
        with pytest.raises(Interrupted):
            begin("resumed")
    known = [
        json.loads((tmp_path / name / "length.json").read_text())["corrections"] for name in ("straight", "resumed")
    ]
    assert known[0][: len(known[1])] == known[1] != known[0]
    (tmp_path / "resumed" / "length.json").write_bytes((tmp_path / "straight" / "length.json").read_bytes())
    resumed = zarts.retrain(resume=tmp_path / "resumed", quiet=True)
    ours, theirs = (run.load().state_dict() for run in (resumed, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_gradients_of_several_ranks_keep_their_layout():
    """A step on two ranks, each with half of the batch, is the step of one: also with kernels in channels last."""

    class Two(Ranks):
        """The first of two ranks that pass the same images."""

        def __init__(self):
            super().__init__()
            self.count = 2

        def all_reduce(self, tensor):
            return 2 * tensor

    images, labels = torch.randn(4, 3, 6, 6), torch.tensor([0, 1, 1, 0])
    weights = []
    for ranks in (Ranks(), Two()):
        with seeded(0):
            network = create_chain(TINY, num_classes=2).to(memory_format=torch.channels_last)
        settings = RetrainSettings(learning_rate=0.5)
        optimizer, loss = weight_optimizer(settings, network.parameters()), nn.functional.cross_entropy
        step = WeightStep(settings, network, optimizer, ranks, torch.device("cpu"), loss, lambda number, piece: None)
        step(lambda net, x: net(x), 0, torch.cat([images, images]), torch.cat([labels, labels]))
        weights.append(torch.cat([weight.flatten() for weight in network.parameters()]))
    torch.testing.assert_close(*weights)


def test_the_memory_check_leaves_the_time_as_it_is(tmp_path, monkeypatch):
    """It takes steps of the job and comes back to its state; a resumed process adds the time before."""
    clock = Clock()
    monkeypatch.setattr(length, "time", clock)
    settings = FAST.model_copy(update={"time": 1000.0})
    made = Length(settings, Run(tmp_path), 1000, 10.0, Ranks(), clock.now)
    clock.now += 7
    state = made.state_dict()
    for _ in range(3):
        made.load_state_dict(state)
    assert made.elapsed() == 7
    clock.now += 1000
    resumed = Length(settings, Run(tmp_path), 1000, 10.0, Ranks(), clock.now)
    resumed.load_state_dict(state)
    assert resumed.elapsed() == 7


def test_a_run_of_the_recipe_reads_its_own_settings(tmp_path):
    """Its file also has what the recipe sets and another option leaves without an effect."""
    chosen = {"schedule": "one-cycle", "epochs": 1, "crop": "resized"}
    zarts.retrain(
        TINY, out=tmp_path / "run", data="digits", subset=64, recipe="fast", batch_size=16, quiet=True, **chosen
    )
    assert zarts.retrain(resume=tmp_path / "run", quiet=True).test_accuracy >= 0


def test_native_kernels_are_refused_where_they_cannot_run():
    retrain_settings({"kernels": "native", "precision": "bf16-mixed"}, handmade=True)
    for options in ({"precision": "16-mixed"}, {"layout": "nchw"}, {"compile": True}):
        with pytest.raises(SettingsError, match="kernels = native"):
            retrain_settings({"kernels": "native", **options}, handmade=True)
    assert rate_at(FAST.model_copy(update={"cooldown_share": 0.03}), 11, 12, 12) > 0


def test_a_run_from_before_muon_is_resumed_with_sgd(tmp_path):
    run = zarts.retrain(TINY, out=tmp_path / "run", data="digits", recipe="fast", epochs=1, quiet=True).run
    assert zarts.api.retrained_settings(run).muon_rate > 0
    config = run / "config.yaml"
    config.write_text("".join(line for line in config.read_text().splitlines(True) if "muon_rate" not in line))
    assert zarts.api.retrained_settings(run).muon_rate == 0
