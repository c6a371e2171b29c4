"""The command line in processes of its own: signals, kills, limits of the system, imports."""

import random
import re
import resource
import signal
import subprocess
import sys
import time

import pytest

import zarts
from forked import Forked
from small import LONG, TRAIN, ZARTS, finish, leftovers, options, outcome, start, stop_at, wait_for_lines
from zarts.errors import Interrupted

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.mark.long  # below, one is killed once
@pytest.mark.usefixtures("no_pictures")
def test_killed_at_random_moments(tmp_path, command, straight):
    """Kill -9 a search, resume it, kill it again; then let it finish."""
    run, dice = tmp_path / "run", random.Random(0)
    total = len(straight.history)
    for number in range(2):
        words = ["--resume", run] if number else [*options(LONG), "--out", run]
        process = Forked("search", *words)
        done = (run / "metrics.jsonl").read_bytes().count(b"\n") if number else 0
        wait_for_lines(process, run / "metrics.jsonl", min(done + dice.randint(1, 3), total - 4))
        time.sleep(dice.uniform(0, 0.15))
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
        assert not (run / "result.json").exists()
    assert command("search", "--resume", run)[0] == 0
    assert outcome(run) == outcome(straight.run)
    assert leftovers(run) == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_a_search_is_asked_to_stop_and_then_killed(tmp_path, command, straight):
    """Ctrl-C; resumed, kill -9 after the next events; resumed again, it ends with the bits of an uninterrupted one."""
    run = tmp_path / "run"
    process = Forked("search", *options(LONG), "--out", run)
    wait_for_lines(process, run / "metrics.jsonl", 3)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out, err.count("\n")) == (130, "", 1)
    assert f"zarts search --resume {run}" in err
    done = (run / "metrics.jsonl").read_bytes().count(b"\n")
    assert done < len(straight.history) - 3
    process = Forked("search", "--resume", run)
    wait_for_lines(process, run / "metrics.jsonl", done + 1)
    process.kill()
    assert finish(process)[0] == -signal.SIGKILL
    assert not (run / "result.json").exists()
    assert command("search", "--resume", run)[0] == 0
    assert outcome(run) == outcome(straight.run)
    assert leftovers(run) == []


@pytest.mark.long  # one on two ranks is, too: test_several_processes.py
@pytest.mark.usefixtures("no_pictures")
def test_a_retraining_is_asked_to_stop(tmp_path, command, searched):
    settings = {**TRAIN, "epochs": 12, "drop_path": 0.3, "batch_size": 32}
    run = tmp_path / "run"
    process = Forked("retrain", searched.run, *options(settings), "--out", run)
    wait_for_lines(process, run / "metrics.jsonl", 2)
    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)
    assert (code, out, err.count("\n")) == (143, "", 1)
    assert f"zarts retrain --resume {run}" in err
    assert command("retrain", "--resume", run)[0] == 0
    whole = zarts.retrain(searched.run, out=tmp_path / "whole", **settings)
    assert outcome(run) == outcome(whole.run)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_asked_to_stop_before_there_is_anything_to_save(command, monkeypatch, number, code):
    """While images are loaded, and after the second Ctrl-C of an impatient user: nothing but the exit code."""

    def load(*words, **more):
        signal.raise_signal(number)
        raise KeyboardInterrupt  # where the handler of Ctrl-C is not Python's

    monkeypatch.setattr("zarts.api.new_search", load)
    assert command("search", "--preset", "quick") == (code, "", "zarts: interrupted\n")


@pytest.mark.usefixtures("no_pictures")
def test_a_limit_on_the_size_of_files(tmp_path, command, straight, monkeypatch):
    """A limit that comes while the search is at work, in this process: its next checkpoint does not fit any more."""
    run = tmp_path / "run"
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(4))
    with pytest.raises(Interrupted):
        zarts.search(out=run, quiet=True, **LONG)
    monkeypatch.setattr("zarts.training.trainer.stop_request", stop_at(0))
    limit, (soft, hard) = (run / "checkpoint.pt").stat().st_size // 2, resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        code, out, err = command("search", "--resume", run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"{run}/checkpoint.pt" in err
    assert not (run / "result.json").exists()
    assert leftovers(run) == []
    assert command("search", "--resume", run)[0] == 0
    assert outcome(run) == outcome(straight.run)


def test_exit_codes(tmp_path, command):
    (tmp_path / "empty").mkdir()
    for words, code, name in (
        (["search", "--preset", "quik"], 2, "quik"),
        (["search", "--quiet", "--verbose"], 2, "--quiet and --verbose"),
        (["search", "--resume", tmp_path / "none"], 3, f"{tmp_path}/none"),
        (["search", "--data", tmp_path / "empty", "--out", tmp_path / "x"], 3, f"{tmp_path}/empty"),
    ):
        got, out, err = command(*words)
        assert (got, out, err.count("\n")) == (code, "", 1)
        assert err.startswith("zarts: ")
        assert name in err
        assert "Traceback" not in err


def test_help_imports_no_torch():
    words = [sys.executable, "-X", "importtime", *ZARTS, "--help"]
    process = subprocess.run(words, capture_output=True, text=True, check=True)
    modules = {line.split("|")[-1].strip() for line in process.stderr.splitlines()}
    assert "zarts.cli.commands" in modules
    assert not {m.split(".")[0] for m in modules} & {"torch", "torchvision", "numpy", "sklearn", "matplotlib"}
    assert re.search(r"search .*retrain .*evaluate", process.stdout, re.DOTALL)


def test_a_reader_that_leaves_early():
    process = start("list", "methods")
    process.stdout.close()
    process.wait(60)
    assert process.stderr.read() == ""
    process.stderr.close()
