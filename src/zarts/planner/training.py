"""The training of a candidate for a number of seconds, which a longer training may continue."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.config import RetrainSettings
from zarts.errors import DivergedError, Interrupted
from zarts.planner.clock import Clock
from zarts.planner.pictures import Sized
from zarts.planner.records import Candidate, Schedule, training_key
from zarts.planner.torch_baselines import TorchBaseline
from zarts.runs.checkpoint import load_checkpoint, save_checkpoint
from zarts.runtime.device import choose_device
from zarts.runtime.distributed import Ranks
from zarts.runtime.precision import Passes
from zarts.training.evaluate import test_batches
from zarts.training.model_file import ModelCard, save_model
from zarts.training.network_training import NetworkTraining
from zarts.training.setup import draws

__all__ = ["Task", "Trained", "card_of", "logits_on", "train_candidate"]

_TIMED = 3
"""Steps that tell, before the first one, how long a step takes; one more prepares them."""
_CORRECTED = 0.02
"""Share of the steps after which the number of steps is corrected."""
_LEAST = 10
"""Steps of a training, however short its time."""


@dataclass(frozen=True)
class Task:
    """A training that is to be done.

    Args:
        candidate: the network.
        length: the name of its length.
        seed: of weights and batches.
        seconds: of the whole training, of which earlier ones of the same seed may have done a part, see `Clock`.
        pace: seconds of the reference of `Clock` at which the fit began; None: not known.
        warmup: seconds in which the learning rate rises; the same for trainings that are continued.
        recipe: of the training, on a path that is chosen.
        repeats: the schedule of another fit; None: as many steps are taken as fit into the seconds.
        deadline: by `time.monotonic()`: the training has ended by then, however few steps it has taken; None: none.
        continues: the state of a shorter training, from which this one goes on; None: from new weights.
        keeps: where the state before the fall is kept, for a longer training; None: nowhere.
        model: the file of the trained network.
        baseline: the network of the user that the candidate stands for; None: it is its own chain.
    """

    candidate: Candidate
    length: str
    seed: int
    seconds: float
    pace: float | None
    warmup: float
    recipe: RetrainSettings
    repeats: Schedule | None
    deadline: float | None
    continues: Path | None
    keeps: Path | None
    model: Path
    baseline: TorchBaseline | None = None

    @property
    def key(self) -> str:
        """As `Score.key`."""
        return training_key(self.candidate.number, self.length, self.seed)


@dataclass(frozen=True)
class Trained:
    """What came of a training; see `Score` for the other numbers.

    Args:
        own_seconds: without those of the training that this one continues.
        image_seconds: that pass while a validation image is answered.
        logits: (n, classes) of the validation images.
        pace: seconds of the reference of `Clock`, the mean over the training; None: this is no CPU.
    """

    schedule: Schedule
    seconds: float
    own_seconds: float
    step_seconds: float
    image_seconds: float
    logits: Float[Tensor, "n classes"]
    pace: float | None = None


def card_of(one: Candidate, images: Sized, settings: RetrainSettings) -> ModelCard:
    """The card of a candidate's network."""
    data, crop = images.data, settings.crop
    return ModelCard(one.chain, 0, 0, "", data.classes, one.image_size, data.mean, data.std, crop, data.bits)


def train_candidate(task: Task, images: Sized, stops: Callable[[], bool]) -> Trained:
    """Train a network, write its file, and answer the validation images.

    The learning rate rises, is constant, and falls over the last `cooldown_share` of the seconds. The state before the
    fall is kept, so that a longer training goes on from there at the full rate.

    Args:
        task: what is trained.
        images: at the size of the candidate.
        stops: asked before each step whether to stop.

    Raises:
        Interrupted: `stops` said so.
        DivergedError: the loss is not finite.
    """
    own = task.baseline
    if own is not None:
        with own.training(task.seed, choose_device(task.recipe.device)):
            return _trained(task, images, stops)
    return _trained(task, images, stops)


def _trained(task: Task, images: Sized, stops: Callable[[], bool]) -> Trained:
    device = choose_device(task.recipe.device)
    settings = task.recipe.model_copy(update={"seed": task.seed})
    own = task.baseline
    card = card_of(task.candidate, images, settings) if own is None else own.card(images)
    core = NetworkTraining(settings, card, images.data, images.train, Ranks(), device)
    passes = Passes(settings, device, draws=own is not None or draws(task.candidate.chain, settings))
    steps = _Steps(task, core, passes, settings, device)
    steps.run(stops)
    if own is None:
        save_model(task.model, core.tested, card)
    else:
        save_checkpoint(task.model, {"network": core.tested.state_dict()})
    begun = time.perf_counter()
    logits = logits_on(core.tested, card, images.val, device, passes)
    each = (time.perf_counter() - begun) / len(logits)
    if not logits.isfinite().all():
        raise DivergedError(f"{task.candidate.name}: its answers are not finite")
    return Trained(steps.schedule, steps.seconds, steps.seconds - steps.before, steps.each, each, logits, steps.pace)


class _Steps:
    """The steps of a training: how many there are, where the rate falls, and what is kept on the way."""

    def __init__(
        self, task: Task, core: NetworkTraining, passes: Passes, settings: RetrainSettings, device: torch.device
    ) -> None:
        self._task, self._core, self._passes, self._settings = task, core, passes, settings
        self._device = device
        self._step = self._first = 0
        self._falls_at: int | None = None  # the first step in which the rate falls
        self.seconds = 0.0
        """Of the training, in the end."""
        core.network.train()
        self.before = 0.0
        """Seconds of the training that this one continues."""
        if task.continues is None:
            self.each = self._timed()
            self._warmup = max(1, round(task.warmup / self.each)) if task.repeats is None else task.repeats.warmup
        else:
            self._continue(load_checkpoint(task.continues, device))
        self._clock = Clock(device, self.before, task.deadline, task.pace)
        self._steps = self._planned()  # in all, as known so far
        self._corrections: dict[int, int] = {}

    def _timed(self) -> float:
        """Seconds of a step; the network, its norms and momenta are as before."""
        state = copy.deepcopy(self._core.state_dict())
        self._core.rate = 0.0
        for step in range(1 + _TIMED):
            if step == 1:
                clock = Clock(self._device, 0.0, None, self._task.pace)
            self._core.step(self._passes, 0, *self._core.batch(0, 0.0))
        seconds = clock.seconds() / _TIMED
        self._core.load_state_dict(state)
        return max(1e-6, seconds)

    def _continue(self, state: Mapping[str, Any]) -> None:
        self._core.load_state_dict(state["core"])
        self._step = self._first = state["step"]
        self._warmup, self.each, self.before = state["warmup"], state["each"], state["seconds"]

    def _planned(self) -> int:
        late = self._task.deadline is not None and time.monotonic() >= self._task.deadline
        return max(
            1 if late else _LEAST, self._step + 1, self._step + round(self._clock.left(self._task.seconds) / self.each)
        )

    def run(self, stops: Callable[[], bool]) -> None:
        """Take all steps, those at the full rate first."""
        while not self._falls():
            self._take(stops)
        self._falls_at = self._step
        if self._task.keeps is not None:
            own = {"step": self._step, "warmup": self._warmup, "each": self.each, "seconds": self._clock.seconds()}
            save_checkpoint(self._task.keeps, {"core": self._core.state_dict(), **own})
        corrected = self._step  # the next step before which the number of steps is corrected
        while self._step == self._falls_at or self._step < self._steps:
            if self._task.repeats is not None:
                self._steps = self._task.repeats.corrections.get(self._step, self._steps)
            elif self._step >= corrected:
                self._correct()
                corrected = self._step + max(1, round(_CORRECTED * self._steps))
            self._take(stops)
        self.seconds = self._clock.seconds()

    @property
    def pace(self) -> float | None:
        """See `Trained`."""
        return self._clock.pace

    @property
    def schedule(self) -> Schedule:
        """What another training needs to repeat this one."""
        assert self._falls_at is not None
        return Schedule(self._warmup, self._steps, self._falls_at, self._corrections)

    def _falls(self) -> bool:
        """Whether the rate falls from now on."""
        if self._task.repeats is not None:
            return self._step >= self._task.repeats.falls_at
        cooldown = self._settings.cooldown_share * self._task.seconds
        return self._step >= self._warmup and self._clock.left(self._task.seconds) <= max(cooldown, self.each)

    def _correct(self) -> None:
        taken = self._step - self._first
        if taken >= _LEAST:
            self.each = (self._clock.seconds() - self.before) / taken
        self._steps = self._corrections[self._step] = self._planned()

    def _take(self, stops: Callable[[], bool]) -> None:
        if stops():
            raise Interrupted("interrupted")
        step, share = self._step, 1.0
        if self._falls_at is not None:
            share = (self._steps - step) / (self._steps - self._falls_at)
        self._core.rate = self._settings.learning_rate * min(1.0, (step + 1) / self._warmup, share)
        self._core.step(self._passes, step, *self._core.batch(step, step / self._steps))
        self._step += 1


@torch.no_grad()
def logits_on(
    network: Any, card: ModelCard, images: Any, device: torch.device, passes: Callable[..., Tensor] | None = None
) -> Float[Tensor, "n classes"]:
    """The logits of a network for images, on the CPU."""
    network.eval()
    batches = test_batches(images, card, device)
    found = [passes(network, batch).float().cpu() if passes else network(batch).float().cpu() for batch, _ in batches]
    return torch.cat(found)
