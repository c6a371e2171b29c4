"""Overhead of a search at the smallest size: time that is neither forward or backward pass nor optimizer step.

Overhead is crop, flip, cutout, normalisation, clipping, copies of the weights for every candidate, and logging. The
script runs real steps of a search, on the digits or on a folder of images.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.report import Report, environment, options
from zarts.config import dump, search_settings
from zarts.runs import Run
from zarts.runtime.system_memory import keep_freed_memory
from zarts.searcher import measure_search
from zarts.training.trainer import Job

__all__ = ["SIZE", "Overhead", "main"]

SIZE = {"space": "darts", "channels": 4, "cells": 5, "batch_size": 32, "image_size": 16, "crop_padding": 2, "cutout": 8}
ALPHA = {"method": "zarts-mgs", "samples": 4, "inner_steps": 4, "val_batches": 2} | {
    "epochs": 2,
    "warmup_epochs": 1,
    "arch_update_interval": 1,
}
STEPS = {"weight steps": (0, 100), "alpha steps": (1, 10)}
COLUMNS = ["what", "weight step, ms", "neither pass nor optimizer, ms", "share"]


class Overhead:
    """Replaces the loop of a job, and times passes, gradients and optimizer, and with them the rest.

    Args:
        steps: for each row an epoch that has such steps, and their number.
    """

    def __init__(self, steps: dict[str, tuple[int, int]]) -> None:
        self.steps = steps
        self.seconds: dict[str, tuple[int, float, float]] = {}
        """For each row the weight steps (including candidates'), all processor seconds, and those of the rest."""
        self._inside, self._weight_steps = 0.0, 0

    def run(self, job: Any) -> None:
        """Run and time the steps."""
        optimizer = job.problem.optimizer
        job.passes, optimizer.step = self._timed(job.passes), self._counted(self._timed(optimizer.step))
        with self._timed_gradients():
            for name, (epoch, count) in self.steps.items():
                job.begin_epoch(epoch)
                self._measure(job, epoch, 1)  # warms up
                self.seconds[name] = self._measure(job, epoch, count)
        job.finish()

    def _measure(self, job: Job, epoch: int, count: int) -> tuple[int, float, float]:
        gc.collect()  # garbage of imports, once
        self._inside, self._weight_steps = 0.0, 0
        start = time.process_time()
        for step in range(count):
            job.trainer.move_to(epoch, step)
            job.trainer.count(*job.step(epoch, step))
        whole = time.process_time() - start
        return self._weight_steps, whole, whole - self._inside

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any, **settings: Any) -> Any:
            start = time.process_time()
            output = function(*inputs, **settings)
            self._inside += time.process_time() - start
            return output

        return call

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any) -> Any:
            self._weight_steps += 1
            return function(*inputs)

        return call

    @contextmanager
    def _timed_gradients(self) -> Iterator[None]:
        backward, grad = self._timed(torch.Tensor.backward), self._timed(torch.autograd.grad)
        with mock.patch.object(torch.Tensor, "backward", backward), mock.patch.object(torch.autograd, "grad", grad):
            yield


def table(settings: dict[str, Any], steps: dict[str, tuple[int, int]]) -> Report:
    """Measure each kind of step of a search with these settings."""
    resolved = search_settings(settings)
    overhead = Overhead(steps)
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", dump(resolved), "search")
        measure_search(resolved, run, overhead.run)
    rows = [
        [name, f"{1e3 * whole / count:.1f}", f"{1e3 * rest / count:.2f}", f"{rest / whole:.1%}"]
        for name, (count, whole, rest) in overhead.seconds.items()
    ]
    note = "Processor time a weight step, including those of candidates; for alpha steps with everything else in them."
    return Report(COLUMNS, rows, note, environment(), overhead.seconds)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--data", default="digits", help="digits, or a folder of images (default: %(default)s)")
    args = parser.parse_args(arguments)
    keep_freed_memory()  # as the command line does
    torch.set_num_threads(args.threads)
    table({"data": args.data, **SIZE, **ALPHA}, STEPS).publish(args.json)


if __name__ == "__main__":
    main()
