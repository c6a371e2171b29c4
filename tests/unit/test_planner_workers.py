"""Trainings in processes of their own."""

import multiprocessing
import os
import signal
import threading
import time

import pytest
import torch

from trainings import digits, task
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.planner.records import Schedule
from zarts.planner.workers import Workers, processes_of, take_gpu

FIXED = Schedule(3, 12, 5, {5: 12})


def test_processes_start_together_train_as_this_one_does_and_stop_when_asked(tmp_path):
    pictures = digits()
    tasks = [task(tmp_path, name, repeats=FIXED, seed=number) for number, name in enumerate("ab")]
    with Workers(pictures, 1, lambda: False) as here:
        alone = {one.length: found for one, found in here.train(tasks)}
    asked = []
    with Workers(pictures, 2, lambda: bool(asked)) as workers:
        workers.start([8])
        assert workers._pool is None  # one training runs here
        workers.start([8, 8])
        processes = dict(workers._pool._processes)
        assert len(processes) == 2
        assert {workers._pool.submit(os.getpid).result(10) for _ in range(2)} <= processes.keys()
        found = {one.length: found for one, found in workers.train(tasks)}
        for name in "ab":
            assert torch.equal(found[name].logits, alone[name].logits)
        workers.start([8, 8])  # they run already
        assert dict(workers._pool._processes) == processes
        threading.Timer(1.0, asked.append, [1]).start()
        begun = time.time()
        with pytest.raises(Interrupted):
            list(workers.train([task(tmp_path, name, 600.0, seed=7) for name in "cd"]))
        workers.close()
        assert time.time() - begun < 15


def test_a_process_that_is_killed_while_all_start_is_an_error_too():
    with Workers(digits(), 2, lambda: False) as workers:

        def kill():
            while not (workers._pool and len(workers._pool._processes) == 2):
                time.sleep(0.01)
            os.kill(next(iter(workers._pool._processes)), signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        with pytest.raises(RunError, match="memory"):
            workers.start([8, 8])


def test_a_process_that_is_killed_is_an_error_that_says_so(tmp_path):
    with Workers(digits(), 2, lambda: False) as workers:

        def kill():
            while not (workers._pool and workers._pool._processes):
                time.sleep(0.05)
            os.kill(next(iter(workers._pool._processes)), signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        with pytest.raises(RunError, match="memory"):
            list(workers.train([task(tmp_path, name, 600.0) for name in "ab"]))


def test_processes_take_the_gpus_in_turn_and_none_where_there_is_one(monkeypatch):
    taken = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    turn = multiprocessing.Value("i")
    for _ in range(3):
        take_gpu(turn, [0, 2])
    assert taken == [0, 2, 0]
    take_gpu(turn, [0])
    assert taken == [0, 2, 0]


@pytest.mark.parametrize(
    ("device", "asked", "expected"),
    [("cuda", "auto", (2, [0, 2])), ("cuda", 4, (4, [0, 2])), ("cuda:1", "auto", (1, [])), ("mps", "auto", (1, []))],
)
def test_each_gpu_trains_a_network_unless_one_is_named(monkeypatch, device, asked, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "get_device_name", ["fast", "slow", "fast"].__getitem__)
    device = torch.device(device)
    assert processes_of(asked, device) == expected
    if len(expected[1]) > 1:
        with pytest.raises(SettingsError, match="unequally"):
            processes_of(3, device)
