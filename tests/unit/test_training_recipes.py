"""Recipes: their schedules beside the formulas of the papers, what they start from, and whether they train."""

import copy
import math

import pytest
import torch
from torch import nn

import zarts
from small import TRAIN, often
from zarts.config import RetrainSettings, preset_names, retrain_settings
from zarts.config.retrain import STEPWISE
from zarts.errors import RunError, SettingsError
from zarts.limits import count_parameters
from zarts.networks import create_model, seeded
from zarts.runtime.distributed import Ranks
from zarts.spaces import get_space
from zarts.spaces.nasbench201 import from_string
from zarts.supernet import SuperNet, supernet_weights
from zarts.training import ModelCard, Start, dry_run, load_model, stub_forward
from zarts.training.criterion import criterion_of
from zarts.training.lr_schedule import SCHEDULES, learning_rate
from zarts.training.network_training import averaging
from zarts.training.setup import weight_optimizer
from zarts.training.train_step import WeightStep
from zarts.training.warm_start import begin

pytestmark = pytest.mark.usefixtures("no_pictures", "unchecked")
ONE = {**TRAIN, "epochs": 1}

DARTS_CIFAR = [0.025 / 2 * (1 + math.cos(math.pi * e / 600)) for e in range(600)]
GROUP_IMAGENET = [
    0.5 * (e + 1) / 5 if e < 5 else 0.5 * (245 - e) / 245 if 250 - e > 5 else 0.5 * (250 - e) / (245 * 5)
    for e in range(250)
]
DARTS_IMAGENET = [0.1 * 0.97**e for e in range(250)]
NB201 = [0.1 / 2 * (1 + math.cos(math.pi * e / 200)) for e in range(200)]


@pytest.mark.parametrize(
    ("preset", "rates"),
    [
        ("cifar10", DARTS_CIFAR),
        ("rdarts", DARTS_CIFAR),
        ("pc-darts", DARTS_CIFAR),
        ("imagenet/transfer", GROUP_IMAGENET),
        ("imagenet/darts", DARTS_IMAGENET),
        ("nb201", NB201),
    ],
)
def test_learning_rate_of_every_epoch(preset, rates):
    settings = retrain_settings({}, preset=preset)
    assert [learning_rate(settings, epoch) for epoch in range(settings.epochs)] == pytest.approx(rates)


def test_linear_and_warmup():
    settings = RetrainSettings(schedule="linear", epochs=10, learning_rate=1.0, learning_rate_min=0.5, warmup_epochs=4)
    rates = [learning_rate(settings, epoch) for epoch in range(10)]
    assert rates == pytest.approx([1 / 4, 1 / 2, 3 / 4, 1.0, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55])
    assert {*SCHEDULES, *STEPWISE} == set(RetrainSettings.model_fields["schedule"].annotation.__args__)


def test_drop_path_of_every_epoch(tmp_path, monkeypatch):
    """From 0, in epoch e of E, e / E of the whole; and the rate that was logged is the schedule's."""
    seen = []
    monkeypatch.setattr(WeightStep, "__call__", lambda self, passes, number, images, labels: self.stub(images, labels))

    def stub(self, images, labels):
        seen.append(self._network.drop_path_probability)
        return torch.zeros(()), torch.zeros((), dtype=torch.int64)

    monkeypatch.setattr(WeightStep, "stub", stub, raising=False)
    result = zarts.retrain(
        "DARTS_V2", out=tmp_path / "run", **{**TRAIN, "epochs": 4, "drop_path": 0.3, "test_every": 9}
    )
    assert seen[:: len(seen) // 4] == pytest.approx([0, 0.075, 0.15, 0.225])
    rates = [e["learning_rate"] for e in result.history if e["event"] == "train_epoch"]
    assert rates == pytest.approx([0.025 / 2 * (1 + math.cos(math.pi * e / 4)) for e in range(4)])


def test_the_moving_average_is_kept(tmp_path):
    """It is 0.9 of itself and 0.1 of the weights after every step, from those after the first."""
    network = create_model(zarts.Genotype.from_dict(GENOTYPE), channels=2, cells=3)
    average = averaging(network, 0.9)
    weight, expected = network.classifier.weight, None
    for step in range(4):
        with torch.no_grad():
            weight.add_(step + 1.0)
        average.update_parameters(network)
        expected = weight.clone() if expected is None else 0.9 * expected + 0.1 * weight
    torch.testing.assert_close(average.module.classifier.weight, expected)
    plain = zarts.retrain("DARTS_V2", out=tmp_path / "plain", **ONE)
    kept = zarts.retrain("DARTS_V2", out=tmp_path / "kept", **ONE, ema=0.9)
    losses = [[e["train_loss"] for e in r.history if e["event"] == "train_epoch"] for r in (plain, kept)]
    assert losses[0] == losses[1]  # the training itself is the same
    assert not torch.equal(plain.load().classifier.weight, kept.load().classifier.weight)
    assert zarts.evaluate(kept.run) == kept.test_accuracy


GENOTYPE = {
    "format": 1,
    "space": "s2",
    "cells": {kind: [[["sep_conv_3x3", 0], ["skip_connect", 1]]] * 4 for kind in ("normal", "reduce")},
}
RECIPES = ["cifar10", "pc-darts", "imagenet/transfer", "imagenet/darts"]
"""Of those whose optimizers are alike, one: cifar100, svhn, rdarts, sdarts and p-darts are as cifar10 there."""


@pytest.mark.parametrize("preset", [*RECIPES, "nb201"])
def test_the_first_steps_of_a_recipe_decrease_the_loss(preset):
    """Its rate, momentum, decay, clipping, auxiliary head and smoothing, on images of CIFAR's shape with something to
    learn; a smaller network and batch."""
    settings = retrain_settings(
        {"channels": 4, "cells": 1 if preset == "nb201" else 3, "batch_size": 16}, preset=preset
    )
    genotype = from_string(CELL) if preset == "nb201" else zarts.Genotype.from_dict(GENOTYPE)
    generator = torch.Generator().manual_seed(0)
    size = 64 if settings.stem == "imagenet" else 32
    means = torch.randn(4, 3, 1, 1, generator=generator)
    losses = []
    with seeded(0):
        network = ModelCard(
            genotype, settings.channels, settings.cells, settings.stem, tuple("abcd"), size, (0.5,) * 3, (0.2,) * 3
        ).build(auxiliary=settings.auxiliary_weight > 0)
    optimizer = weight_optimizer(settings, network.parameters())
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(settings, 0)
    cpu = torch.device("cpu")
    loss = criterion_of(settings.criterion, torch.arange(4), 4, cpu, settings.label_smoothing).loss
    step = WeightStep(settings, network, optimizer, Ranks(), cpu, loss, lambda number, piece: None)
    for number in range(20):
        labels = torch.randint(4, (16,), generator=generator)
        images = means[labels] + 0.5 * torch.randn(16, 3, size, size, generator=generator)
        losses.append(step(lambda net, x: net(x), number, images, labels)[0].item())
    assert sum(losses[-5:]) / 5 < 0.7 * losses[0]


CELL = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


PRESETS = [name for name in preset_names() if not name.startswith("digits/")]


@pytest.mark.parametrize("preset", often(PRESETS, *RECIPES, "nb201", "quick"))
def test_every_recipe_resolves_and_says_what_it_costs(monkeypatch, preset):
    """On other images and smaller, in a dry run."""
    genotype = from_string(CELL) if preset.startswith("nb201") else zarts.Genotype.from_dict(GENOTYPE)
    small = {"data": "digits", "subset": 64, "image_size": 16, "channels": 2, "cells": 3, "batch_size": 16, "cutout": 0}
    small |= {"memory_limit": "none"}  # its measurement has tests of its own
    small |= {"color_jitter": (0, 0, 0, 0)} if preset.startswith("imagenet") else {}
    for part in (dry_run, stub_forward):
        monkeypatch.setattr(part, "_SECONDS", 0.0)
    source, settings = zarts.api.retraining_of(genotype, small, preset=preset)
    forecast = zarts.api.dry_run_retrain(source, settings)
    assert forecast.parameters > 0
    assert forecast.seconds > 0
    assert {part.name: part.count for part in forecast.parts}["weight step"] == settings.epochs * 4


def test_cells_of_the_benchmark_are_trained(tmp_path):
    """By default the benchmark's network: 1.531546 M parameters for its largest cell, all 3x3 convolutions."""
    every = from_string(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    _, settings = zarts.api.retraining_of(every, {"data": "digits"})
    card = ModelCard(every, settings.channels, settings.cells, "cifar", tuple("0123456789"), 32, (0.5,) * 3, (0.2,) * 3)
    assert count_parameters(card.build()) == 1_531_546
    small = {key: value for key, value in ONE.items() if key not in ("auxiliary_weight", "drop_path", "cutout")}
    result = zarts.retrain(from_string(CELL), out=tmp_path / "run", **{**small, "cells": 1})
    assert zarts.evaluate(result.run) == result.test_accuracy
    assert load_model(result.run / "model.safetensors")[1].genotype == from_string(CELL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auxiliary_weight": 0.4}, "auxiliary head"),
        ({"drop_path": 0.1}, "drop-path"),
        ({"stem": "imagenet"}, "stem"),
    ],
)
def test_what_networks_of_the_benchmark_do_not_have(tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        zarts.retrain(from_string(CELL), out=tmp_path / "run", data="digits", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "linear", "learning_rate_decay": 0.9}, "learning_rate_decay"),
        ({"learning_rate_min": 0.1}, "learning_rate_min = 0.1"),
        ({"schedule": "linear-tail", "epochs": 5}, "5 epochs"),
        ({"warmup_epochs": 3, "epochs": 3}, "warmup_epochs = 3"),
        ({"batch_size": 16, "micro_batches": 3, "devices": 3}, "3 devices"),
        ({"weights_from": "supernet"}, "weights_from = supernet"),
    ],
)
def test_recipes_that_cannot_be(tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        zarts.retrain("DARTS_V2", out=tmp_path / "run", **{"data": "digits", **options})
    with pytest.raises(SettingsError, match="retrain what"):
        zarts.retrain(out=tmp_path / "run")


@pytest.mark.parametrize("space", ["s2", "s3", "darts"])
def test_weights_of_the_supernet(space):
    """The network gives what the supernet gives where nothing but its operations run; both evaluate."""
    space = get_space(space)
    generator = torch.Generator().manual_seed(1)
    alphas = space.split(torch.randn(space.dimension, generator=generator))
    without = {kind: [[n in POOLS for n in names] for names in space.candidates[kind]] for kind in alphas}
    genotype = space.derive({k: a.masked_fill(torch.tensor(without[k]), -9) for k, a in alphas.items()})
    with seeded(0):
        supernet = SuperNet(space, channels=4, cells=4, num_classes=5)
        network = create_model(genotype, channels=4, cells=4, num_classes=5, auxiliary=True)
        for name, buffer in supernet.named_buffers():
            if buffer.dtype.is_floating_point:
                buffer.copy_(torch.rand_like(buffer) + (0.5 if "var" in name else 0))
    begin(network, Start(supernet_weights(supernet.eval(), genotype, network)), ())
    images = torch.randn(2, 3, 16, 16, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(network.eval()(images), supernet(images, space.one_hot(genotype)))


POOLS = ("max_pool_3x3", "avg_pool_3x3", "none")


def test_a_retraining_from_the_supernet(tmp_path, searched):
    """Width and depth are the search's; another one, or a supernet of another kind, is refused."""
    settings = {**ONE, "learning_rate": 1e-9, "weights_from": "supernet"}
    del settings["channels"], settings["cells"]
    result = zarts.retrain(searched.run, out=tmp_path / "run", **settings)
    state = torch.load(searched.run / "checkpoint.pt", weights_only=True)["job"]["model"]
    torch.testing.assert_close(result.load().state_dict()["classifier.weight"], state["classifier.weight"])
    with pytest.raises(SettingsError, match="weights_from = supernet"):
        zarts.retrain(searched.run, out=tmp_path / "wide", **settings, channels=4)


def test_fine_tuning(tmp_path, photos, retrained):
    """All but the classifier is the trained network's, its normalisation too; a resumed run needs it no more."""
    model = retrained.run / "model.safetensors"
    with pytest.raises(SettingsError, match="1 channels"):
        zarts.retrain(out=tmp_path / "colour", weights_from=str(model), data=str(photos), batch_size=8, epochs=1)
    tuned = zarts.retrain(
        out=tmp_path / "run", weights_from=str(retrained.run), **{**ONE, "learning_rate": 1e-9, "batch_size": 32}
    )
    (network, card), (old, before) = load_model(tuned.run / "model.safetensors"), load_model(model)
    assert (card.mean, card.std, card.genotype) == (before.mean, before.std, before.genotype)
    assert (card.channels, card.cells) == (before.channels, before.cells)
    torch.testing.assert_close(dict(network.named_parameters()), dict(old.named_parameters()))
    assert zarts.api.resume_retrain(tuned.run).test_accuracy == tuned.test_accuracy
    with pytest.raises(SettingsError, match="another genotype"):
        zarts.retrain("DARTS_V1", out=tmp_path / "other", weights_from=str(model), **ONE)
    with pytest.raises(RunError, match="no such file"):
        zarts.retrain(out=tmp_path / "none", weights_from=str(tmp_path / "no.safetensors"), **ONE)


def test_other_classes_get_a_new_classifier(retrained):
    network, card = load_model(retrained.run / "model.safetensors")
    fresh = copy.deepcopy(network)
    nn.init.zeros_(fresh.classifier.weight)
    begin(fresh, Start(network.state_dict(), card.classes), ("a", *card.classes[1:]))
    assert not fresh.classifier.weight.any()
    begin(fresh, Start(network.state_dict(), card.classes), card.classes)
    assert torch.equal(fresh.classifier.weight, network.classifier.weight)
