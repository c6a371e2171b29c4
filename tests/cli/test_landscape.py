"""`zarts landscape` and `zarts draw --every` as processes and in this one: words, exit codes, kills."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from small import finish, leftovers, start, untimed

pytestmark = pytest.mark.usefixtures("unchecked")

GRID = ["--grid", "9", "--inner-steps", "0,1"]


@pytest.fixture
def run(searched, tmp_path):
    return shutil.copytree(searched.run, tmp_path / "run")


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("zarts.searcher.restore.dominant_eigenvalue", lambda *_: 0.25)


def test_landscape_then_drawn_again(command, run, quick):
    words = ["landscape", run, "--grid", "3", "--inner-steps", "0,1", "--scale", "coordinate", "--devices", "1"]
    code, out, err = command(*words)
    assert (code, err) == (0, "")
    number = r"[-+]?\d+\.\d+"
    surface = rf"sharpness +{number}  minimum {number} at \({number}, {number}\)  rise at the rim {number}\n"
    assert re.fullmatch(
        rf"first order   {surface}second order  {surface}1 in x or y is a distance of \d.* in alpha, which is at "
        rf"\(0, 0\); inner steps: learning rate 0\.\d+, momentum 0.9\ndominant eigenvalue of the whole Hessian in "
        rf"alpha \(first order\): 0.2500\ndrawn: {run}/landscape.svg, {run}/landscape.png\n",
        out,
    )
    (run / "landscape.png").unlink()
    assert command(*words) == (0, out, "")
    assert (run / "landscape.png").exists()
    code, out, err = command(*words, "--seed", "1")
    assert (code, out) == (1, "")
    assert re.search(r"landscape\.json: .*seed = 0.*--again", err)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("landscape none", 3, "none"),
        ("landscape RUN --inner-steps 0,x", 2, "--inner-steps 0,x"),
        ("landscape RUN --grid 4 --devices 1", 2, "grid = 4"),
        ("landscape RUN --grid 3 --devices 10", 2, "10 ranks"),
        ("landscape RUN --devices 0", 2, "--devices: "),
        ("draw DARTS_V2 --every 2", 2, "DARTS_V2"),
        ("draw RUN --every 0", 2, "--every: "),
    ],
)
def test_one_line_that_says_what_is_wrong(command, searched, words, code, message):
    got, out, err = command(*words.replace("RUN", str(searched.run)).split())
    assert (got, out) == (code, "")
    assert re.search(message, err)
    assert err.count("\n") == 1


def test_cells_of_epochs(command, run, tmp_path):
    code, out, err = command("draw", run, "--every", 2, "--out", tmp_path / "cells")
    assert (code, err) == (0, "")
    assert out.split() == [str(tmp_path / "cells" / name) for name in ("strip.svg", "strip.png", "epochs.gif")]
    assert leftovers(tmp_path / "cells") == []


def begin(run):
    """The command in a process of its own that writes down what it knows after each block of points."""
    code = (
        "import zarts.analysis.landscape_cache as kept; kept._EVERY_SECONDS = 0.0; from zarts.cli import main; main()"
    )
    words = ["landscape", str(run), *GRID, "--devices", "1", "--quiet"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code, *words], env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes)


def known(run):
    """Points in the part of a landscape."""
    path = run / "landscape.part.json"
    return sum(map(len, json.loads(path.read_text())["losses"].values())) if path.exists() else 0


def wait_for_points(process, run, more_than, seconds=120):
    end = time.monotonic() + seconds
    while known(run) <= more_than:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def whole(run):
    """The finished landscape without its time; no part is left."""
    assert not (run / "landscape.part.json").exists()
    return untimed(json.loads((run / "landscape.json").read_text()))


@pytest.mark.long
def test_stopped_killed_and_gone_on_with_it_ends_with_the_same_numbers(run, tmp_path, command):
    other = shutil.copytree(run, tmp_path / "straight" / "run")
    assert command("landscape", other, *GRID, "--devices", 1)[0] == 0
    process = begin(run)
    wait_for_points(process, run, 0)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out) == (130, "")
    stopped = known(run)
    kept = f"{stopped} of 162 points"
    assert kept in err
    assert err.count("\n") == 1
    process = begin(run)
    wait_for_points(process, run, stopped)
    process.kill()
    finish(process)
    assert stopped < known(run) < 162
    assert command("landscape", run, *GRID, "--devices", 1)[0] == 0
    assert whole(run) == whole(other)


@pytest.mark.long
def test_two_ranks_equal_one(run, tmp_path, command):
    """Nine points, which two ranks do not share evenly."""
    other = shutil.copytree(run, tmp_path / "one" / "run")
    words = ["--grid", 3, "--inner-steps", "0,1"]
    assert command("landscape", other, *words, "--devices", 1)[0] == 0
    code, out, err = finish(start("landscape", run, *words, "--devices", 2), 250)
    assert (code, err, out.count("first order ")) == (0, "", 1)
    assert whole(run) == whole(other)
