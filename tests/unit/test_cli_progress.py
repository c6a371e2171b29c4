"""What is shown while a command works: the bar at any width, the lines elsewhere, and the time that is left."""

import io
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from zarts.callbacks.bar import bar_of, fitting
from zarts.callbacks.pace import Pace, span
from zarts.callbacks.progress import _Bar, _Lines, shown_progress
from zarts.cli import distributed

module = sys.modules["zarts.callbacks.progress"]

STEP = {"event": "step", "epoch": 2, "epochs": 4, "step": 1, "steps": 8, "train_loss": 1.5, "train_accuracy": 40.0}
SELECTED = {"event": "genotype", "parameterless": {"normal": 5, "reduce": 8}}


@pytest.fixture
def bar():
    return bar_of(Console(file=io.StringIO(), quiet=True))


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


def test_parts_of_other_work_and_phases_whose_length_nobody_knows(bar):
    hear = _Bar(bar)
    hear({"event": "part", "text": "evaluating candidates", "done": 3, "of": 10})
    assert (bar.tasks[-1].description, bar.tasks[-1].completed, bar.tasks[-1].total) == ("evaluating candidates", 3, 10)
    hear({"event": "doing", "text": "compiling kernels"})
    assert (bar.tasks[-1].description, bar.tasks[-1].total, bar.tasks[-1].fields["until"]) == (
        "compiling kernels",
        None,
        None,
    )


def test_warnings_stand_above_the_bar(capsys):
    console = Console(width=40, force_terminal=False)
    _Bar(bar_of(console))({"event": "warning", "text": "alpha follows noise: " + "x" * 60})
    assert "alpha follows noise: " + "x" * 60 in capsys.readouterr().out


def frame(width, *events):
    """The bar as a terminal of that width shows it."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    bar = bar_of(console)
    hear = _Bar(bar, time.perf_counter() - 3723)
    for event in events:
        hear(event)
    bar.update(bar.tasks[-1].id, until=time.perf_counter() + 4800)
    console.print(bar.get_renderable())
    (shown,) = console.file.getvalue().splitlines()
    return shown


@pytest.mark.parametrize("width", [32, 40, 60, 80, 200])
def test_in_a_narrow_terminal_the_bar_and_the_time_left_stay(width):
    shown = frame(width, SELECTED, STEP)
    assert len(shown) <= width
    assert shown.rstrip().endswith("1 h 20 min left")
    assert "━━" in shown, "without colours, only what is done is drawn"
    assert ("1:02:03" in shown) == (width >= 60)
    assert ("loss 1.500  acc 40.0 %" in shown) == (width >= 80), "whole parts only: no number is cut"
    assert shown.startswith("epoch 2/4 " if width > 32 else "epoc")


def test_parts_give_way_from_the_end():
    assert fitting("epoch 2/4  loss 1.500  acc 40.0 %", 22) == "epoch 2/4  loss 1.500"
    assert fitting("epoch 2/4  loss 1.500", 20) == "epoch 2/4"
    assert fitting("compiling kernels", 9) == "compilin…"


def test_the_time_left_follows_the_present_pace():
    pace = Pace()
    assert pace.left(100) is None
    for second in range(11):  # ten in ten seconds
        pace.mark(10 + second, float(second))
    assert pace.left(100) == pytest.approx(80)
    for second in range(120):  # then one in ten seconds, for two minutes
        pace.mark(20 + second / 10, 10.0 + second)
    assert pace.left(100) == pytest.approx(10 * (80 - 11.9), rel=0.02)
    pace.mark(0, 500.0)
    assert pace.left(100) is None, "other work, of which nothing is done"


def test_times_in_words():
    words = {
        0: "0 s",
        59.6: "1 min",
        125: "2 min 5 s",
        3599.6: "1 h",
        4800: "1 h 20 min",
        86399: "1 d",
        180000: "2 d 2 h",
    }
    assert {seconds: span(seconds) for seconds in words} == words
    assert max(len(span(1.37**n)) for n in range(50)) <= 10


def test_lines_of_phases_epochs_and_of_what_is_silent_for_long(capsys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    hear = _Lines(begun=990.0, verbose=True)
    hear({"event": "doing", "text": "searching"})
    for step in range(1, 9):
        now[0] += 10.0
        hear({**STEP, "epoch": 1, "step": step})
    hear({"event": "epoch", "epoch": 1, "epochs": 4})
    hear.enter("")
    epoch = "epoch 1/4  loss 1.500  acc 40.0 %  "
    assert capsys.readouterr().err.splitlines() == [
        "searching",
        f"{epoch}40 s, 4 min 50 s left",
        f"{epoch}1 min 10 s, 4 min 20 s left",
        "epoch 1/4  1 min 30 s, 4 min left",
        "searching: 80.0 s",
    ]


def test_a_command_without_a_terminal_has_lines_also_where_no_event_comes(capsys, monkeypatch):
    monkeypatch.setattr(module, "_LINE_SECONDS", 0.5)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with shown_progress() as hear:
        hear({"event": "doing", "text": "compiling kernels"})
        time.sleep(1.6)
    first, *more = capsys.readouterr().err.splitlines()
    assert first == "compiling kernels"
    assert {text.partition("  ")[0] for text in more} == {"compiling kernels"}
    with shown_progress(quiet=True) as hear:
        for kind in ("note", "warning"):
            hear({"event": kind, "text": kind})
        hear({"event": "epoch", "epoch": 1, "epochs": 2})
    assert capsys.readouterr().err == "warning\n"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell")
def test_the_time_that_is_said_began_with_the_process(monkeypatch):
    monkeypatch.setattr(distributed, "_START_SECONDS", math.inf)
    monkeypatch.setenv(distributed.BEGUN, "")
    distributed.begin_command()
    assert time.perf_counter() - distributed.command_began() < 1, "with torch, this process has done something before"
    monkeypatch.delitem(sys.modules, "torch")
    distributed.begin_command()
    age = int(subprocess.run(["ps", "-o", "etimes=", str(os.getpid())], capture_output=True, check=True).stdout)
    assert time.perf_counter() - distributed.command_began() == pytest.approx(age, abs=2)


def test_a_clock_that_is_set_meanwhile_moves_nothing(monkeypatch):
    monkeypatch.setenv(distributed.BEGUN, repr(time.time() - 5))
    begun = distributed.command_began()
    now = time.time()
    monkeypatch.setattr(distributed.time, "time", lambda: now + 3600)
    assert distributed.command_began() == begun
