"""The smallest runs that go through every step, and what is compared between two of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from zarts.bilevel import Evaluator
from zarts.config import members, search_settings, used
from zarts.errors import KernelError
from zarts.kernels import prepare
from zarts.methods import AXES
from zarts.spaces import SPACES, Chain, ChainStem, Stage

STACKED = [name for name, space in SPACES.items() if space.skeleton == "darts"]
EVERY = {
    "data": "digits",
    "space": "s2",
    "subset": 64,
    "channels": 2,
    "cells": 3,
    "batch_size": 16,
    "epochs": 2,
    "warmup_epochs": 1,
    "arch_update_interval": 1,
    "val_batches": 1,
}
ZERO_ORDER = {"inner_steps": 1, "samples": 2, "esr_target": 0.6}
SELECTION = {
    "select_images": 16,
    "select_samples": 4,
    "select_generations": 1,
    "select_recalibration": 1,
    "select_screen_steps": 2,
    "select_finalists": 2,
    "select_early_steps": 3,
}
PHASES = {"restart": {"epochs": 6, "phase_warmup": 0.5, "phase_cells": (3, 3, 4)}, "prune": {"epochs": 5}}
SMALL = {"method": "zarts-mgs", **EVERY, **ZERO_ORDER}
PARTIAL = {"partial_channels": 2, "channels": 8}
LONG = {**SMALL, "subset": 120, "epochs": 3, "batch_size": 20, "arch_update_interval": 2}
TRAIN = {
    "data": "digits",
    "subset": 64,
    "channels": 2,
    "cells": 3,
    "batch_size": 16,
    "epochs": 2,
    "auxiliary_weight": 0.0,
    "drop_path": 0.0,
    "cutout": 0,
}


def evaluate(problem, candidates, train_batches, val_batches, **options):
    """The values of candidates, see `zarts.bilevel.Evaluator`."""
    return Evaluator(problem, **options).evaluate(candidates, train_batches, val_batches).values


def _compiles() -> bool:
    try:
        prepare(torch.float32, [4])
    except KernelError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not _compiles(), reason="there is no C++ compiler")
ZARTS = [str(Path(sys.executable).parent / "zarts")]


def small(method: str, **other: object) -> dict:
    """The settings of `SMALL` and `SELECTION` that the method uses, long enough for its phases, and `other`."""
    axes = {axis: value for axis, value in other.items() if axis in AXES}
    defaults = search_settings({"method": method, **axes})
    names, idle = members(defaults), {"select_recalibration"} if defaults.select_batch_norm == "train" else set()
    idle |= {"warmup_epochs"} if defaults.phases == "restart" else set()
    more = {
        **EVERY,
        **ZERO_ORDER,
        **SELECTION,
        **PHASES.get(defaults.phases, {}),
        **(PARTIAL if "partial" in names else {}),
    }
    given = {k: v for k, v in more.items() if used(k, names) and k not in idle}
    return {"method": method, **given, **other}


def often(names: Iterable[str | int], *chosen: str | int) -> list:
    """All names as parameters of a test, of which those that are not `chosen` take part in `make test-all` only."""
    unknown = set(chosen) - set(names)
    assert not unknown, unknown
    return [name if name in chosen else pytest.param(name, marks=pytest.mark.long) for name in names]


def options(settings: dict) -> list[str]:
    """Settings as options of the command line."""
    words = []
    for key, value in settings.items():
        flag = key.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    return words


def start(*words: object, **more: object) -> subprocess.Popen:
    """`zarts WORDS` in a process of its own; commands that show progress do so quietly."""
    words = (*words, "--quiet") if words[0] in ("compare", "landscape", "retrain", "search") else words
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*ZARTS, *map(str, words)], env=environment, **{**pipes, **more})


def finish(process: subprocess.Popen, seconds: float = 100) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def wait_for_lines(process: subprocess.Popen, file: Path, lines: int, seconds: float = 90) -> None:
    """Until the run has logged so many events."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if file.exists() and file.read_bytes().count(b"\n") >= lines:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("the run is too slow")


def untimed(data: object) -> object:
    """Plain data without its `seconds`."""
    if isinstance(data, dict):
        return {k: untimed(v) for k, v in data.items() if k not in ("seconds", "data_wait")}
    return [untimed(v) for v in data] if isinstance(data, list) else data


def outcome(run: Path) -> dict:
    """All that a resumed run must share with an uninterrupted one, to the last bit."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return {
        "result": untimed(json.loads((run / "result.json").read_text())),
        "metrics": [untimed(json.loads(line)) for line in lines],
        "genotype": (run / "genotype.json").read_text(),
        "epochs": {p.name: p.read_text() for p in sorted((run / "genotypes").glob("*"))},
    }


def trials_in(heard: Iterable[dict]) -> list[dict]:
    """The events of trials among all that a callback of a comparison has heard."""
    return [event for event in heard if event["event"] == "trial"]


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons do their searches one after the other, here, and without pictures."""

    from zarts.comparison.engines import ENGINES

    def run_tasks(work, tasks, room, done):
        for task in tasks:
            try:
                work(task)
            except Exception as error:
                done(task, error)
            else:
                done(task, None)

    monkeypatch.setitem(ENGINES, "processes", run_tasks)
    monkeypatch.setattr("zarts.api._new_search.draw_cells", lambda genotype, folder: [])
    monkeypatch.setattr("zarts.api._new_search.write_report", lambda run: run / "report.html")


def leftovers(run: Path) -> list[str]:
    """Temporary files that should not be there."""
    return [p.name for p in run.rglob(".*")]


def built_with_statistics(card):
    """The network of a card in evaluation mode, with running statistics that are not the initial ones."""
    import torch

    from zarts.networks import seeded

    with seeded(1):
        network = card.build().eval()
        for name, buffer in network.named_buffers():
            if buffer.dtype.is_floating_point:
                buffer.copy_(torch.rand_like(buffer) + (0.5 if "var" in name else -0.5))
    return network


def smooth_images(count: int, size: int, channels: int):
    """Random images that differ from one another: levels from 0 to 255, equal ones in each call."""
    import torch

    coarse = torch.rand(count, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    return (255 * torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")).byte()


def random_network(chain: Chain, size: int, channels: int):
    """A chain network as after training: all random, with the statistics of images and logits of about 1; its card."""
    import torch

    from zarts.exports import Served
    from zarts.networks import seeded
    from zarts.training import ModelCard

    card = ModelCard(chain, 0, 0, "", ("a", "b", "c"), size, (0.45, 0.4, 0.5)[:channels], (0.2, 0.3, 0.25)[:channels])
    with seeded(size), torch.no_grad():
        network = card.build()
        for part in network.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.momentum = None
                part.weight.uniform_(0.4, 1.4)
                part.bias.uniform_(-0.5, 0.5)
        images = smooth_images(64, size, channels) / 255
        Served(network, card)(images)
        logits = Served(network, card).eval()(images)
        network.classifier.weight /= logits.std(0)[:, None]
        network.classifier.bias.copy_(torch.rand(3) - logits.mean(0) / logits.std(0))
    return network, card


def stop_at(number: int):
    """A stand-in for `stop_request` whose check asks to stop at the given call (0: never)."""
    from contextlib import contextmanager

    from zarts.runtime.signals import StopRequest

    class Stop(StopRequest):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            self.asked = self.calls == number
            super().check()

    @contextmanager
    def request(**_):
        request.stop = Stop()
        yield request.stop

    return request


EVERY_KIND = Chain(
    ChainStem(8, 2, 5, pool=True),
    (
        Stage("conv", 8, 2, 2, 5, downsampling="max-pool"),
        Stage("residual", 12, 2, 2),
        Stage("residual", 16, shortcut="padding"),
        Stage("inverted", 10, 2, 1, 5, expansion=3, squeeze_excitation=True),
        Stage("separable", 14, 1, 2, 5),
        Stage("skip", 14, 2),
        Stage("skip", 9, 1, 2),
    ),
    head=24,
    dropout=0.1,
    activation="relu6",
    divisor=2,
    name="every",
)
"""A chain with every kind of layer and every option."""
