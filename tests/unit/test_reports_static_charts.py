"""Events and the curves that are made of them."""

import json
import math
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from zarts.errors import RunError
from zarts.reports import draw_curves
from zarts.reports.series import alpha_steps, bands, by_epoch, per_epoch
from zarts.reports.svg import inline
from zarts.runtime.io import read_events


def search_events(epochs=4, steps=3):
    events = []
    for epoch in range(1, epochs + 1):
        events.append(
            {"event": "weight_epoch", "epoch": epoch, "train_loss": 2 / epoch, "train_accuracy": 20.0 * epoch}
        )
        events += [
            {"event": "alpha_step", "epoch": epoch, "step": step, "update": 1, "losses": [1.0, 2.0, 4.0], "esr": 0.5}
            for step in range(steps)
        ]
        events.append({"event": "genotype", "epoch": epoch, "parameterless": {"normal": epoch, "reduce": 3}})
    return events


def test_a_cut_last_line_is_left_out(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"event": "a"}\n\n{"event": "b", "loss": NaN}\n{"event": "c", "los')
    assert [event["event"] for event in read_events(path)] == ["a", "b"]
    path.write_bytes('{"event": "é"}\n{"event": "é'.encode()[:-1])
    assert len(read_events(path)) == 1
    path.write_text("")
    assert read_events(str(path)) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": \n{"b": 1}\n', "line 1"),
        ("[1]\n", "line 1"),
    ],
)
def test_damaged_events_are_refused(tmp_path, text, message):
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(RunError, match=message):
        read_events(tmp_path / "metrics.jsonl")


def test_missing_events_are_refused(tmp_path):
    with pytest.raises(RunError, match="no such file"):
        read_events(tmp_path / "metrics.jsonl")


def test_search_has_its_curves():
    found = {curve.name: curve for curve in draw_curves(search_events())}
    assert list(found) == ["supernet-loss", "supernet-accuracy", "candidates", "esr", "parameterless"]
    for curve in found.values():
        ElementTree.fromstring(curve.svg)
    assert 'id="mark"' in found["parameterless"].svg
    assert ">normal 4<" in found["parameterless"].svg
    assert found["candidates"].title == "Losses of the candidates"
    assert draw_curves(search_events()) == list(found.values())


def test_eigenvalues_have_one_where_they_were_had():
    events = [{"event": "eigenvalue", "epoch": epoch, "eigenvalue": value} for epoch, value in ((2, 0.1), (4, None))]
    assert "eigenvalue" not in [curve.name for curve in draw_curves(search_events())]
    (curve,) = [curve for curve in draw_curves([*search_events(), *events]) if curve.name == "eigenvalue"]
    assert "0.1" in curve.svg


def test_signal_to_noise_has_one_where_it_was_had():
    events = [
        {"event": "alpha_step", "epoch": 1, "step": step, "update": 1, "snr": value}
        for step, value in enumerate((0.5, -0.1))
    ]
    (curve,) = draw_curves(events)
    assert curve.name == "snr"
    assert 'id="mark"' in curve.svg, "where signal and noise are alike"


def test_gradient_method_has_a_validation_loss_and_no_share():
    events = [{"event": "alpha_step", "epoch": 1, "step": step, "update": 1, "losses": [1.0]} for step in range(3)]
    assert [curve.title for curve in draw_curves(events)] == ["Validation loss"]


def test_retrain_has_its_curves():
    events = [
        {"event": "train_epoch", "epoch": e, "train_loss": 1.0, "train_accuracy": 90.0, "test_accuracy": 80.0 + e,
         "learning_rate": 0.1} for e in (1, 2)
    ]  # fmt: skip
    found = {curve.name: curve for curve in draw_curves(events)}
    assert list(found) == ["train-loss", "accuracy", "learning-rate"]
    assert ">train 90<" in found["accuracy"].svg
    assert ">test 82<" in found["accuracy"].svg


@pytest.mark.parametrize("events", [[], [{"event": "note"}], [{}], [{"event": "weight_epoch", "train_loss": 1.0}]])
def test_no_numbers_no_curves(events):
    assert draw_curves(events) == []


def test_what_is_not_finite_is_left_out():
    events = [
        {"event": "weight_epoch", "epoch": 1, "train_loss": math.nan},
        {"event": "weight_epoch", "epoch": 2, "train_loss": 0.5},
        {"event": "weight_epoch", "epoch": 3, "train_loss": None},
        {"event": "alpha_step", "epoch": 1, "losses": [math.inf]},
        {"event": "alpha_step", "epoch": 2, "losses": None, "esr": None},
        {"event": "genotype", "epoch": 1, "parameterless": None},
    ]
    assert [curve.name for curve in draw_curves(events)] == ["supernet-loss"]
    assert per_epoch(by_epoch(events, "weight_epoch"), "train_loss") == ([2.0], [0.5])


def test_of_an_epoch_or_step_written_twice_the_last_stands():
    events = [
        {"event": "weight_epoch", "epoch": 2, "train_loss": 1.0},
        {"event": "weight_epoch", "epoch": 1, "train_loss": 3.0},
        {"event": "weight_epoch", "epoch": 2, "train_loss": 2.0},
    ]
    assert per_epoch(by_epoch(events, "weight_epoch"), "train_loss") == ([1.0, 2.0], [3.0, 2.0])
    steps = [{"event": "alpha_step", "epoch": 1, "step": s, "update": 1, "n": n} for n, s in enumerate((0, 1, 1, 2))]
    assert [step["n"] for step in alpha_steps(steps)] == [0, 2, 3]


def test_bands_are_exact_and_then_binned():
    assert bands([[1.0, 3.0], [], [2.0]]) == ([1.0, 3.0], [1.0, 2.0], [2.0, 2.0], [3.0, 2.0])
    many = bands([[float(step), float(step) + 1] for step in range(10_000)])
    assert len(many.x) <= 240
    assert (min(many.low), max(many.high)) == (0.0, 10_000.0)
    assert sum(many.mean) / len(many.mean) == pytest.approx(5000.0, rel=0.01)


def test_long_runs_stay_small():
    events = search_events(epochs=600, steps=20)
    assert sum(len(curve.svg) for curve in draw_curves(events)) < 300_000


def test_inline_pictures_do_not_mix():
    svg = draw_curves(search_events())[0].svg
    page = inline(svg, "one", 'a "picture" <b>')
    assert page.startswith('<svg role="img" aria-label="a &quot;picture&quot; &lt;b&gt;"')
    root = ElementTree.fromstring(page)
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert ids
    assert all(name.startswith("one-") for name in ids)
    links = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith("href")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert "var(--sep)" in page
    assert "<style" not in page


def test_importing_the_package_imports_no_matplotlib():
    code = "import sys, zarts.reports; sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_are_there():
    import zarts.reports

    for name in zarts.reports.__all__:
        assert getattr(zarts.reports, name).__doc__
    with pytest.raises(AttributeError, match="'draw'"):
        _ = zarts.reports.draw


def test_events_survive_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in search_events()))
    assert read_events(path) == search_events()
