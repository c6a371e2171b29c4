"""Epochs and steps that can be stopped, saved and resumed at every step."""

from __future__ import annotations

import io
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zarts.data import Batches
from zarts.errors import Interrupted, RankError, RunError
from zarts.runs import Run
from zarts.runs.checkpoint import load_checkpoint
from zarts.runtime.distributed import Ranks
from zarts.runtime.measure import Fit
from zarts.runtime.signals import StopRequest, stop_request
from zarts.training.metrics import Meter

__all__ = ["Callback", "Driver", "Job", "Trainer"]

Callback = Callable[[Mapping[str, Any]], None]
"""Hears every event; beside the logged ones also `step`, after each weight step, and `note`."""


class Occurrences(NamedTuple):
    """Where the steps of one kind are.

    Args:
        number: how many there are.
        first: epoch and step of the first.
        last: of the first in the last epoch that has some; an epoch's last step may have a smaller batch.
    """

    number: int
    first: tuple[int, int]
    last: tuple[int, int]


class Job(ABC):
    """What a loop repeats. Epochs and steps count from 0 here, epochs of logged events from 1."""

    trainer: Trainer
    train: Batches
    """What the weights are trained on; one a step."""
    passes: Callable[..., Any]
    """Runs the network on a batch, as `zarts.runtime.precision.Passes` does."""
    device: torch.device
    fit: Fit | None = None
    """Whether its steps fit into memory, where that is known."""
    ended = False
    """Whether no further epoch is wanted; set at the end of one."""

    @abstractmethod
    def step_kind(self, epoch: int, step: int) -> str:
        """What the step does, in words; steps of the same words cost the same."""

    def occurrences(self) -> dict[str, Occurrences]:
        """The kinds of steps that there are, by `step_kind`, and where they are."""
        found: dict[str, Occurrences] = {}
        for place in self.trainer.places:
            name = self.step_kind(*place)
            number, first, last = found.get(name, (0, place, place))
            found[name] = Occurrences(number + 1, first, place if last[0] < place[0] else last)
        return found

    def epoch_end_kind(self, epoch: int) -> str:
        """What `end_epoch` does, in words, likewise."""
        return "end of an epoch"

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Set what depends on the epoch alone; called again when an epoch is resumed in its middle."""

    @abstractmethod
    def step(self, epoch: int, step: int) -> tuple[Tensor, Tensor, int]:
        """One weight step: mean loss, number of right answers, number of images."""

    @abstractmethod
    def end_epoch(self, epoch: int, meter: Meter) -> None:
        """Log what came of the epoch."""

    @abstractmethod
    def finish(self) -> None:
        """What is done once, after the last epoch; it leaves the state as it is."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Everything that later steps depend on."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""


Driver = Callable[[Job], None]
"""Does the steps of a job: its loop, or what stands in the place of it."""


class Trainer:
    """The place in a run, and the way on from it.

    Args:
        run: the run folder.
        command: the command that the run belongs to.
        identity: the settings, and whatever else ties a checkpoint to this run.
        epochs: how many.
        steps: weight steps an epoch.
        device: where losses live.
        callback: hears every event.
        ranks: the processes that repeat the same job together; alone by default.
    """

    def __init__(
        self,
        run: Run,
        command: str,
        identity: Mapping[str, Any],
        *,
        epochs: int,
        steps: int,
        device: torch.device,
        callback: Callback,
        ranks: Ranks | None = None,
    ) -> None:
        self._ranks = ranks or Ranks()
        self._run, self._command, self._identity = run, command, identity
        self._epochs, self._steps, self._device, self._callback = epochs, steps, device, callback
        self._epoch = self._step = 0
        self._meter, self._muted = Meter(device), False
        self.stop = StopRequest()
        self.seconds = 0.0
        """Wall time of the epochs that are done, and of what came after the last one."""

    @property
    def places(self) -> Iterator[tuple[int, int]]:
        """Epoch and step of every step from the first to the last."""
        return product(range(self._epochs), range(self._steps))

    def move_to(self, epoch: int, step: int) -> None:
        """Go on from there, whatever was done."""
        self._epoch, self._step = epoch, step

    def run(self, job: Job, *, resume: bool) -> None:
        """Do all epochs that are left, saving after each and when asked to stop, and what comes after them.

        Raises:
            Interrupted: Ctrl-C or SIGTERM, on any rank; the state is saved.
            RankError: another rank is gone; the last checkpoint is intact.
            RunError: the checkpoint to go on from cannot be used here, or one cannot be written, or another process
                is at work on the run.
        """
        resume_hint = self._run.resume_hint(self._command)
        with self._run.lock(), stop_request(with_parent=self._ranks.count > 1) as self.stop:
            if self._ranks.lead and resume and self._run.started:
                self._restore(job)
            if self._ranks.lead and self._epoch == 0 and self._step == 0:
                self._save(job)
            self._follow(job)
            try:
                while self._epoch < self._epochs and not job.ended:
                    self._do_epoch(job)
                start = time.perf_counter()
                job.finish()
                self.seconds += time.perf_counter() - start
            except Interrupted as error:
                self._save(job)
                raise Interrupted(f"{error}{resume_hint}") from None
            except RankError as error:
                raise RankError(f"{error}{resume_hint}") from error

    def log(self, event: Mapping[str, Any]) -> None:
        """Write an event into the run folder, and tell the callback."""
        if not self._muted:
            self._run.log(event)
            self._callback(event)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Inside, events are lost."""
        self._muted = True
        try:
            yield
        finally:
            self._muted = False

    def _do_epoch(self, job: Job) -> None:
        """The rest of an epoch, from the present step on."""
        job.begin_epoch(self._epoch)
        while self._step < self._steps:
            with self._ranks.together():
                self.stop.check()
            self.do_step(job)
        self.end_epoch(job)

    def do_step(self, job: Job) -> None:
        """The present step."""
        start = time.perf_counter()
        loss, correct, images = job.step(self._epoch, self._step)
        self._meter.add(loss, correct, images, time.perf_counter() - start)
        self._step += 1
        place = {"epoch": self._epoch + 1, "epochs": self._epochs, "step": self._step, "steps": self._steps}
        self._callback({"event": "step", **place, **self._meter.means()})

    def end_epoch(self, job: Job) -> None:
        """What comes after the last step of an epoch; the state is saved."""
        job.end_epoch(self._epoch, self._meter)
        self.seconds += self._meter.seconds
        self._epoch, self._step, self._meter = self._epoch + 1, 0, Meter(self._device)
        self._save(job)

    def _save(self, job: Job) -> None:
        place = {"epoch": self._epoch, "step": self._step, "seconds": self.seconds, "meter": self._meter.state_dict()}
        self._run.save({"device": self._device.type, **place, "job": job.state_dict()}, self._identity)

    def _follow(self, job: Job) -> None:
        """All ranks go on from rank 0's checkpoint, which need not be within reach of their machines."""
        if self._ranks.count > 1:
            content = self._ranks.broadcast(self._run.checkpoint() if self._ranks.lead else b"")
            if not self._ranks.lead:
                self._load(load_checkpoint(io.BytesIO(content), self._device), job)

    def look(self, job: Job) -> tuple[int, int]:
        """Load the last checkpoint, and leave the run as it is; the epoch and the step that come next.

        Raises:
            RunError: there is no checkpoint, or it cannot be used here.
        """
        self._checked(self._run.saved(self._identity, self._device), job)
        return self._epoch, self._step

    def _restore(self, job: Job) -> None:
        self._checked(self._run.restore(self._identity, self._device), job)

    def _checked(self, state: Mapping[str, Any], job: Job) -> None:
        if state["device"] != self._device.type:
            raise RunError(
                f"{self._run.path}: was begun on device {state['device']!r}, whose random numbers "
                f"{self._device.type!r} does not have: go on there, or start a new run"
            )
        for name, (then, now) in self._run.changes(self._device).items():
            self._callback({"event": "note", "text": f"{name} is {now}, was {then}: the last bits may differ"})
        self._load(state, job)

    def _load(self, state: Mapping[str, Any], job: Job) -> None:
        self._epoch, self._step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self._meter.load_state_dict(state["meter"])
        job.load_state_dict(state["job"])
