"""The line of the progress bar: what events put into it."""

import pytest
from rich.console import Console
from rich.progress import Progress

from zarts.callbacks.progress import _Bar

STEP = {"event": "step", "epoch": 2, "epochs": 4, "step": 1, "steps": 8, "train_loss": 1.5, "train_accuracy": 40.0}


@pytest.fixture
def bar():
    return Progress(console=Console(quiet=True), disable=True)


def line(bar, *events):
    hear = _Bar(bar)
    for event in (*events, STEP):
        hear(event)
    return bar.tasks[-1].description


def test_place_loss_and_accuracy(bar):
    assert line(bar) == "epoch 2/4  loss 1.500  acc 40.0 %"
    assert (bar.tasks[-1].completed, bar.tasks[-1].total) == (9, 32)


@pytest.mark.parametrize(("count", "words"), [(4, "parameterless 4"), (5, "parameterless 5: collapse?")])
def test_more_than_four_operations_without_parameters_are_a_sign(bar, count, words):
    assert line(bar, {"event": "genotype", "parameterless": {"normal": count, "reduce": 8}}).endswith(words)


def test_an_eigenvalue_that_grows_is_one(bar):
    watched = [{"event": "eigenvalue", "eigenvalue": value} for value in (0.3, 0.2, 0.25)]
    assert line(bar, *watched).endswith("eigenvalue 0.25")
    watched.append({"event": "eigenvalue", "eigenvalue": 0.4})
    assert line(bar, *watched).endswith("eigenvalue 0.4 (x 2.0: sharper)")


def test_parts_of_other_work(bar):
    _Bar(bar)({"event": "part", "text": "evaluating candidates", "done": 3, "of": 10})
    assert (bar.tasks[-1].description, bar.tasks[-1].completed, bar.tasks[-1].total) == ("evaluating candidates", 3, 10)


def test_warnings_stand_above_the_bar(capsys):
    console = Console(width=40, force_terminal=False)
    _Bar(Progress(console=console, disable=True))({"event": "warning", "text": "alpha follows noise: " + "x" * 60})
    assert "alpha follows noise" in capsys.readouterr().out
