"""Searches by a metric or a function of one's own: what is logged, kept, refused and resumed."""

import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from sklearn.metrics import balanced_accuracy_score
from torch import nn

import zarts
from small import TRAIN, often, outcome, small, stop_at
from zarts.api import diagnose, landscape, resume_retrain, resume_search
from zarts.bilevel import Bilevel
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.training.criterion import criterion_of

pytestmark = [pytest.mark.usefixtures("unchecked"), pytest.mark.usefixtures("no_pictures")]

CODE = """
import torch

print("this file is run")

def recall_of_3(logits, labels):
    return float((logits.argmax(1)[labels == 3] == 3).float().mean()) if (labels == 3).any() else 1.0

recall_of_3.larger_is_better = True

def focal(logits, labels):
    chance = logits.log_softmax(1).gather(1, labels[:, None])[:, 0].exp()
    return (-(1 - chance) ** 2 * chance.log()).mean()
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(CODE)
    return path


def steps_of(run):
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [event for event in events if event["event"] == "alpha_step"]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A folder of images, 95 % of the training images of one class."""
    root, random = tmp_path_factory.mktemp("uneven"), np.random.default_rng(0)
    for part, counts in (("train", (152, 8)), ("test", (10, 10))):
        for name, count in zip(("common", "rare"), counts, strict=True):
            (root / part / name).mkdir(parents=True)
            for i in range(count):
                grey = random.integers(0, 160, (8, 8)) + 60 * (name == "rare")
                Image.fromarray(grey.astype(np.uint8)).save(root / part / name / f"{i:03}.png")
    return root


def test_the_log_has_exactly_the_balanced_error_of_the_candidates(tmp_path, uneven, monkeypatch):
    """On data of 95 and 5 %: recomputed from the logits of all validation batches of each candidate together."""
    seen, measure = [], Bilevel.measure

    def watched(self, alpha, batches):
        answers, forward = [], self.forward

        def forward_and_keep(point, batch):
            found = forward(point, batch)
            answers.append((found.logits.argmax(1).numpy(), batch[1].numpy()))
            return found

        self.forward = forward_and_keep
        try:
            return measure(self, alpha, batches)
        finally:
            self.forward = forward
            seen.append(tuple(np.concatenate(parts) for parts in zip(*answers, strict=True)))

    monkeypatch.setattr(Bilevel, "measure", watched)
    settings = small("zarts-mgs", data=str(uneven), objective="balanced-error", val_batches=4, image_size=8)
    settings = {key: value for key, value in settings.items() if key != "subset"}
    run = zarts.search(out=tmp_path / "run", **settings).run
    steps = steps_of(run)
    assert all("losses" not in step and step["objective"] == "balanced-error" for step in steps)
    values = [value for step in steps for value in step["values"]]
    rare = [(labels == labels.max()).mean() for _, labels in seen]
    assert np.mean(rare) == pytest.approx(0.05, abs=0.02)
    by_hand = [1 - balanced_accuracy_score(labels, answers) for answers, labels in seen]
    assert len(values) == len(by_hand) > 8
    assert values == pytest.approx(by_hand, abs=1e-6)
    assert len({round(value, 6) for value in values}) > 2
    mean_over_batches = [np.mean(answers != labels) for answers, labels in seen]
    assert values != pytest.approx(mean_over_batches, abs=1e-3), "it is not the error"


@pytest.mark.parametrize(
    "method", often(["zarts-rs", "zarts-gld", "enas", "spos", "zarts"], "zarts-rs", "enas", "spos")
)
def test_methods_without_a_gradient_take_a_function(tmp_path, method):
    def answers_of_0(logits, labels):
        return float((logits.numpy().argmax(1) == 0).mean())

    result = zarts.search(out=tmp_path / "run", objective=answers_of_0, **small(method))
    steps = steps_of(result.run)
    assert all(step["objective"] == "python:answers_of_0" and "snr" not in step for step in steps)
    assert all(0 <= value <= 1 for step in steps for value in step["values"])
    begun = yaml.safe_load((result.run / "config.yaml").read_text())["search"]
    assert begun["objective"] == "python:answers_of_0"
    assert begun.get("select_metric", "objective") == "objective"


@pytest.mark.parametrize("method", ["darts", "darts-2nd", "amended-darts"])
@pytest.mark.parametrize("objective", ["macro-f1", lambda logits, labels: (logits.argmax(1) != labels).float().mean()])
def test_gradient_methods_refuse_what_has_no_gradient(tmp_path, method, objective):
    with pytest.raises(SettingsError, match="zero-order"):
        zarts.search(out=tmp_path / "run", objective=objective, **small(method))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("method", often(["darts", "darts-2nd", "amended-darts", "sdarts-adv"], "darts-2nd"))
def test_gradient_methods_follow_a_differentiable_function(tmp_path, method):
    """Half the loss, as a function: the log has halves of a first loss that is the same."""
    halves = nn.CrossEntropyLoss()
    straight = zarts.search(out=tmp_path / "straight", **small(method))
    result = zarts.search(
        out=tmp_path / "run", objective=lambda logits, labels: halves(logits, labels) / 2, **small(method)
    )
    losses, values = steps_of(straight.run)[0]["losses"], steps_of(result.run)[0]["values"]
    assert values == pytest.approx([loss / 2 for loss in losses], rel=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"criterion": lambda logits, labels: (logits.argmax(1) - labels).float().mean()}, "without a gradient"),
        ({"criterion": nn.CrossEntropyLoss(reduction="none")}, "one number"),
        ({"criterion": nn.CrossEntropyLoss(weight=torch.ones(3))}, "fails"),
        ({"objective": lambda logits, labels: labels}, "one number"),
        ({"objective": "eror"}, "did you mean 'error'"),
        ({"objective": "none.py:f"}, "no such Python file"),
        ({"objective": "error", "mixture_lambda": 0.5}, "mixture_lambda"),
        ({"objective": len, "devices": 2}, "file"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_built(tmp_path, options, message):
    with pytest.raises(SettingsError, match=message):
        zarts.search(out=tmp_path / "run", **small("zarts-mgs"), **options)
    assert not (tmp_path / "run").exists()


def test_a_file_is_run_once_and_kept_and_named_again(tmp_path, file, monkeypatch, capsys):
    own = {"objective": f"{file}:recall_of_3", "criterion": f"{file}:focal"}
    settings, heard = {**small("zarts-mgs"), **own}, []
    straight = zarts.search(out=tmp_path / "straight", callbacks=[heard.append], **settings)
    assert capsys.readouterr().out.count("this file is run") == 1
    assert [event["text"] for event in heard if event["event"] == "note"][-1].startswith("running the Python code")
    assert 0 <= steps_of(straight.run)[-1]["values"][0] <= 1
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(6))
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "run", **settings)
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(0))
    run, other = tmp_path / "run", tmp_path / "other.py"
    file.rename(other)
    kept = {key: f"{run / key}.py:{name}" for key, name in (("objective", "recall_of_3"), ("criterion", "focal"))}
    with pytest.raises(SettingsError, match="not run unasked"):
        resume_search(run)
    with pytest.raises(SettingsError, match="not what"):
        resume_search(run, **{**kept, "objective": f"{other}:focal"})
    other.write_text(CODE + "\n")
    with pytest.raises(SettingsError, match=r"objective\.py:recall_of_3"):
        resume_search(run, **{**kept, "objective": f"{other}:recall_of_3"})
    with pytest.raises(SettingsError, match="leave it out"):
        resume_search(run, **{**kept, "objective": "error"})
    whole = (run / "objective.py").read_text()
    (run / "objective.py").write_text(f"{whole}# another line\n")
    with pytest.raises(RunError, match="damaged, or edited"):
        resume_search(run, **kept)
    (run / "objective.py").write_text(whole)
    resume_search(run, **kept)
    assert outcome(run) == outcome(straight.run)
    with pytest.raises(SettingsError, match="not run unasked"):
        diagnose(run, candidates=3, draws=2, directions=0)
    found = diagnose(run, candidates=3, draws=2, directions=0, **kept)
    assert found.measurements[0].parts.images is None
    assert found.to_dict()["sigmas"][0]["images"] is None
    landscape(run, grid=3, inner_steps=[0], criterion=kept["criterion"])
    tuned = zarts.retrain(run, out=tmp_path / "tuned", weights_from="supernet", **{**TRAIN, "cells": 3})
    assert tuned.genotype == straight.genotype


def test_an_object_is_passed_again(tmp_path, monkeypatch):
    def mine(logits, labels):
        return (logits.argmax(1) != labels).float().mean()

    def other(logits, labels):
        return mine(logits, labels)

    settings = {**small("zarts-gld"), "objective": mine, "criterion": nn.CrossEntropyLoss(label_smoothing=0.1)}
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(6))
    with pytest.raises(Interrupted):
        zarts.search(out=tmp_path / "run", **settings)
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(0))
    for given in ({}, {"criterion": settings["criterion"]}):
        with pytest.raises(SettingsError, match="from Python"):
            resume_search(tmp_path / "run", **given)
    with pytest.raises(SettingsError, match="passed again"):
        resume_search(tmp_path / "run", objective=other, criterion=settings["criterion"])
    zarts.search(resume=tmp_path / "run", objective=mine, criterion=settings["criterion"])


def test_the_metric_error_is_what_a_function_that_computes_it_is(tmp_path):
    """Other names, the same search: built-in metrics go the way of functions."""

    def wrong(logits, labels):
        return 1 - (logits.argmax(1) == labels).sum() / len(labels)

    runs = [
        zarts.search(out=tmp_path / name, objective=objective, **small("zarts-gld"))
        for name, objective in (("name", "error"), ("function", wrong))
    ]
    first, second = ([step["values"] for step in steps_of(result.run)] for result in runs)
    assert first == second
    assert runs[0].genotype == runs[1].genotype


def test_the_selection_evaluates_by_the_objective_or_as_it_is_told(tmp_path):
    settings = small("spos", objective="macro-f1")
    assert zarts.search(out=tmp_path / "run", **settings).genotype
    begun = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["search"]
    assert begun["select_metric"] == "objective", "not the method's own default, accuracy"
    zarts.search(out=tmp_path / "told", **settings, select_metric="accuracy")
    assert yaml.safe_load((tmp_path / "told" / "config.yaml").read_text())["search"]["select_metric"] == "accuracy"


def test_weights_of_classes_are_inverse_to_their_numbers(generator):
    """Of 95 and 5 %, images of the rare class weigh 10, the others 10 / 19: on all images both classes have half."""
    labels = torch.cat([torch.zeros(95, dtype=torch.long), torch.ones(5, dtype=torch.long)])
    logits = torch.randn(100, 3, generator=generator)
    each = nn.functional.cross_entropy(logits, labels, reduction="none")
    balanced = criterion_of("balanced", labels, 3, torch.device("cpu"))
    assert balanced.loss(logits, labels).item() == pytest.approx((each[:95].mean() + each[95:].mean()).item() / 2)
    assert torch.equal(balanced.images(logits, labels).mean(), balanced.loss(logits, labels))
    torch.testing.assert_close(balanced.images(logits, labels)[95:], 10 * each[95:])
    smooth = criterion_of("cross-entropy", labels, 3, torch.device("cpu"), 0.1)
    assert torch.equal(smooth.loss(logits, labels), nn.functional.cross_entropy(logits, labels, label_smoothing=0.1))


def test_a_criterion_trains_the_weights(tmp_path, file):
    """`balanced` on even data is cross entropy, but for rounding; a function differs."""
    losses = {}
    for name in ("cross-entropy", "balanced", f"{file}:focal"):
        run = zarts.search(out=tmp_path / f"run{len(losses)}", **small("darts", criterion=name)).run
        losses[name] = steps_of(run)[0]["losses"][0]
    assert losses["balanced"] == pytest.approx(losses["cross-entropy"], rel=0.2)
    assert losses[f"{file}:focal"] < 0.95 * losses["cross-entropy"]


def test_retraining_takes_a_criterion(tmp_path, file):
    trained = zarts.retrain("DARTS_V2", out=tmp_path / "run", criterion=f"{file}:focal", **TRAIN)
    plain = zarts.retrain("DARTS_V2", out=tmp_path / "plain", **TRAIN)
    first, second = (
        json.loads((result.run / "metrics.jsonl").read_text().splitlines()[0])["train_loss"]
        for result in (trained, plain)
    )
    assert first < 0.95 * second
    assert (trained.run / "criterion.py").read_text() == CODE
    with pytest.raises(SettingsError, match="not run unasked"):
        resume_retrain(trained.run)
    again = resume_retrain(trained.run, criterion=f"{trained.run}/criterion.py:focal")
    assert again.test_accuracy == trained.test_accuracy
    with pytest.raises(SettingsError, match="label_smoothing"):
        zarts.retrain("DARTS_V2", out=tmp_path / "no", criterion=f"{file}:focal", label_smoothing=0.1, **TRAIN)


def test_the_command_line_names_a_file(tmp_path, file, command):
    words = [word for key, value in small("zarts-gld").items() for word in ("--set", f"{key}={value}")]
    code, _, err = command("search", "--objective", f"{file}:recall_of_3", "--out", tmp_path / "run", *words)
    assert code == 0, err
    assert "Python code" in err
    assert steps_of(tmp_path / "run")[0]["objective"] == f"{file}:recall_of_3"
    code, _, err = command("search", "--objective", f"{file}:none", *words)
    assert code == 2
    assert "no function 'none'" in err
