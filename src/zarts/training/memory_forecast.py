"""Memory forecast of the steps of a job, from the same steps with a few images of each batch.

The number of tensors in a pass depends on the network, and their size is proportional to the images. So the peaks at
two shares of the images give the peak for all images. A step does all its work, so the forecast depends on no method
and no network; only a few of its similar passes are run (see `StubForward`). Afterwards the job is as before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch

from zarts.errors import DivergedError
from zarts.networks import ActivationCheckpointing
from zarts.runtime.measure import Allocations
from zarts.training.stub_forward import StubForward, module_of
from zarts.training.trainer import Job

__all__ = ["Line", "needs", "undisturbed"]

_FEW, _MORE, _MOST = 2, 4, 8
"""Images of the smallest pass in the first and in the second run, and at most of the largest pass in the first one."""
_SPREAD, _HOLES = 1.15, 2.2
"""Bytes that an allocator takes for each byte of a tensor: torch's, and the C library's if tensors of a cell come and
go while others stay, as with checkpointed cells on the CPU. Measured: docs/memory.md."""
_ONCE = 50 << 20
"""Bytes that torch's libraries take when they first run; measured likewise."""


@dataclass(frozen=True)
class Line:
    """Peak bytes of a step as a linear function of the share of the images of its batches.

    Args:
        fixed: bytes that do not depend on the images.
        moving: additional bytes for all images.
    """

    fixed: float
    moving: float

    @property
    def whole(self) -> float:
        """Bytes for all images."""
        return self.fixed + self.moving

    def share_within(self, free: float) -> float:
        """The share of the images, which may exceed 1, for which `free` bytes are enough; negative for none."""
        return (free - self.fixed) / self.moving if self.moving > 0 else float("inf" if free >= self.fixed else "-inf")


def needs(job: Job, batch_size: int, *, checkpointing: bool) -> list[Line]:
    """Bytes that each kind of step of a job needs beyond those used now.

    Args:
        job: a job before its first step.
        batch_size: of its weight steps.
        checkpointing: whether the cells of its networks are checkpointed; overrides the job's setting.
    """
    share = _FEW / batch_size
    few, peaks = _peaks(job, share, checkpointing)
    exact = min(1.0, max(_FEW / few.fewest, share), max(share, _MOST / few.most))
    if exact > share:  # some passes are on parts of a batch
        share = exact
        few, peaks = _peaks(job, share, checkpointing)
    if share == 1:
        return [_line(1.0, peak, 1.0, peak) for peak in peaks.values()]
    larger = min(1.0, share * _MORE / _FEW)
    _, others = _peaks(job, larger, checkpointing)
    return [_line(share, peaks[name], larger, others[name]) for name in peaks if name in others]


def _line(share: float, peak: int, larger: float, other: int) -> Line:
    moving = (other - peak) / (larger - share) if larger > share else 0.0
    return Line(peak - share * moving + _ONCE, moving)


class _Few:
    """Runs passes on a share of their images, and repeats the outputs for the other images."""

    def __init__(self, passes: Callable[..., Any], share: float, checkpointing: bool) -> None:
        self._passes, self._share, self._checkpointing = passes, share, checkpointing
        self._changed: list[tuple[ActivationCheckpointing, bool]] = []
        self.fewest, self.most = 1 << 62, 0
        """Images of the smallest and of the largest pass."""

    def __call__(self, network: Callable[..., Any], *inputs: Any) -> Any:
        """Run a pass like `zarts.runtime.precision.Passes`, on a share of the images."""
        images, *rest = inputs
        count = len(images)
        self.fewest, self.most = min(self.fewest, count), max(self.most, count)
        for part in module_of(network).modules():
            found = getattr(part, "checkpointing", None)
            if isinstance(found, ActivationCheckpointing) and found.on != self._checkpointing:
                self._changed.append((found, found.on))
                found.on = self._checkpointing
        few = min(count, max(_FEW, round(count * self._share)))
        output = self._passes(network, images[:few], *rest)
        rows = torch.arange(count, device=images.device) % few
        return tuple(part[rows] for part in output) if isinstance(output, tuple) else output[rows]

    def close(self) -> None:
        """Restore the checkpointing of all cells."""
        for found, before in self._changed:
            found.on = before


def _peaks(job: Job, share: float, checkpointing: bool) -> tuple[_Few, dict[str, int]]:
    """Peak bytes of a step of each kind, in the last epoch with one, when no more operations will be dropped."""
    visits = sorted((*found.last, name) for name, found in job.occurrences().items())
    passes, peaks = job.passes, dict[str, int]()
    few = _Few(passes, share, checkpointing)
    overhead = _HOLES if checkpointing and job.device.type == "cpu" else _SPREAD
    job.passes = stub_forward = StubForward(few, seconds=0.0)
    try:
        with undisturbed(job):
            for epoch, group in groupby(visits, key=lambda visit: visit[0]):
                job.begin_epoch(epoch)
                for _, step, name in group:
                    stub_forward.taken = []
                    with Allocations(overhead) as counted:
                        job.step(epoch, step)
                    peaks[name] = counted.peak
    except DivergedError:  # on two images a step may diverge; the run itself reports it if its steps do
        pass
    finally:
        job.passes = passes
        few.close()
    return few, peaks


@contextmanager
def undisturbed(job: Job) -> Iterator[None]:
    """Inside, steps may be taken; afterwards the job, its log and torch's random numbers are as before."""
    state = copy.deepcopy(job.state_dict())
    devices = [job.device] if job.device.type == "cuda" else []
    with torch.random.fork_rng(devices), job.trainer.muted():
        try:
            yield
        finally:
            job.load_state_dict(state)
