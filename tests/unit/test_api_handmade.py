"""Hand-made networks through the public functions: made, trained, resumed, exported, evaluated, reported."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import zarts
from small import EVERY_KIND, built_with_statistics, stop_at
from zarts.api import resume_retrain, retraining_of
from zarts.config import dump
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.exports import FORMATS, Served, open_model, write_model
from zarts.networks import ChainNetwork
from zarts.spaces import HANDMADE, Chain, handmade
from zarts.training import ModelCard, load_model

pytestmark = pytest.mark.usefixtures("unchecked")

SMALL = {"data": "digits", "subset": 96, "epochs": 2, "batch_size": 32, "quiet": True}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("handmade") / "run"
    return zarts.retrain("resnet8", out=out, width=0.25, stem_stride=2, learning_rate=0.1, **{**SMALL, "epochs": 6})


def test_create_model():
    network = zarts.create_model("resnet8", num_classes=7, width=0.5, stem_stride=2, in_channels=1)
    assert isinstance(network, ChainNetwork)
    assert network(torch.zeros(2, 1, 9, 9)).shape == (2, 7)
    assert network.stem[0].conv.stride == (2, 2)
    assert zarts.create_model("mobilenet_v2", num_classes=1000).stem[0].conv.stride == (2, 2)
    assert [p.shape for p in zarts.create_model(handmade("resnet8", 0.5)).parameters()] == [
        p.shape for p in zarts.create_model("resnet8", width=0.5).parameters()
    ]
    with pytest.raises(RunError, match="did you mean 'resnet8'"):
        zarts.create_model("resnet-8")
    for options in ({"channels": 8}, {"cells": 3}, {"stem": "imagenet"}, {"auxiliary": True}, {"drop_path": 0.1}):
        with pytest.raises(SettingsError, match=f"{next(iter(options))} = .*leave it out"):
            zarts.create_model("resnet8", **options)
    for options in ({"width": 1.0}, {"stem_stride": 1}):
        with pytest.raises(SettingsError, match=f"{next(iter(options))} = .*no hand-made network"):
            zarts.create_model("DARTS_V2", **options)


def test_the_list_names_all_with_their_costs_and_the_page_has_its_table(command, monkeypatch):
    names = zarts.list_networks()
    assert names == [*HANDMADE]
    assert dict(zip(names, names.rows, strict=True))["resnet8"][1:4] == (77_850, 12_501_632, 1)
    page = (Path(__file__).parents[2] / "docs" / "retraining.md").read_text("utf-8")
    for row in (names.header, *((f"`{name}`", *rest) for name, *rest in names.rows)):
        assert f"| {' | '.join(f'{one:,}' if isinstance(one, int) else one for one in row)} |" in page
    monkeypatch.setattr("zarts.api.list_networks", lambda: names)
    code, out, _ = command("list", "networks")
    assert (code, [line.split()[0] for line in out.splitlines() if line[:1].strip()]) == (0, [*HANDMADE])
    assert "parameters: 77,850; MACs: 12,501,632" in out


def test_a_trained_network_and_its_run(trained):
    chain = handmade("resnet8", 0.25, 2)
    assert trained.architecture == chain == Chain.load(trained.run / "chain.json")
    assert not (trained.run / "genotype.json").exists()
    assert trained.parameters == sum(p.numel() for p in zarts.create_model(chain, in_channels=1).parameters())
    assert trained.test_accuracy > 20  # of ten classes
    assert zarts.evaluate(trained) == trained.test_accuracy
    assert zarts.load_result(trained.run) == trained == resume_retrain(trained.run)
    _, card = zarts.load_model(trained)
    assert card.architecture == chain
    assert (card.channels, card.cells, card.stem) == (0, 0, "")
    assert len(trained.predict(torch.zeros(1, 8, 8))) == 1
    assert repr(trained) == f"RetrainResult({os.fspath(trained)!r}, chain='resnet8')"
    assert str(trained).startswith("hand-made network resnet8: digits, 6 epochs")
    assert "<img" not in trained._repr_html_()
    settings = (trained.run / "config.yaml").read_text()
    assert "width: 0.25" in settings
    assert "stem_stride: 2" in settings
    assert not [key for key in ("channels:", "cells", "stem:", "drop_path", "auxiliary") if f" {key}" in settings]
    with pytest.raises(SettingsError, match="without cells"):
        trained.genotype  # noqa: B018
    with pytest.raises(SettingsError, match="without cells"):
        trained.draw()


def test_its_report_lists_its_layers(trained):
    page = zarts.report(trained).read_text(encoding="utf-8")
    assert "Training of resnet8" in page
    for line in trained.architecture.describe():
        assert line.split(": ", 1)[1] in page
    assert 'id="cells"' not in page


def test_fine_tuning_keeps_all_but_the_classifier(trained, tmp_path):
    tuned = zarts.retrain(weights_from=str(trained.run), out=tmp_path / "run", learning_rate=1e-9, **SMALL)
    assert tuned.architecture == trained.architecture
    before, after = (load_model(one.run / "model.safetensors")[0] for one in (trained, tuned))
    torch.testing.assert_close(list(before.parameters()), list(after.parameters()), rtol=1e-5, atol=1e-6)
    with pytest.raises(SettingsError, match="another width"):
        zarts.retrain("resnet8", weights_from=str(trained.run), out=tmp_path / "other", **SMALL)


@pytest.mark.usefixtures("no_pictures")
def test_a_resumed_training_is_a_straight_one(tmp_path, monkeypatch):
    """With dropout, in two micro-batches; small images get a stem of stride 1, and keep it."""
    options = {**SMALL, "width": 0.1, "micro_batches": 2, "image_size": 16}
    straight = zarts.retrain("mobilenet_v2", out=tmp_path / "straight", **options)
    assert straight.architecture.stem.stride == 1
    with monkeypatch.context() as patch:
        patch.setattr("zarts.training.trainer.stop_request", stop_at(5))
        with pytest.raises(Interrupted):
            zarts.retrain("mobilenet_v2", out=tmp_path / "resumed", **options)
    resumed = zarts.retrain(resume=tmp_path / "resumed", quiet=True)
    assert resumed.test_accuracy == straight.test_accuracy
    ours, theirs = (load_model(run.run / "model.safetensors")[0].state_dict() for run in (resumed, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("resnet8", {"channels": 8}, "channels"),
        ("resnet8", {"cells": 5}, "cells"),
        ("resnet8", {"stem": "imagenet"}, "stem"),
        ("resnet8", {"drop_path": 0.2}, "drop_path"),  # also its default
        ("resnet8", {"auxiliary_weight": 0.4}, "auxiliary_weight"),
        ("DARTS_V2", {"width": 0.5}, "width"),
        ("DARTS_V2", {"stem_stride": 2}, "stem_stride"),
    ],
)
def test_settings_that_the_other_kind_of_network_has_are_refused(source, options, message):
    with pytest.raises(SettingsError, match=rf"^{message} \(arguments\) is used with .* only"):
        retraining_of(source, {"data": "digits", **options})


def test_settings_of_a_preset_are_ignored_with_a_note():
    notes = []
    _, settings = retraining_of("resnet8", {"drop_path": 0.0}, preset="cifar10", note=notes.append)
    assert (settings.drop_path, settings.auxiliary_weight, settings.width, settings.stem_stride) == (0, 0, 1, None)
    assert len(notes) == 1
    assert "auxiliary_weight" in notes[0]
    assert "channels" not in dump(settings)
    _, settings = retraining_of("DARTS_V2", {}, preset="cifar10")
    assert (settings.drop_path, settings.auxiliary_weight, settings.width) == (0.2, 0.4, None)
    assert not {"width", "stem_stride"} & set(dump(settings))


def test_what_does_not_fit_says_how_to_make_the_network_smaller(tmp_path):
    with pytest.raises(SettingsError, match="width or stem_stride"):
        zarts.retrain("resnet8", out=tmp_path / "run", memory_limit="1MB", **SMALL)


def test_a_chain_of_one_s_own_is_trained_as_it_is(tmp_path):
    chain = Chain.from_dict(handmade("mobilenet_v2", 0.1).to_dict() | {"name": ""})
    file = tmp_path / "own.json"
    file.write_text(chain.to_json())
    for source in (chain, file):
        assert retraining_of(source, {})[1].stem_stride == 2
    file.write_text(chain.to_json().replace("1280", "-1"))
    with pytest.raises(RunError, match=r"own\.json: .*head is -1"):
        zarts.create_model(file)


def statistics_of_its_own(chain, size=12, channels=3):
    """A network with statistics that are not the initial ones, and its card."""
    card = ModelCard(chain, 0, 0, "", ("ant", 'the "bee"', "cat's"), size, (0.4,) * channels, (0.3,) * channels)
    return built_with_statistics(card), card


def logits_of_file(network, card, form, folder):
    """Largest differences between the logits of the network and of its file, and the largest logit."""
    folder.mkdir()
    write_model(network, card, form, folder)
    names = {"onnx": "model.onnx", "torchscript": "model.pt", "safetensors": "model.safetensors"}
    opened = open_model(folder / names.get(form, "model.tflite" if form == "tflite" else ""), trust=True)
    assert opened.card == card
    images = torch.rand(3, len(card.mean), card.image_size, card.image_size)
    with torch.no_grad():
        expected = Served(network, card).eval()(images)
        return (opened.module(images) - expected).abs().max(), expected.abs().max()


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_every_kind_of_layer_gives_the_logits_of_the_network(tmp_path, form):
    pytest.importorskip({"onnx": "onnxruntime", "tflite": "litert_torch"}.get(form, "torch"))
    difference, largest = logits_of_file(*statistics_of_its_own(EVERY_KIND), form, tmp_path / form)
    assert difference <= 1e-5 * max(1, largest)
    assert largest > 0.01


@pytest.mark.parametrize("name", HANDMADE)
def test_python_files_of_all_give_their_logits_and_are_formatted(tmp_path, name):
    network, card = statistics_of_its_own(handmade(name, 0.3), size=17, channels=1)
    difference, largest = logits_of_file(network, card, "python", tmp_path / "model")
    assert difference <= 1e-5 * max(1, largest)
    if ruff := shutil.which("ruff"):
        file = tmp_path / "model" / "model.py"
        subprocess.run([ruff, "format", "--check", "--line-length", "120", "--isolated", file], check=True)


def test_a_model_card_of_a_chain(trained, tmp_path):
    files = trained.export("safetensors", out=tmp_path / "export")
    text = files[-1].read_text()
    assert "| `resnet8`, 4 channels" in text
    assert "stage 1: 1 × residual pair of 3×3 convolutions, 4 channels, stride 1" in text
    assert "found and trained" not in text
    data = json.loads((tmp_path / "export" / "config.json").read_text())
    assert data["chain"]["name"] == "resnet8"
    assert not {"genotype", "cells", "channels", "stem"} & set(data)
