"""All networks of a fit: how they are made to keep the limits, how they are trained, and what they have scored."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from torch.nn.functional import cross_entropy

from zarts.bilevel import Objective
from zarts.config import RetrainSettings
from zarts.errors import DivergedError, Interrupted
from zarts.planner.budget import Budget
from zarts.planner.chain_words import difference, short_name
from zarts.planner.costs import Costing, TimeOver
from zarts.planner.paths import Paths
from zarts.planner.pictures import Pictures
from zarts.planner.promises import progress_of, promised, slope_of
from zarts.planner.records import FINAL, NO_VALUE, PLAN, Candidate, Origin, Plan, Schedule, Score, training_key
from zarts.planner.torch_baselines import TorchBaseline
from zarts.planner.training import Task, Trained
from zarts.planner.workers import Workers
from zarts.spaces import Chain
from zarts.training.trainer import Callback

__all__ = ["WORK", "Candidates"]

WORK = "work"
"""Folder of a fit with trained networks, and states that longer trainings go on from."""
_FASTEST = 0.5
"""The least seconds that are taken to pass for each second of a training, however fast the machine has become."""
_LEAST, _MOST = 0.9, 1.1
"""Of the seconds of a training that is compared: the least and the most that it may have taken."""


class Candidates:
    """The networks of a fit. What is decided and trained is kept in its plan, and read from there where it is known.

    Args:
        folder: of the fit.
        pictures: the images.
        costing: of networks, and the limits.
        plan: what was decided and trained before.
        budget: the time.
        workers: train the networks.
        objective: what networks are compared by; None: the loss.
        callback: called with a note about each training.
    """

    def __init__(
        self,
        folder: Path,
        pictures: Pictures,
        costing: Costing,
        plan: Plan,
        budget: Budget,
        workers: Workers,
        objective: Objective | None,
        callback: Callback,
    ) -> None:
        self._folder, self._pictures, self.costing, self._plan = folder, pictures, costing, plan
        self._budget, self._workers, self._objective, self._callback = budget, workers, objective, callback
        self.paths = Paths(pictures, plan, budget, workers, callback)
        self.all: list[Candidate] = []
        """In the order of their numbers."""
        self.scores: dict[tuple[int, str], list[Score]] = {}
        """By number of the network and length."""
        self.slowness = 1.0
        """Seconds that pass for each second of a training, of late: more than 1 where others use processors."""
        self._seen = 0.0, 0.0  # seconds that have passed, and of trainings; each group halves those before it
        self.pace: float | None = None
        """Seconds of the reference of `Clock` when the fit began; None: not known."""
        self.lengths: dict[str, float] = {}
        """Seconds of the lengths before the finals by name, shortest first."""
        self.final = math.inf
        """Seconds of a final training."""
        self.flat = math.inf
        """Steps from which a longer training promises nothing more."""
        self.recipes: dict[int, RetrainSettings] = {}
        """Of final trainings that have one of their own, by number."""
        self.torch_baselines: dict[int, TorchBaseline] = {}
        """Networks of the user that are trained beside the finalists, by number, which is negative."""
        self.shares: dict[int, float] = {}
        """Of the seconds of the finalists that the shortest training of these had, by number."""
        self.over = False
        """Whether the last network could not be scaled because measuring its latency had no time left."""

    # --- which there are ---

    def numbered(self, numbers: Sequence[int]) -> list[Candidate]:
        """The networks of these numbers."""
        known = {one.number: one for one in self.all}
        return [known[number] for number in numbers]

    def fitted(self, chain: Chain, size: int, share: float = 1.0) -> Chain | None:
        """A network at the largest width that the limits allow; None: there is no such width, or no time to find it.

        Args:
            chain: its layers at any width.
            size: of the images.
            share: of the limits that it may use.
        """

        def widest() -> dict[str, Any] | None:
            if self._workers.stops():
                raise Interrupted("interrupted")
            try:
                wide = self.costing.widest(chain, size, share, self.measuring)
            except TimeOver:
                self.over = True
                return None
            return None if wide is None else wide.to_dict()

        self.over = False
        key = hashlib.blake2b(chain.to_json().encode(), digest_size=6).hexdigest()
        decided = self._plan.decide(f"width {key} {size} {share:g}", widest)
        return None if decided is None else Chain.from_dict(decided, str(self._folder / PLAN))

    def measuring(self) -> None:
        """Asked before each measurement of a latency, which a program of the user may take many seconds for.

        Raises:
            Interrupted: the fit was asked to stop.
            TimeOver: networks were trained, and the time of the stage is over.
        """
        if self._workers.stops():
            raise Interrupted("interrupted")
        if self.scores and self._budget.left() <= 0:
            raise TimeOver

    def add(self, chain: Chain, size: int, origin: Origin, parent: int | None = None) -> Candidate:
        """A network that keeps the limits; one that is known already is not added again.

        Args:
            chain: its layers.
            size: of the images.
            origin: see `Candidate`.
            parent: number of the network that it was changed from.
        """
        known = next((one for one in self.all if (one.chain, one.image_size) == (chain, size)), None)
        if known is not None:
            return known
        costs, change = self.costing.of(chain, size), ""
        if parent is not None:
            other = self.all[parent - 1]
            change = "; ".join(difference((other.chain, other.image_size), (chain, size)))
        number, name = len(self.all) + 1, short_name(chain, size)
        self.all.append(Candidate(number, name, origin, chain, size, parent, change, costs.parameters, costs.macs))
        return self.all[-1]

    def at(self, length: str) -> list[Candidate]:
        """The networks that were trained to a length."""
        return [one for one in self.all if (one.number, length) in self.scores]

    def value(self, one: Candidate, length: str) -> float:
        """Mean objective of a network at a length over its seeds; smaller is better.

        Seeds that were cut short do not count; one that diverged leaves no value.
        """
        found = progress_of(self.scores[one.number, length])
        return NO_VALUE if found is None else found.value

    def best(self, of: Iterable[Candidate], length: str) -> Candidate:
        """The best of those that were trained to a length, of which there is at least one."""
        trained = [one for one in of if (one.number, length) in self.scores]
        return min(trained, key=lambda one: (self.value(one, length), one.number))

    def best_so_far(self) -> Candidate | None:
        """The best one at the longest length before the finals that one has; None: there is none."""
        for length in reversed(self.lengths):
            those = [one for one in self.at(length) if self.is_known(one, length)]
            if those:
                return self.best(those, length)
        return None

    def promises(self, length: str, finals: float = 1.0) -> dict[int, float]:
        """What the networks of a length would have after a final training, by number, see `promised`.

        Where fewer than two were trained to two lengths, it is what they have. Those that cannot be compared are not
        there.

        Args:
            length: its name.
            finals: as many times as long as a final training.
        """
        slope, times = slope_of(self.scores), finals * self.final / self.lengths[length]
        known = {one.number: progress_of(self.scores[one.number, length]) for one in self.at(length)}
        return {number: promised(one, slope, times, self.flat) for number, one in known.items() if one is not None}

    def promising(self, length: str, *origins: Origin) -> Candidate | None:
        """The one that promises most of those that were trained to a length; None: there is none.

        Args:
            length: its name.
            origins: only networks of these; none are given: of all.
        """
        promises = self.promises(length)
        those = [one for one in self.numbered(list(promises)) if not origins or one.origin in origins]
        return min(those, key=lambda one: (promises[one.number], one.number), default=None)

    def finalist(self, *origins: Origin) -> Candidate | None:
        """The one of these origins that promises most, at the longest length that one has; None: there is none."""
        return next((one for length in reversed(self.lengths) if (one := self.promising(length, *origins))), None)

    def is_known(self, one: Candidate, length: str) -> bool:
        """Whether a network has a value at a length: its training neither diverged nor was cut short."""
        return (one.number, length) in self.scores and self.value(one, length) < NO_VALUE

    # --- how they are trained ---

    def train(
        self, of: Sequence[Candidate], length: str, recipe: RetrainSettings, *seeds: int, seconds: float | None = None
    ) -> None:
        """Train networks to a length with one or more seeds; those that have been are read from the plan.

        Raises:
            Interrupted, RunError: see `Workers.train`.
        """
        wanted = [(one, seed) for seed in seeds for one in of]
        self.train_seeds(wanted, length, recipe, self.lengths[length] if seconds is None else seconds)

    def train_seeds(
        self, wanted: Sequence[tuple[Candidate, int]], length: str, recipe: RetrainSettings, seconds: float
    ) -> None:
        """Train networks with a seed each, as many at a time as there are processes; see `train`."""
        self._start(wanted, length)  # which says nothing of how slow trainings are
        begun, taken = time.perf_counter(), 0.0
        left = [(one, seed) for one, seed in dict.fromkeys(wanted) if not self._is_done(one, length, seed)]
        own = self.recipes if length == FINAL else self.paths.own([one for one, _ in left], recipe, seconds)
        warmup = recipe.warmup_share * next(iter(self.lengths.values()))
        tasks = [self.task(one, length, own.get(one.number, recipe), seed, seconds, warmup) for one, seed in left]
        try:
            for task, trained in self._workers.train(tasks):
                score = self._score(task, trained)
                self._plan.keep(score)
                self._tell(task, score, str(trained) if task.baseline and score.seconds == 0 else "diverged")
                taken += 0.0 if isinstance(trained, DivergedError) else trained.own_seconds
        finally:  # what was trained before an interruption counts too
            for one, seed in wanted:
                found = self._plan.score(training_key(one.number, length, seed))
                if found is not None:
                    self.scores.setdefault((one.number, length), []).append(found)
        if taken > 0:
            passed = (time.perf_counter() - begun) * min(len(tasks), self._workers.processes)
            self._seen = passed + self._seen[0] / 2, taken + self._seen[1] / 2
            self.slowness = max(_FASTEST, self._seen[0] / self._seen[1])

    def start(self, of: Sequence[Candidate], length: str, *seeds: int) -> None:
        """Wait until the processes run that training these networks needs, but for those that were trained."""
        self._start([(one, seed) for seed in seeds for one in of], length)

    def _start(self, wanted: Sequence[tuple[Candidate, int]], length: str) -> None:
        self._workers.start([one.image_size for one, seed in wanted if not self._is_done(one, length, seed)])

    def task(
        self, one: Candidate, length: str, recipe: RetrainSettings, seed: int, seconds: float, warmup: float
    ) -> Task:
        """A training; it goes on from the longest shorter one with the same seed."""
        (self._folder / WORK).mkdir(exist_ok=True)
        names = list(self.lengths)
        shorter = names[: names.index(length)] if length in names else []
        states = [self.file(one, name, seed, ".pt") for name in shorter]
        again = self._plan.repeated(training_key(one.number, length, seed))
        return Task(
            candidate=one,
            length=length,
            seed=seed,
            seconds=seconds,
            pace=self.pace,
            warmup=warmup,
            recipe=recipe,
            repeats=None if again is None else again.schedule,
            deadline=self._budget.deadline(),
            continues=next((state for state in reversed(states) if state.exists()), None),
            keeps=self.file(one, length, seed, ".pt") if length in names[:-1] else None,
            model=self.file(one, length, seed, ".safetensors"),
            baseline=self.torch_baselines.get(one.number),
        )

    def file(self, one: Candidate, length: str, seed: int, suffix: str = ".safetensors") -> Path:
        """The file of a training: of the trained network, or of a state to go on from (`.pt`)."""
        return self._folder / WORK / f"{one.number}-{length.replace('/', '')}-{seed}{suffix}"

    def _is_done(self, one: Candidate, length: str, seed: int) -> bool:
        """Whether a network was trained and its file is there; one that diverged in a repeated fit is not tried."""
        key = training_key(one.number, length, seed)
        again = self._plan.repeated(key)
        if self._plan.score(key) is None and again is not None and again.seconds == 0:
            self._plan.keep(again)
        score = self._plan.score(key)
        return score is not None and (score.seconds == 0 or self.file(one, length, seed).exists())

    def _tell(self, task: Task, score: Score, failed: str) -> None:
        where = "final training" if task.length == FINAL else f"short training ({task.length})"
        accuracy = f"{score.accuracy:.2f} % on validation images" if score.seconds else failed
        short = ", cut short" if score.value == NO_VALUE and score.seconds else ""
        self._callback({"event": "note", "text": f"{where}: {task.candidate.name}: {accuracy}{short}"})

    def _score(self, task: Task, trained: Trained | DivergedError) -> Score:
        key = (task.candidate.number, task.length, task.seed)
        if isinstance(trained, DivergedError):
            return Score(*key, Schedule(0, 0, 0, {}), 0.0, 0.0, NO_VALUE, 0.0)
        labels = self._pictures[task.candidate.image_size].val.labels.cpu()
        accuracy = 100 * (trained.logits.argmax(1) == labels).double().mean().item()
        if self._objective is None:
            value = cross_entropy(trained.logits, labels).item()
        else:
            value = self._objective.value(self._objective.metric(trained.logits, labels)).item()
        again = self._plan.repeated(task.key)
        if again is not None:
            cut = again.value == NO_VALUE
        else:  # its deadline came first, or its steps are so slow that the fewest took longer
            cut = task.length != FINAL and not _LEAST <= trained.seconds / task.seconds <= _MOST
        value = NO_VALUE if cut or not math.isfinite(value) else value
        return Score(*key, trained.schedule, trained.seconds, accuracy, value, trained.step_seconds)
