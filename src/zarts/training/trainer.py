"""The loop of a job: epochs and steps that can be stopped, saved and resumed at every step."""

from __future__ import annotations

import io
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zarts.data import Batches
from zarts.errors import Interrupted, RankError, RunError
from zarts.runs import Run
from zarts.runs.checkpoint import load_checkpoint
from zarts.runtime.distributed import Ranks
from zarts.runtime.measure import Fit
from zarts.runtime.signals import StopEarly, StopRequest, stop_request
from zarts.training.metrics import Meter, WaitNote

__all__ = ["Callback", "Driver", "Job", "Trainer", "no_callback"]

Callback = Callable[[Mapping[str, Any]], None]
"""Function called with every event: the logged events, `step` and `epoch` after each of them, `note` and `doing`.
If it raises `StopEarly`, the run ends after this epoch."""


def no_callback(event: Mapping[str, Any]) -> None:
    """Do nothing with an event."""


class Occurrences(NamedTuple):
    """The steps of one kind.

    Args:
        number: number of such steps.
        first: epoch and step of the first one.
        last: epoch and step of the first one in the last epoch with such steps, because the last step of an epoch may
            have a smaller batch.
    """

    number: int
    first: tuple[int, int]
    last: tuple[int, int]


class Job(ABC):
    """A search or a training, as a sequence of epochs and steps.

    Both count from 0 here, epochs of logged events from 1. `run` does all of them in the loop of the job's `trainer`.
    What measures a job (dry runs, the memory check) calls the parts of `run` by itself.
    """

    trainer: Trainer
    train: Batches
    """Batches on which the weights are trained, one in each step."""
    passes: Callable[..., Any]
    """Runs a network on a batch, like `zarts.runtime.precision.Passes`."""
    device: torch.device
    fit: Fit | None = None
    """Whether its steps fit into memory; None: not known."""

    @abstractmethod
    def step_kind(self, epoch: int, step: int) -> str:
        """The kind of the step, in words; steps of one kind cost the same."""

    def occurrences(self) -> dict[str, Occurrences]:
        """All kinds of steps, by `step_kind`, with their number and positions."""
        found: dict[str, Occurrences] = {}
        for position in self.trainer.all_steps:
            name = self.step_kind(*position)
            number, first, last = found.get(name, (0, position, position))
            found[name] = Occurrences(number + 1, first, position if last[0] < position[0] else last)
        return found

    def epoch_end_kind(self, epoch: int) -> str:
        """The kind of the epoch's end, in words; ends of one kind cost the same."""
        return "end of an epoch"

    @abstractmethod
    def begin_epoch(self, epoch: int) -> None:
        """Set all that depends only on the epoch; called again when an epoch is resumed in its middle."""

    @abstractmethod
    def step(self, epoch: int, step: int) -> tuple[Tensor, Tensor, int]:
        """Take one weight step; its mean loss, number of right answers and number of images."""

    @abstractmethod
    def end_epoch(self, epoch: int, meter: Meter) -> None:
        """Log the results of the epoch."""

    @abstractmethod
    def finish(self) -> None:
        """Do the work after the last epoch; it does not change the state."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """All state that later steps depend on."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""


Driver = Callable[[Job], None]
"""Takes some steps of a job in the place of its `run`, to measure them: `DryRun.run`."""


class Trainer:
    """The loop of a search or a training: its position, its log, and its checkpoints.

    with trainer.running(job, resume=True):
        for epoch in trainer.epochs():
            ...
            for step in trainer.steps():
                trainer.count(loss, correct, images)

    Ctrl-C and SIGTERM end the loop before a step, with the state saved; a resumed loop goes on with that step.

    Args:
        run: the run folder.
        command: the command that the run belongs to.
        identity: the settings and all else that ties a checkpoint to this run.
        epochs: number of epochs.
        steps: weight steps in each epoch.
        device: where losses are.
        callback: called with every event.
        ranks: the processes that run the same job together; by default one.
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
        self._steps, self._device, self._callback = steps, device, callback
        self.end_after(epochs * steps)
        self._epoch = self.step = 0
        """How many steps of the present epoch are done."""
        self._step_start = self._last_epoch_end = time.perf_counter()
        self.is_muted = False
        self.meter = Meter(device)  # means over the steps of the present epoch
        self._wait_note = WaitNote()
        self.ended = False
        """Whether no epoch follows the present one; a job sets it to end before its last epoch."""
        self._stop_early: str | None = None
        self.stop = StopRequest()
        self.seconds = 0.0  # of the finished epochs, and of the work after the last one

    def end_after(self, steps: int) -> None:
        """End after so many steps, counted from the first; the last epoch may be cut off."""
        self._all, self.epochs_in_all = steps, -(-steps // self._steps)

    @property
    def all_steps(self) -> Iterator[tuple[int, int]]:
        """Epoch and step of every step from the first to the last."""
        return (divmod(step, self._steps) for step in range(self._all))

    @property
    def epochs_done(self) -> int:
        """Number of finished epochs."""
        return self._epoch

    def move_to(self, epoch: int, step: int) -> None:
        """Continue from this step, which begins now."""
        self._epoch, self.step, self._step_start = epoch, step, time.perf_counter()

    def check_stop(self) -> None:
        """Raise if a stop was requested.

        Raises:
            Interrupted: see `StopRequest.check`.
        """
        self.stop.check()

    @contextmanager
    def running(self, job: Job, *, resume: bool) -> Iterator[None]:
        """Inside, the run folder is locked for this process, and an interruption saves the state of the job first.

        Args:
            job: the job, whose state is restored, saved at the start, after each epoch and before an interruption.
            resume: continue from the run's checkpoint if there is one.

        Raises:
            Interrupted: Ctrl-C or SIGTERM, on any rank; the state is saved.
            RankError: another rank is gone; the last checkpoint is intact.
            RunError: a checkpoint cannot be used here or written, or another process is at work on the run.
        """
        with self._run.lock(), stop_request(with_parent=self._ranks.count > 1) as self.stop:
            if note := self._run.lock_note:
                self._tell({"event": "note", "text": note})
            if self._ranks.lead and resume and self._run.started:
                self._checked(self._run.restore(self._identity, self._device), job)
            if self._ranks.lead and self._epoch == 0 and self.step == 0:
                self.save(job)
            if self._ranks.count > 1:
                self._follow(job)
            self._job = job
            self.doing("training" if self._command == "retrain" else "searching")
            try:
                yield
                self.seconds += time.perf_counter() - self._last_epoch_end
            except Interrupted as error:
                self.save(job)
                raise Interrupted(f"{error}{self._run.resume_hint(self._command)}") from None
            except RankError as error:
                raise RankError(f"{error}{self._run.resume_hint(self._command)}") from error

    def epochs(self) -> Iterator[int]:
        """The remaining epochs; the state is saved at the end of each."""
        while self._epoch < self.epochs_in_all and not self.ended:
            yield self._epoch
            if text := self._wait_note.text(self.meter, prefetched=self._job.train.prefetched):
                self._tell({"event": "note", "text": text})
            self.close_epoch(self._job)
        self._last_epoch_end = time.perf_counter()

    def steps(self) -> Iterator[int]:
        """The remaining steps of the present epoch; a requested stop is raised before a step, on all ranks alike."""
        while self.step < self._steps and self._epoch * self._steps + self.step < self._all:
            with self._ranks.together():
                self.stop.check()
            self._step_start = time.perf_counter()
            yield self.step

    def count(self, loss: Tensor, correct: Tensor, images: int) -> None:
        """Count a step that has been done: the mean loss, the right answers and the images of its batch."""
        self.meter.add(loss, correct, images, time.perf_counter() - self._step_start)
        self.step += 1
        position = {"epoch": self._epoch + 1, "epochs": self.epochs_in_all, "step": self.step, "steps": self._steps}
        self._tell({"event": "step", **position, **self.meter.means()})

    def close_epoch(self, job: Job) -> None:
        """Go on to the first step of the next epoch, and save the state; or end, if rank 0's callback asked for it."""
        self.seconds += self.meter.seconds
        self._tell({"event": "epoch", "epoch": self._epoch + 1, "epochs": self.epochs_in_all})
        self._stop_early = self._ranks.broadcast(self._stop_early)
        if self._stop_early is not None and not self.ended and self._epoch + 1 < self.epochs_in_all:
            self.ended = True
            self.log({"event": "stopped", "epoch": self._epoch + 1, "text": self._stop_early})
        self._epoch, self.step, self.meter = self._epoch + 1, 0, Meter(self._device)
        self.save(job)

    def log(self, event: Mapping[str, Any]) -> None:
        """Write an event into the run folder, and call the callback with it."""
        if not self.is_muted:
            self._run.log(event)
            self._tell(event)

    def doing(self, phase: str) -> None:
        """Tell which phase of the work begins."""
        self._tell({"event": "doing", "text": phase})

    def _tell(self, event: Mapping[str, Any]) -> None:  # the callback may ask to stop after this epoch
        try:
            self._callback(event)
        except StopEarly as stop:
            self._stop_early = str(stop)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Inside, events are neither written nor passed to the callback."""
        self.is_muted = True
        try:
            yield
        finally:
            self.is_muted = False

    def save(self, job: Job) -> None:
        """Save the state of the job."""
        own = {"epoch": self._epoch, "step": self.step, "seconds": self.seconds, "meter": self.meter.state_dict()}
        own |= {"stop_early": self._stop_early, "waited": self._wait_note.waited}
        self._run.save({"device": self._device.type, **own, "job": job.state_dict()}, self._identity)

    def _follow(self, job: Job) -> None:
        """Let all ranks continue from rank 0's checkpoint, which other machines need not be able to read."""
        content = self._ranks.broadcast(self._run.checkpoint() if self._ranks.lead else b"")
        if not self._ranks.lead:
            self._load(load_checkpoint(io.BytesIO(content), self._device), job)

    def load_last(self, job: Job) -> tuple[int, int]:
        """Load the last checkpoint without changing the run; the epoch and the step that come next.

        Raises:
            RunError: there is no checkpoint, or it cannot be used here.
        """
        self._checked(self._run.saved(self._identity, self._device), job)
        return self._epoch, self.step

    def _checked(self, state: Mapping[str, Any], job: Job) -> None:
        if state["device"] != self._device.type:
            raise RunError(
                f"{self._run.path}: began on device {state['device']!r}, whose random numbers differ from those of "
                f"{self._device.type!r}: resume it there, or start a new run"
            )
        for name, (then, now) in self._run.changes(self._device).items():
            self._callback({"event": "note", "text": f"{name} is {now}, was {then}: the last bits may differ"})
        self._load(state, job)

    def _load(self, state: Mapping[str, Any], job: Job) -> None:
        self._epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
        self.meter.load_state_dict(state["meter"])
        job.load_state_dict(state["job"])
        self._wait_note.waited = state.get("waited", 0.0)
        self._stop_early = state.get("stop_early")
        self.ended = self.ended or (self._stop_early is not None and self.step == 0)
