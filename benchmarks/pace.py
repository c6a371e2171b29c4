"""How equal trainings of equal time are on a machine whose speed varies: steps by CPU seconds, and by `Clock`.

A second process works now and then, as other programs do. The same short training is repeated, in turn with seconds
that count as they are and with those at the pace of the beginning.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import torch

from benchmarks.report import Report, environment
from zarts.config.fit import fit_settings
from zarts.data import load_data
from zarts.planner.clock import reference_seconds
from zarts.planner.pictures import Pictures
from zarts.planner.records import Candidate
from zarts.planner.training import Task, train_candidate
from zarts.spaces import handmade

__all__ = ["main"]

RESULT = Path(__file__).parent / "results" / "pace.json"
NETWORKS = (("resnet8", 0.77), ("vgg", 0.5), ("mobilenet_v2", 0.3))
SECONDS, TIMES, SEED = 10.0, 6, 5
_SPELL = (4.0, 25.0)
"""Seconds that the other process works or rests, at least and at most."""


def work(seed: int) -> None:
    """The other process: it trains a network, and rests, by turns."""
    torch.set_num_threads(1)
    dice, layer = random.Random(seed), torch.nn.Conv2d(64, 64, 3, padding=1)
    images = torch.randn(64, 64, 28, 28)
    while True:
        end = time.monotonic() + dice.uniform(*_SPELL)
        while time.monotonic() < end:
            layer(images).sum().backward()
        time.sleep(dice.uniform(*_SPELL))


@contextmanager
def neighbour(seed: int) -> Iterator[None]:
    """Inside, the other process runs."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=(seed,), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()


def measure(name: str, width: float, folder: Path) -> dict[str, Any]:
    """Steps of repeated trainings of a network."""
    first = load_data("fashion-mnist")
    pictures = Pictures(lambda size: first, [28], 0, first)
    path = {"precision": "32-true", "layout": "channels-last", "kernels": "native", "threads": 1}
    recipe = fit_settings({"data": "fashion-mnist"}).recipe(**pictures.batches).model_copy(update=path)
    one = Candidate(1, name, "hand-made", handmade(name, width, 2).for_images(28), 28)

    def steps(pace: float | None) -> int:
        task = Task(
            candidate=one,
            length="T",
            seed=SEED,
            seconds=SECONDS,
            pace=pace,
            warmup=0.5,
            recipe=recipe,
            repeats=None,
            deadline=None,
            continues=None,
            keeps=None,
            model=folder / "model.safetensors",
        )
        return train_candidate(task, pictures[28], lambda: False).schedule.steps

    steps(None)
    begun = median(reference_seconds() for _ in range(50))
    with neighbour(SEED):
        pairs = [(steps(None), steps(begun)) for _ in range(TIMES)]
    return {"network": f"{name} width {width:g}", "cpu": [a for a, _ in pairs], "pace": [b for _, b in pairs]}


def table(raw: list[dict[str, Any]]) -> Report:
    """A network a row."""
    columns = ["network, stem stride 2", "CPU seconds: steps (sd, most / fewest)", "at the pace of the beginning"]
    rows = [[one["network"], *(_words(one[kind]) for kind in ("cpu", "pace"))] for one in raw]
    note = (
        f"Steps in {SECONDS:g} s, Fashion-MNIST, {TIMES} trainings each in turn, beside a process that works and "
        f"rests for {_SPELL[0]:g} to {_SPELL[1]:g} s by turns, seed {SEED}."
    )
    return Report(columns, rows, note, {**environment(), "command": "python -m benchmarks.pace"}, raw)


def _words(steps: Sequence[int]) -> str:
    return f"{mean(steps):.0f} ({100 * stdev(steps) / mean(steps):.1f} %, {max(steps) / min(steps):.2f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    torch.set_num_threads(1)
    raw = []
    for name, width in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            raw.append(measure(name, width, Path(folder)))
            print(raw[-1], flush=True)
    table(raw).publish(RESULT)


if __name__ == "__main__":
    main()
