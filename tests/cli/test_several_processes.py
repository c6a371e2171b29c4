"""Several processes search as one does: the same alphas to the bit, whatever is stopped, killed and resumed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import zarts
from forked import Forked
from small import LONG, SMALL, TRAIN, finish, leftovers, options, outcome, wait_for_lines
from zarts.runtime.io import read_events, read_mapping
from zarts.training import load_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_pictures", "unchecked")]


def ranks_of(process):
    """Process numbers of the ranks that a process has started, by rank."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
    facts = {pid: Path(f"/proc/{pid}/environ").read_text().split("\0") for pid in children.split()}
    return {int(word[5:]): int(pid) for pid, words in facts.items() for word in words if word.startswith("RANK=")}


def test_two_ranks_equal_one(tmp_path):
    """Three candidates and three validation batches: neither is shared evenly."""
    settings = {**SMALL, "samples": 3, "antithetic": False, "val_batches": 3}
    one = zarts.search(out=tmp_path / "one", **settings)
    code, out, err = finish(Forked("search", *options(settings), "--devices", 2, "--out", tmp_path / "two"))
    assert (code, err) == (0, "")
    assert out.count("found in") == 1
    assert outcome(tmp_path / "two") == outcome(one.run)
    assert read_mapping(tmp_path / "two" / "env.json")["ranks"] == 2
    assert leftovers(tmp_path / "two") == []


@pytest.mark.long
def test_a_dry_run_on_two_ranks_counts_the_memory_of_both(tmp_path):
    memory = []
    for devices in (1, 2):
        words = [*options({**SMALL, "samples": 2}), "--devices", devices, "--dry-run"]
        code, out, err = finish(Forked("search", *words))
        assert (code, err, out.count("memory: ")) == (0, "", 1)
        memory.append(float(out.split("memory: ")[1].split()[0].replace(",", "")))
    assert 1.5 < memory[1] / memory[0] < 2.5


@pytest.mark.long  # below, a retraining is stopped, and a search goes on with one
def test_stopped_on_two_ranks_and_resumed_on_one(tmp_path, command, straight):
    run = tmp_path / "run"
    process = Forked("search", *options(LONG), "--devices", 2, "--out", run)
    wait_for_lines(process, run / "metrics.jsonl", 3)
    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)
    assert (code, out, err.count("\n")) == (130, "", 1)
    assert f"zarts search --resume {run}" in err
    assert command("search", "--resume", run, "--devices", 1)[0] == 0
    assert outcome(run) == outcome(straight.run)


@pytest.mark.long
def test_a_rank_is_killed_and_the_run_goes_on_with_another_number(tmp_path, command, straight):
    run = tmp_path / "run"
    process = Forked("search", *options({**LONG, "samples": 2}), "--devices", 2, "--out", run)
    wait_for_lines(process, run / "metrics.jsonl", 2)
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    code, out, err = finish(process)
    assert (code, out) == (1, "")
    assert "rank 1 was killed by SIGKILL" in err.splitlines()[-1]
    assert len(err.splitlines()) <= 2
    assert command("search", "--resume", run)[0] == 0
    assert outcome(run) == outcome(straight.run)


@pytest.mark.long  # in test_processes.py a search is killed and goes on, and below, ranks end when they are asked to
def test_ranks_end_with_the_process_that_started_them(tmp_path, command, straight):
    run = tmp_path / "run"
    process = Forked("search", *options({**LONG, "samples": 2}), "--devices", 2, "--out", run)
    wait_for_lines(process, run / "metrics.jsonl", 2)
    ranks = ranks_of(process)
    process.kill()
    finish(process)
    end = time.monotonic() + 30
    while any(Path(f"/proc/{rank}").exists() for rank in ranks.values()):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not (run / "result.json").exists()
    assert command("search", "--resume", run)[0] == 0
    assert outcome(run) == outcome(straight.run)


@pytest.mark.long
def test_two_machines_go_on_with_a_run_of_one(tmp_path, straight):
    """Two torchruns on this machine, as if each had one of its own."""
    run = tmp_path / "run"
    process = Forked("search", *options(LONG), "--out", run)
    wait_for_lines(process, run / "metrics.jsonl", 3)
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 143
    with_port = ["--master-addr", "127.0.0.1", "--master-port", str(20000 + os.getpid() % 10000)]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", *with_port]
    words = ["-m", "zarts", "search", "--resume", str(run)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    machines = [subprocess.Popen([*torchrun, "--node-rank", str(n), *words], **pipes) for n in range(2)]
    first, second = (finish(machine) for machine in machines)
    assert (first[0], second[:2]) == (0, (0, ""))
    assert first[1].count("found in") == 1
    assert outcome(run) == outcome(straight.run)


def test_two_ranks_retrain_as_one(tmp_path, command):
    """But for the order of float32's sums, which steps amplify: so small ones. Stopped, and resumed by one."""
    settings = {**TRAIN, "epochs": 3, "drop_path": 0.3, "auxiliary_weight": 0.4, "learning_rate": 0.001}
    one = zarts.retrain("DARTS_V2", out=tmp_path / "one", **settings)
    two = tmp_path / "two"
    process = Forked("retrain", "DARTS_V2", *options(settings), "--devices", 2, "--out", two)
    wait_for_lines(process, two / "metrics.jsonl", 1)
    ranks = ranks_of(process)
    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)
    assert (code, out, err.count("\n")) == (143, "", 1)
    assert f"zarts retrain --resume {two}" in err
    assert len(ranks) == 2
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks.values())
    assert command("retrain", "--resume", two, "--devices", 1)[0] == 0
    losses = [[e["train_loss"] for e in read_events(run / "metrics.jsonl")] for run in (one.run, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    weights = [load_model(run / "model.safetensors")[0].state_dict() for run in (one.run, two)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-3, msg=name)
