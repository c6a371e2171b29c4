"""`zarts compare` in processes of its own: parallel searches, kills, Ctrl-C, what goes on and what is not repeated."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from small import SMALL, TRAIN, finish, leftovers, options, outcome, start, wait_for_lines
from zarts.runtime.io import read_events, read_mapping

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
LONG = 400  # seconds; a comparison starts three processes that import torch
SEARCH = {
    "space": "nasbench201", "subset": 120, "channels": 2, "cells": 1, "batch_size": 20, "epochs": 4,
    "arch_learning_rate": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def straight(every, tmp_path_factory):
    """One of the searches, made by itself."""
    run = tmp_path_factory.mktemp("straight") / "run"
    words = options({**SEARCH, "method": "darts", "seed": 1, "threads": 1, "benchmark_table": every})
    assert finish(start("search", *words, "--out", run), LONG)[0] == 0
    return run


def compare(every, out, *, alone=False, **settings):
    return start(
        "compare", "--methods", "darts,random", "--seeds", 2, "--benchmark-table", every, "--out", out, "--jobs", 2,
        *options({**SEARCH, **settings}), start_new_session=alone,
    )  # fmt: skip


def workers_of(process):
    """Process numbers of the searches: the children that spawned Python processes are."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in children.split() if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def gone(pids, seconds=30):
    """Whether these processes end in time."""
    end = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def slow(out):
    """A search that runs for long enough to be killed in its middle."""
    return out / "darts" / "seed0" / "metrics.jsonl"


@pytest.mark.long
def test_in_parallel_as_by_itself(every, straight, tmp_path):
    out = tmp_path / "out"
    code, table, err = finish(compare(every, out), LONG)
    assert (code, err) == (0, "")
    assert table == (out / "table.md").read_text()
    assert [line.split("|")[1].strip() for line in table.splitlines()[2:4]] == ["darts", "random"]
    assert outcome(out / "darts" / "seed1") == outcome(straight)
    assert read_mapping(out / "darts" / "seed1" / "env.json")["threads"] == 1
    assert leftovers(out) == []


@pytest.mark.long
def test_killed_and_called_again(every, straight, tmp_path):
    """Kill -9 of the comparison ends its searches; the next call repeats nothing that is finished."""
    out = tmp_path / "out"
    process = compare(every, out, epochs=4000)
    wait_for_lines(process, slow(out), 6, LONG)
    workers = workers_of(process)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    assert gone(workers), "searches outlive the comparison"
    assert not list(out.glob("darts/*/result.json"))

    other = tmp_path / "other"
    process = compare(every, other)
    while not list(other.glob("*/*/result.json")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    time.sleep(0.5)
    finished = {file: file.stat().st_mtime_ns for file in other.glob("*/*/result.json")}
    code, _, err = finish(compare(every, other), LONG)
    assert (code, err) == (0, "")
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    assert len(list(other.glob("*/*/result.json"))) == 4
    assert outcome(other / "darts" / "seed1") == outcome(straight)


@pytest.mark.long
def test_a_search_that_is_killed_takes_no_other_with_it(every, tmp_path):
    out = tmp_path / "out"
    process = compare(every, out, subset=1000, epochs=12)
    wait_for_lines(process, slow(out), 2, LONG)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    code, table, err = finish(process, LONG)
    assert code == 1
    assert "seed" in err.splitlines()[0]
    assert "killed" in err
    assert err.splitlines()[-1].startswith("zarts: 1 of 4 searches failed: the same command tries them again")
    assert "1 of 4 searches failed and are not in the table." in table
    assert len(list(out.glob("*/*/result.json"))) == 3
    code, table, err = finish(compare(every, out, subset=1000, epochs=12), LONG)
    assert (code, err) == (0, "")
    assert table.splitlines()[2].startswith("| darts | 2 |")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop(every, tmp_path, number):
    """As Ctrl-C of a terminal, which goes to all its processes; and as a wish to the comparison alone."""
    out = tmp_path / "out"
    process = compare(every, out, alone=True, epochs=4000)
    wait_for_lines(process, slow(out), 6, LONG)
    workers = workers_of(process)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    code, table, err = finish(process, LONG)
    assert (code, table) == (130, "")
    message = r"zarts: interrupted: [12] of 4 searches are finished .*\n"
    assert re.fullmatch(message, err)
    assert gone(workers)
    run = out / "darts" / "seed0"
    events = (run / "metrics.jsonl").read_bytes().count(b"\n")
    process = compare(every, out, epochs=4000)
    wait_for_lines(process, slow(out), events + 3, LONG)
    process.send_signal(signal.SIGTERM)
    assert finish(process, LONG)[0] == 130


@pytest.mark.long
def test_two_methods_two_spaces_three_seeds(tmp_path):
    """Killed twice: nothing that is finished is touched or repeated, and in the end all is there."""
    out = tmp_path / "out"
    own = {key: value for key, value in SMALL.items() if key not in ("space", "method")}
    retrain = [word for key in TRAIN.keys() - {"data", "subset"} for word in ("--retrain", f"{key}={TRAIN[key]}")]
    words = [
        "compare", "--methods", "zarts-mgs,random", "--grid", "space=s1,s3", "--seeds", 3, "--out", out, "--jobs", 2,
        *options(own), *retrain, "--retrain", "subset=48", "--against", "random",
    ]  # fmt: skip
    kept = {}
    for number in (2, 7):
        process = start(*words)
        while len(list(out.glob("*/*-retrained/result.json"))) < number:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        workers = workers_of(process)
        process.kill()
        process.communicate()
        assert gone(workers)
        folders = [file.parent for file in out.glob("*/*/result.json")]
        now = {file: file.stat().st_mtime_ns for folder in folders for file in folder.rglob("*") if file.is_file()}
        assert number <= len(folders) < 24
        assert {file: now.get(file) for file in kept} == kept
        kept = now
    code, table, err = finish(start(*words), LONG)
    assert (code, err) == (0, "")
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert len(list(out.glob("*/*/result.json"))) == 24
    for file in out.glob("*/seed?/metrics.jsonl"):
        epochs = [event["epoch"] for event in read_events(file) if event["event"] == "genotype"]
        assert epochs == sorted(set(epochs)), "no epoch twice"
    heads = [line.split("|")[1:3] for line in table.splitlines() if line.startswith(("| zarts-mgs", "| random"))]
    assert heads[2:] == [[" zarts-mgs ", " 3 "], [" random ", " 3 "]] * 2
    assert leftovers(out) == []
