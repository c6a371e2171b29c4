"""After a fit: another of its networks is trained to the end, its network goes on with more images."""

import re
import shutil

import pytest
import yaml

import zarts
from tests.fits_tiny import tiny_fit  # noqa: F401
from zarts.errors import RunError, SettingsError
from zarts.planner.records import PLAN


@pytest.fixture
def fitted(tiny_fit, tmp_path):  # noqa: F811
    """A copy of a finished fit."""
    shutil.copytree(tiny_fit.run, tmp_path / "run")
    return zarts.load_result(tmp_path / "run")


def no_finalist(fitted):
    """Number of a network that was not trained to the end."""
    finals = [one["candidate"] for one in fitted.facts["finals"]]
    return next(one["number"] for one in fitted.candidates if one["number"] not in finals)


@pytest.mark.usefixtures("unchecked")
def test_another_network_is_trained_to_the_end_beside_the_delivered_one(fitted):
    finals, number = fitted.facts["finals"], no_finalist(fitted)
    plan = fitted.run / PLAN  # where that one takes epochs enough for crops, unlike the finalists
    plan.write_text(re.sub(rf'("epochs": .*"{number}": )[^,}}]*', r"\g<1>99.0", plan.read_text()))
    delivered = (fitted.run / "model" / "model.onnx").read_bytes()
    picked = fitted.pick(number, quiet=True)
    *before, own = picked.facts["finals"]
    assert before == finals
    assert (own["candidate"], own["seed"]) == (number, finals[0]["seed"])
    trained = next(one for one in picked.candidates if one["number"] == number)["scores"][-1]
    assert trained["length"] == "T"
    assert trained["seconds"] == pytest.approx(fitted.facts["time"]["final"], rel=0.2)
    place = fitted.run / "picked" / str(number)
    assert zarts.evaluate(place / "best") == pytest.approx(own["test_accuracy"])
    recipes = [yaml.safe_load((run / "best" / "config.yaml").read_text())["retrain"] for run in (fitted.run, place)]
    assert [recipe["crop_padding"] for recipe in recipes] == [0, None]
    right = {"picked": own["int8_accuracy"], "before": fitted.facts["int8"]["accuracy"]}  # its 8-bit files count
    assert f"({right['picked'] - right['before']:+.1f} points" in picked.facts["details"][-1]
    assert (place / "model" / "README.md").exists()
    assert (picked.verdict, picked.test_accuracy) == (fitted.verdict, fitted.test_accuracy)
    assert (fitted.run / "model" / "model.onnx").read_bytes() == delivered
    with pytest.raises(SettingsError, match="already"):
        picked.pick(number)
    numbers = [one["number"] for one in fitted.candidates]
    with pytest.raises(SettingsError, match=f"networks {min(numbers)} to {max(numbers)},"):
        picked.pick(1000)


@pytest.mark.usefixtures("unchecked")
def test_a_network_goes_on_with_more_images_and_is_compared_with_itself(fitted):
    more = fitted.train_on("digits", time=8, quiet=True)
    assert more.trained.run == fitted.run / "more" / "1"
    found = zarts.examine(more.trained)
    assert found["trained_on"] == 0
    assert f"{found['accuracy']:.1f} % of 359" in more.verdict
    assert f"{zarts.evaluate(fitted):.1f} % before" in more.verdict
    assert (more.trained.run / "model" / "model.onnx").exists()
    assert fitted.run.samefile(zarts.load_result(fitted.run).run)
    with pytest.raises(RunError):
        zarts.api.train_on(more.trained.run, "digits", lambda event: None)


@pytest.mark.usefixtures("unchecked")
def test_code_that_a_fit_s_folder_names_is_not_run_unasked(fitted, tmp_path):
    code = tmp_path / "own.py"
    code.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef f(logits, labels): return logits.sum()\n")
    settings = fitted.run / "config.yaml"
    settings.write_text(settings.read_text().replace("objective: error", f"objective: {code}:f"))
    with pytest.raises(SettingsError, match="not run unasked"):
        fitted.pick(no_finalist(fitted))
    assert not (tmp_path / "ran").exists()
