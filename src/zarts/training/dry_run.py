"""Dry runs: the time and memory of a command, predicted from a few of its steps and passes.

A job names the kinds of its steps (`Job.step_kind`), and all its passes go through `Job.passes`. So a dry run depends
on no method, no network and no formula. It takes each kind of step at its first and at its last occurrence, with all
its bookkeeping. It runs as many passes as the measurement needs, and only counts the others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from statistics import mean

import torch

from zarts.limits import count_parameters
from zarts.runtime.distributed import Ranks
from zarts.runtime.measure import Fit, peak_bytes
from zarts.training.stub_forward import Pass, StubForward
from zarts.training.trainer import Job

__all__ = ["DryRun", "Forecast", "ForecastPart"]

_SECONDS = 2.0
"""A kind of step is repeated for so long at each of its two occurrences."""

_START = "start, images, network"
_FINISH, _END = "selection of the genotype", "results, pictures, report"


@dataclass(frozen=True)
class ForecastPart:
    """A part of a command.

    Args:
        name: what the part does.
        count: number of its occurrences.
        seconds: time of all occurrences together.
    """

    name: str
    count: int
    seconds: float


@dataclass(frozen=True)
class Forecast:
    """Predicted time and memory of a whole command.

    Args:
        parts: its parts, in order.
        peak_bytes: peak memory of the process, or on CUDA of torch on the device; of all ranks together.
        parameters: of the trained network, without an auxiliary head; 0 if no network is trained.
        macs: MACs of its convolutions and matrix products, for one image.
        fit: whether the steps fit into memory; None: not measured, or not known.
    """

    parts: list[ForecastPart]
    peak_bytes: int
    parameters: int
    macs: int
    fit: Fit | None = None

    @property
    def seconds(self) -> float:
        """Time of the whole command."""
        return sum(part.seconds for part in self.parts)

    def within(self, seconds: float, repeated: str) -> Forecast:
        """The forecast with as many occurrences of a part as fit into a time, and at least one."""
        part = next(part for part in self.parts if part.name == repeated)
        each, rest = part.seconds / part.count, self.seconds - part.seconds
        count = max(1, int((seconds - rest) / each))
        filled = [ForecastPart(repeated, count, count * each) if other is part else other for other in self.parts]
        return replace(self, parts=filled)


@dataclass(frozen=True)
class _Take:
    """One measured occurrence of a part: the time before its first pass, and its passes."""

    head: float
    passes: list[Pass]


class DryRun:
    """Runs in place of a job's loop. Make it before the job, and call `forecast` after all files are written.

    Args:
        before_seconds: time since the command began, which it will take again.
        ranks: the processes of the dry run; by default one.
    """

    def __init__(self, before_seconds: float = 0.0, ranks: Ranks | None = None) -> None:
        self._ranks = ranks or Ranks()
        self._mark = time.perf_counter() - before_seconds
        self._counts = {_START: 1}
        self._takes: dict[str, list[_Take]] = {}
        self._batch: dict[str, float] = {}
        self._device = torch.device("cpu")
        self._fit: Fit | None = None
        self._stub_forward = StubForward(lambda network, *inputs: network(*inputs))

    def run(self, job: Job) -> None:
        """Run a few of the job's steps and ends of epochs; the job cannot be used afterwards."""
        self._device, self._fit = job.device, job.fit
        if job.fit is not None:  # the command itself may not measure the memory
            self._mark += job.fit.seconds
        self._end_take(_START)
        job.trainer.doing("measuring steps")
        job.passes = self._stub_forward = StubForward(job.passes)
        kinds = job.occurrences()
        counts = {name: found.number for name, found in kinds.items()}
        visits = sorted(
            (*position, name) for name, found in kinds.items() for position in (found.first, found.last)[: found.number]
        )
        self._batch = dict.fromkeys(counts, job.train.mean_size)
        for epoch, group in groupby(visits, key=lambda visit: visit[0]):
            job.begin_epoch(epoch)
            for _, step, name in group:
                self._visit(job, epoch, step, name, counts[name])
            with self._take(job.epoch_end_kind(epoch)):
                job.end_epoch(epoch, job.trainer.meter)
                job.trainer.close_epoch(job)
        self._counts |= {
            **counts,
            **Counter(map(job.epoch_end_kind, {epoch: None for epoch, _ in job.trainer.all_steps})),
        }
        self._begin_take()
        self._stub_forward.network_is_final = True
        job.finish()
        if self._stub_forward.taken:
            self._counts[_FINISH] = 1
            self._end_take(_FINISH)
        self._begin_take()

    def forecast(self) -> Forecast:
        """The predicted time and memory of the whole command."""
        self._end_take(_END)
        self._counts[_END] = 1
        rates = self._rates()
        network = self._stub_forward.network
        return Forecast(
            [
                ForecastPart(name, self._counts[name], self._total(name, rates))
                for name in self._counts
                if name in self._takes
            ],
            int(self._ranks.all_reduce(torch.tensor(peak_bytes(self._device), dtype=torch.float64))),
            0 if network is None else count_parameters(network),
            self._stub_forward.macs(),
            self._fit,
        )

    def _visit(self, job: Job, epoch: int, step: int, name: str, count: int) -> None:
        """Take one step of the job, and repeat it while that is quick."""
        end = time.perf_counter() + _SECONDS
        while True:
            job.trainer.move_to(epoch, step)
            with self._take(name):
                job.trainer.count(*job.step(epoch, step))
            if self._ranks.broadcast(time.perf_counter() > end or len(self._takes[name]) >= count):
                return

    @contextmanager
    def _take(self, name: str) -> Iterator[None]:
        self._begin_take()
        yield
        self._end_take(name)

    def _begin_take(self) -> None:
        self._mark = time.perf_counter()
        self._stub_forward.taken = []

    def _end_take(self, name: str) -> None:
        passes = self._stub_forward.taken
        self._stub_forward.close(self._device)
        head = (passes[0].start if passes else time.perf_counter()) - self._mark
        self._takes.setdefault(name, []).append(_Take(head, passes))

    def _rates(self) -> dict[Hashable, float]:
        """Seconds for one image, by kind of pass; first takes, which warm up, count only if there are no others."""
        rates: dict[Hashable, float] = {}
        for warm in (False, True):
            run: dict[Hashable, list[Pass]] = {}
            for takes in self._takes.values():
                for take in takes[1:] if warm else takes:
                    for p in take.passes:
                        if p.run:
                            run.setdefault(p.kind, []).append(p)
            rates |= {kind: sum(p.seconds for p in ps) / sum(p.images for p in ps) for kind, ps in run.items()}
        return rates

    def _total(self, name: str, rates: dict[Hashable, float]) -> float:
        """Seconds of all occurrences of a part: of the first, with its warm-up, and of the others."""
        first, *others = [self._seconds(take, rates, self._batch.get(name)) for take in self._takes[name]]
        return first + (self._counts[name] - 1) * mean(others or [first])

    @staticmethod
    def _seconds(take: _Take, rates: dict[Hashable, float], batch: float | None) -> float:
        """Seconds of a take with all its passes; each counts as `batch` images, the mean over an epoch, if given."""
        return take.head + sum(
            (p.seconds / p.images if p.run else rates[p.kind]) * (batch or p.images) for p in take.passes
        )
