"""`--engine ray` on a cluster of this machine: workers killed, Ctrl-C, kill -9, and what goes on."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from small import finish, leftovers, options, outcome, start, wait_for_lines

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
LONG = 400  # seconds; Ray and two processes that import torch
SEARCH = {
    "space": "nasbench201", "subset": 600, "channels": 2, "cells": 1, "batch_size": 20, "epochs": 8,
    "arch_learning_rate": 1.0,
}  # fmt: skip


def compare(every, out, *, engine="ray", **settings):
    """In a working directory of its own, where `--out` is relative."""
    return start(
        "compare", "--methods", "darts,random", "--seeds", 2,
        "--benchmark-table", every, "--out", out.name, "--jobs", 2,
        "--engine", engine, *options({**SEARCH, **settings}), start_new_session=True, cwd=out.parent,
    )  # fmt: skip


def below(pid):
    """All processes that this one has started, and those that they have."""
    words = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [process for child in map(int, words) for process in (child, *below(child))]


def at_work(process):
    """The processes of the cluster that do a task."""
    return [pid for pid in below(process.pid) if b"ray::_do" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def ended(pid):
    """Whether a process has ended; nobody may have asked yet how it did."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def gone(pids, seconds=60):
    """Whether these processes end in time."""
    end = time.monotonic() + seconds
    while not all(map(ended, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def slow(out):
    return out / "darts" / "seed0" / "metrics.jsonl"


def test_a_worker_is_killed(every, tmp_path):
    """Its search goes on in another one, to the same bits as in a process of this machine."""
    out = tmp_path / "out"
    process = compare(every, out)
    wait_for_lines(process, slow(out), 3, LONG)
    workers = at_work(process)
    assert len(workers) == 2
    for pid in workers:  # one of them does the search of which lines have been seen
        os.kill(pid, signal.SIGKILL)
    code, table, err = finish(process, LONG)
    assert code == 0
    assert all("(raylet)" in line for line in err.splitlines())
    assert table == (out / "table.md").read_text()
    assert [line.split("|")[1:3] for line in table.splitlines()[2:4]] == [[" darts ", " 2 "], [" random ", " 2 "]]
    assert leftovers(out) == []
    straight = tmp_path / "straight"
    words = options({**SEARCH, "method": "darts", "threads": 1, "benchmark_table": every})
    assert finish(start("search", *words, "--out", straight), LONG)[0] == 0
    assert outcome(slow(out).parent) == outcome(straight)


def test_asked_to_stop_and_killed(every, tmp_path):
    """Ctrl-C of a terminal, then SIGTERM, then kill -9: what ran has been saved, and is gone on with."""
    out = tmp_path / "out"
    message = r"zarts: interrupted: [12] of 4 searches are finished .*\n"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        before = slow(out).read_bytes().count(b"\n") if slow(out).exists() else 0
        process = compare(every, out, epochs=4000)
        wait_for_lines(process, slow(out), before + 3, LONG)
        workers = at_work(process)
        assert workers
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        code, table, err = finish(process, LONG)
        assert (code, table) == (-number if number == signal.SIGKILL else 128 + number, "")
        assert number == signal.SIGKILL or re.fullmatch(message, err)
        assert gone(workers), "searches outlive the comparison"
    assert not (out / "darts" / "seed0" / "result.json").exists()


def test_a_fit_on_a_cluster_repeats_one_of_this_machine(tmp_path):
    """The folder is named as people do, from where they are: the processes of the cluster work elsewhere."""
    words = ["fit", "digits", "--time", "40s", "--max-params", "3k", "--processes", "1"]
    assert finish(start(*words, "--out", tmp_path / "here"), LONG)[0] == 0
    again = ["--plan", tmp_path / "here" / "plan.yaml", "--engine", "ray", "--out", "there"]
    assert finish(start(*words, *again, cwd=tmp_path), LONG)[0] == 0
    files = [tmp_path / name / "best" / "model.safetensors" for name in ("here", "there")]
    assert files[0].read_bytes() == files[1].read_bytes()
