"""What one takes home from a fit: files that agree, probabilities that hold, and every command on its folder."""

import html
import json
import re
import shutil
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest

import zarts
from fits_tiny import SETTINGS, tiny_fit  # noqa: F401 (a fixture)
from zarts.api import FitResult
from zarts.api._data import images_of as given_images_of
from zarts.config.fit import fit_settings
from zarts.data import python_data
from zarts.errors import RunError, SettingsError
from zarts.exports import open_model, write_model
from zarts.limits.delivered import NetworkCosts, exceeded
from zarts.limits.latency import Latency
from zarts.planner.ending import _brief, _confirmed
from zarts.planner.outcome import Outcome
from zarts.planner.pictures import Pictures
from zarts.runs import Run
from zarts.training.model_file import load_model
from zarts.training.setup import load_images
from zarts.training.temperature import temperature

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture
def fitted(tiny_fit, tmp_path):  # noqa: F811
    """The fit in a folder of its own."""
    return zarts.load_result(shutil.copytree(tiny_fit.run, tmp_path / "run"))


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg", "png")  # readers look at the content
    return tmp_path / "photo.jpg"


def images_of(run):
    """The images of the fit, drawn again by its settings: validation and test."""
    settings = fit_settings({**SETTINGS})
    data = load_images(settings.recipe(), Run(run), torch.device("cpu"), lambda event: None)
    return Pictures(lambda size: data, [8], settings.split_seed, data)[8].val, data.test()


def test_all_files_have_the_same_logits_and_usable_probabilities(tiny_fit):  # noqa: F811
    val, test = images_of(tiny_fit.run)
    run = tiny_fit.run
    number, seed = tiny_fit.facts["delivered"], tiny_fit.facts["finals"][0]["seed"]
    files = [
        run / "model" / "model.safetensors",
        run / "model" / "model.onnx",
        run / "model" / "python",
        run / "best" / "model.safetensors",
        run / "finalists" / f"{number}-{seed}.safetensors",
    ]
    with torch.no_grad():
        first, *others = [open_model(file, trust=True).module(test.images / 255) for file in files]
        chosen = open_model(files[0]).module(val.images / 255)
    for file, logits in zip(files[1:], others, strict=True):
        torch.testing.assert_close(logits, first, rtol=1e-4, atol=1e-4, msg=str(file))
    assert temperature(chosen, val.labels) == pytest.approx(1, abs=0.01)  # nothing is left to divide by
    assert temperature(chosen * tiny_fit.facts["temperature"], val.labels) == pytest.approx(
        tiny_fit.facts["temperature"], rel=0.01
    )
    right = int((first.argmax(1) == test.labels).sum())
    assert tiny_fit.test_accuracy == pytest.approx(100 * right / len(test.labels))
    low, high = tiny_fit.facts["test_interval"]
    assert low < tiny_fit.test_accuracy < high
    assert binomtest(right, len(test.labels), low / 100).pvalue < 0.1  # about 0.05
    assert tiny_fit.predict(test.images[:3].numpy().transpose(0, 2, 3, 1))[2].probability == pytest.approx(
        first[2].softmax(0).max().item(), abs=1e-4
    )


def test_a_finished_fit_keeps_its_finalists_and_no_work(tiny_fit):  # noqa: F811
    finals = tiny_fit.facts["finals"]
    assert len(finals) == 2
    names = {f"{one['candidate']}-{one['seed']}.{end}" for one in finals for end in ("safetensors", "int8.onnx")}
    assert {file.name for file in (tiny_fit.run / "finalists").iterdir()} == names
    assert not (tiny_fit.run / "work").exists()
    for name in tiny_fit.facts["files"]:
        assert (tiny_fit.run / "model" / name).is_file(), name
    costs = next(one for one in tiny_fit.candidates if one["number"] == tiny_fit.facts["delivered"])["costs"]
    assert costs["file"] == (tiny_fit.run / "model" / "model.onnx").stat().st_size


def test_the_verdict_is_of_the_8_bit_files_that_are_delivered(tiny_fit):  # noqa: F811
    facts, run = tiny_fit.facts, tiny_fit.run
    taken = next(one for one in facts["finals"] if one["candidate"] == facts["delivered"])
    file = run / "model" / "model.int8.onnx"
    assert file.read_bytes() == (run / "finalists" / f"{taken['candidate']}-{taken['seed']}.int8.onnx").read_bytes()
    measured = zarts.evaluate(file, run=run)  # as any exported file is tested
    assert facts["int8"]["accuracy"] == taken["int8_accuracy"] == pytest.approx(measured)
    assert facts["int8"]["fp32"] == facts["test_accuracy"]
    assert facts["int8"]["method"] in ("minmax", "entropy", "percentile")
    other = next(one for one in facts["finals"] if one is not taken)
    assert facts["difference"]["mean"] == pytest.approx(
        (1 if taken is facts["finals"][0] else -1) * (taken["int8_accuracy"] - other["int8_accuracy"])
    )
    assert open_model(file).pixels == open_model(run / "model" / "model.onnx").pixels == "uint8"


@pytest.mark.parametrize("taken", ["uint8", "float"])
def test_the_reports_snippet_works_in_the_folder_of_the_files(fitted, photo, taken):
    folder, config = fitted.run / "model", fitted.run / "config.yaml"
    if taken == "float":
        config.write_text(config.read_text().replace("input: uint8", "input: float"))
        write_model(*load_model(folder / "model.safetensors"), "onnx", folder)
    page = fitted.report().read_text(encoding="utf-8")
    snippet = html.unescape(re.search(r'<pre class="card">(import.*?)</pre>', page, re.DOTALL)[1])
    assert ("uint8" in snippet) == (taken == "uint8")
    shutil.copy(photo, folder)
    done = subprocess.run([sys.executable, "-c", snippet], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == (fitted.predict(photo)[0].label, 0), done.stderr


def test_the_report_and_the_card_name_all_files(fitted):
    page = fitted.report().read_text(encoding="utf-8")
    for name in fitted.facts["files"]:
        assert f'href="./model/{name}"' in page
    card = (fitted.run / "model" / "README.md").read_text(encoding="utf-8")
    for text in (fitted.verdict, *fitted.facts["details"], "--plan plan.yaml", "95 % interval", "epochs"):
        assert (text in card) == (text != "epochs"), text
    assert str(fitted.run.parent) not in card


def test_the_result_is_a_path_and_begins_with_the_verdict(fitted, photo, tmp_path):
    assert type(fitted) is zarts.FitResult
    assert str(fitted).splitlines()[0] == fitted.verdict == fitted.facts["verdict"]
    assert html.escape(fitted.verdict) in fitted._repr_html_()
    assert fitted.evaluate() == zarts.evaluate(fitted) == pytest.approx(fitted.test_accuracy)
    assert fitted.predict(photo) == zarts.predict(fitted.run, photo) == zarts.predict(fitted.run / "model", photo)
    assert zarts.load_model(fitted)[1].image_size == 8
    assert {"number", "origin", "scores", "costs"} <= set(fitted.candidates[0])
    exported = fitted.export("python", out=tmp_path / "python")
    assert fitted.verdict in exported[-1].read_text(encoding="utf-8")


def test_commands_take_the_folder(fitted, photo, command):
    code, out, _ = command("evaluate", fitted.run)
    assert (code, out) == (0, f"test accuracy: {fitted.test_accuracy:.2f} %\n")
    assert command("predict", fitted.run, photo)[1].startswith(f"{photo}: {fitted.predict(photo)[0].label} ")
    code, out, _ = command("export", fitted.run, "--format", "python")
    assert (code, "model.py" in out) == (0, True)
    for words in (("draw", fitted.run), ("compare", "--baselines", fitted.run, "--data", "digits")):
        code, out, error = command(*words)
        assert (code != 0, error.count("\n"), "Traceback" in error) == (True, 1, False), (words, error)


def test_a_retraining_of_a_fit_has_its_network_images_and_split(fitted, tmp_path):
    trained = zarts.retrain(fitted, out=tmp_path / "again", epochs=1, quiet=True)
    taken = next(one for one in fitted.candidates if one["number"] == fitted.facts["delivered"])
    assert trained.architecture.to_dict() == taken["chain"]
    assert json.loads((trained.run / "split.json").read_text()) == json.loads((fitted.run / "split.json").read_text())
    with pytest.raises(SettingsError, match="no search"):
        zarts.retrain(fitted, weights_from="supernet", quiet=True)


def test_an_unfinished_fit_names_the_way_out(fitted, photo):
    (fitted.run / "result.json").unlink()
    for call in (zarts.load_result, zarts.evaluate, partial(zarts.predict, images=photo), zarts.retrain):
        with pytest.raises(RunError, match=r"zarts\.fit\(resume="):
            call(fitted.run)
    assert len(zarts.predict(fitted.run / "model", photo)) == 1


@pytest.mark.parametrize(("package", "extra"), [("litert_torch", "litert"), ("onnxruntime", "export")])
def test_missing_packages_are_named_before_the_first_training(tmp_path, monkeypatch, package, extra):
    monkeypatch.setitem(sys.modules, package, None)
    for name in {"ai_edge_litert", "ai_edge_quantizer", "litert_torch"} - {package}:
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(__spec__=1))
    with pytest.raises(SettingsError, match=rf"{package}.*\[{extra}\]"):
        zarts.fit("digits", tflite=True, out=tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_tflite_files_are_written_and_checked_in_their_interpreter(fitted):
    """Skipped where the extra is not installed."""
    pytest.importorskip("litert_torch")
    settings = fit_settings({**SETTINGS, "tflite": True})
    data = load_images(settings.recipe(), Run(fitted.run), torch.device("cpu"), lambda event: None)
    pictures = Pictures(lambda size: data, [8], settings.split_seed, data)
    outcome = Outcome(settings, Run(fitted.run), pictures, None, None, lambda event: None)
    found = outcome._write_tflite(*load_model(fitted.run / "model" / "model.safetensors"), data.test())
    assert set(found["files"]) == {"model.tflite", "model.int8.tflite"}
    assert found["accuracy"] == pytest.approx(fitted.test_accuracy, abs=0.3)  # at most one image of 359
    assert found["int8_accuracy"] == pytest.approx(fitted.test_accuracy, abs=5)
    assert open_model(fitted.run / "model" / "model.int8.tflite").module.input["dtype"] == np.int8


def test_a_result_keeps_images_that_were_given_as_objects(fitted):
    given = python_data((torch.zeros(4, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1])))
    assert given_images_of(fitted) is None
    kept = given_images_of(FitResult.read(fitted.run, given))
    assert kept is not None
    assert kept.parts["train"] is given.parts["train"]


def test_a_limit_that_the_delivered_file_exceeds_is_said():
    known = SimpleNamespace(costing=SimpleNamespace(exceeded=partial(exceeded, fit_settings({"max_latency": "2ms"}))))
    before, after = (NetworkCosts(1, 1, 1, 1, 1, Latency.of([ms] * 8)) for ms in (1.9, 2.3))
    assert _confirmed(known, before, before) == []
    (line,) = _confirmed(known, before, after)
    assert "latency 2.30 ms > 2 ms" in line
    assert "it was within all limits before its training" in line
    assert "it was not before" in _confirmed(known, after, after)[0]


@pytest.mark.usefixtures("unchecked")
def test_a_training_that_was_too_short_to_tell_anything_is_said():
    """Of few images five epochs take less than three seconds: those are enough."""
    fit = SimpleNamespace(recipe=SimpleNamespace(batch_size=32), pictures=SimpleNamespace(train_count=1151))

    def said(seconds, steps):
        score = SimpleNamespace(seconds=seconds, schedule=SimpleNamespace(steps=steps))
        return _brief(fit, [SimpleNamespace(score=score)])

    assert "no more than 0.4 s" in said(0.4, 9)[0]
    assert said(3.0, 9) == said(0.8, 180) == []
