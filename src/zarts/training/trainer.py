"""The loop of a job: epochs and steps that can be stopped, saved and resumed at every step."""

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
from zarts.runtime.signals import StopEarly, StopRequest, stop_request
from zarts.training.metrics import Meter

__all__ = ["Callback", "Driver", "Job", "Trainer", "no_callback"]

Callback = Callable[[Mapping[str, Any]], None]
"""Function called with every event: the logged events, `step` and `epoch` after each of them, and `note`.

It may raise `StopEarly`: the run then ends after this epoch."""


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
        self._epochs, self._steps, self._device, self._callback = epochs, steps, device, callback
        self._epoch = self._step = 0
        self._stop_early: str | None = None
