"""How much of a search is neither a pass through the network nor an optimizer's step, at the smallest size.

Crop, flip, cutout, normalisation, clipping, copies of the weights for every candidate, logging: all that is not
forward, backward or SGD. The size is 4 channels, 5 cells, batches of 32 images of 16×16 pixels, space `darts`.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py [FOLDER OF IMAGES]
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from zarts.cli.memory import keep_freed_memory
from zarts.config import dump, search_settings
from zarts.engine import Job, Run, search

SIZE = {"space": "darts", "channels": 4, "cells": 5, "batch_size": 32, "image_size": 16, "crop_padding": 2, "cutout": 8}
ALPHA = {"samples": 4, "inner_steps": 4, "val_batches": 2, "epochs": 2, "warmup_epochs": 1}
STEPS = {"weight steps": (0, 30), "alpha updates": (1, 4)}


class Overhead:
    """Runs in the place of a job's loop, and times passes, gradients and optimizer apart from the rest."""

    def __init__(self) -> None:
        self.inside = 0.0
        self.weight_steps = 0

    def run(self, job: Job) -> None:
        """Print a line for each kind of step."""
        optimizer = job.problem.optimizer
        job.passes = self._timed(job.passes)
        optimizer.step = self._counted(self._timed(optimizer.step))
        with self._timed_gradients():
            for name, (epoch, times) in STEPS.items():
                job.begin_epoch(epoch)
                self._measure(job, epoch, 1)  # warms up
                self._print(name, *self._measure(job, epoch, times))

    def _measure(self, job: Job, epoch: int, times: int) -> tuple[float, float, int]:
        self.inside, self.weight_steps = 0.0, 0
        start = time.process_time()
        for step in range(times):
            job.loop.move_to(epoch, step * job.settings.alpha_every)
            job.loop.do_step(job)
        return time.process_time() - start, self.inside, self.weight_steps

    def _print(self, name: str, whole: float, inside: float, steps: int) -> None:
        rest = whole - inside
        print(
            f"{name}: {1e3 * whole / steps:.1f} ms a weight step (of candidates too), of which "
            f"{1e3 * rest / steps:.2f} ms or {100 * rest / whole:.1f} % is neither a pass nor the optimizer"
        )

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any, **options: Any) -> Any:
            start = time.process_time()
            output = function(*inputs, **options)
            self.inside += time.process_time() - start
            return output

        return call

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any) -> Any:
            self.weight_steps += 1
            return function(*inputs)

        return call

    @contextmanager
    def _timed_gradients(self) -> Iterator[None]:
        backward, grad = self._timed(torch.Tensor.backward), self._timed(torch.autograd.grad)
        with mock.patch.object(torch.Tensor, "backward", backward), mock.patch.object(torch.autograd, "grad", grad):
            yield


def main() -> None:
    """Measure on a folder of images, or on the digits."""
    keep_freed_memory()  # as the command line does
    data = sys.argv[1] if len(sys.argv) > 1 else "digits"
    settings = search_settings({"data": data, "threads": 1, **SIZE, **ALPHA})
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", dump(settings), "search")
        search(settings, run, rehearsal=Overhead())  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
