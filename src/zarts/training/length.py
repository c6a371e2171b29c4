"""The length of a training: a number of steps, or as many as fit into a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from zarts.config import RetrainSettings
from zarts.readers import malformed
from zarts.runs import Run
from zarts.runtime.distributed import Ranks
from zarts.training.lr_schedule import rate_at

__all__ = ["LENGTH", "Length"]

LENGTH = "length.json"
"""File of a run with a time: what its length was corrected to, and when."""

_FIRST, _SECOND = 3, 12
"""Steps before the first two corrections; the first step does not count, it warms up."""

_SHARE = 0.02
"""Of the time, from one correction to the next."""

_FINISH = 4.0
"""Seconds for files and pictures after the test."""

_TOLERANCE = 10.0
"""Seconds by which the first steps may exceed the time, while they are still slower than later ones."""

_TEST = 0.4
"""Time of a batch in the test, as a share of that of a weight step, until it is measured."""


class _Correction(NamedTuple):
    """What is known from a step on.

    Args:
        step: the step, counted from 0.
        steps: of the whole training.
        falls_at: the step from which schedule `trapezoid` falls.
    """

    step: int
    steps: int
    falls_at: int


class Length:
    """How many steps a training has, and where its learning rate falls.

    With a time, the number of steps is planned from the first steps and corrected on the way: while the rate of
    `trapezoid` is constant a correction only moves where it falls. Corrections are written into the run folder before
    they hold, and a resumed training, which may begin before some of them, reads them back.

    Args:
        settings: the recipe.
        run: the run folder.
        steps: without a time, of the whole training; with one, more than could fit.
        test_batches: batches that a process takes in the test.
        ranks: the processes; the first one decides.
        begun: when the command began, by `time.perf_counter`.
    """

    def __init__(
        self, settings: RetrainSettings, run: Run, steps: int, test_batches: float, ranks: Ranks, begun: float
    ) -> None:
        self._settings, self._run, self._test_batches, self._ranks = settings, run, test_batches, ranks
        self._begun = begun
        self._mark: tuple[int, float] | None = None  # step and time from which steps are timed
        self.test_seconds: float | None = None
        """Of a batch in the test; None: not measured yet."""
        self._known: list[_Correction] = []
        if settings.time is not None and ranks.broadcast(ranks.lead and (run.path / LENGTH).exists()):
            found = ranks.broadcast(run.read_json(LENGTH) if ranks.lead else {})
            with malformed(run.path / LENGTH, "the length of a training"):
                self._known = [_Correction(*map(int, row)) for row in found["corrections"]]
        self._now = _Correction(0, steps, self._falls(steps))
        self._next = _FIRST

    def _falls(self, steps: int) -> int:
        return round(steps * max(self._settings.warmup_share, 1 - self._settings.cooldown_share))

    @property
    def steps(self) -> int:
        """Of the whole training, as known at the present step."""
        return self._now.steps

    def progress(self, step: int) -> float:
        """The share of the steps that is done, in [0, 1)."""
        return step / self._now.steps

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return rate_at(self._settings, step, self._now.steps, self._now.falls_at)

    def measures_test(self, step: int) -> bool:
        """Whether the time of a batch in the test should be measured before a step."""
        return self._settings.time is not None and self.test_seconds is None and step >= _SECOND

    @property
    def planned(self) -> str:
        """The time and the steps that fit into it, in words, once they are known."""
        return (
            "" if self._now.step != _SECOND else f"time: {self._now.steps:,} steps fit into {self._settings.time:g} s"
        )

    def elapsed(self) -> float:
        """Seconds since the command began, those before an interruption included."""
        return time.perf_counter() - self._begun

    def correct(self, step: int) -> bool:
        """Correct the number of steps before a step, if it is time to; whether it has changed."""
        if self._settings.time is None:
            return False
        if self._mark is None and step > 0:  # the first step of a process is slower
            self._mark, self._next = (step, self.elapsed()), max(self._next, step + 1)
        written = next((known for known in self._known if known.step == step), None)
        if written is None and step < self._next:
            return False
        if written is None:
            written = _Correction(*self._ranks.broadcast(tuple(self._corrected(step))))
            self._known = [*(known for known in self._known if known.step < step), written]
            self._run.write_json(LENGTH, {"time": self._settings.time, "corrections": self._known})
        changed = written.steps != self._now.steps
        self._now, self._mark = written, (step, self.elapsed())
        self._next = _SECOND if step < _SECOND else step + max(1, round(_SHARE * written.steps))
        return changed

    def _corrected(self, step: int) -> _Correction:
        assert self._settings.time is not None
        assert self._mark is not None
        before, then = self._mark
        each = (self.elapsed() - then) / (step - before)
        tested = _TEST * each if self.test_seconds is None else self.test_seconds  # of a batch
        left = self._settings.time - self.elapsed() - tested * self._test_batches - _FINISH
        steps = max(step + 1, step + int(left / each))
        if step < _SECOND and (_SECOND + 1 - step) * each < left + _TOLERANCE:
            steps = max(steps, _SECOND + 1)  # so few steps do not end a training
        falling = step >= self._now.falls_at and step > _FIRST
        return _Correction(step, steps, self._now.falls_at if falling else max(step, self._falls(steps)))

    def state_dict(self) -> dict[str, Any]:
        """What is known, and the time that is used up."""
        times = {"begun": self._begun, "elapsed": self.elapsed(), "test_seconds": self.test_seconds}
        return {"now": list(self._now), "next": self._next, **times}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; the time between an interruption and now does not count."""
        self._now, self._next = _Correction(*state["now"]), state["next"]
        self.test_seconds = state["test_seconds"]
        if state["begun"] != self._begun:  # of another process; the memory check comes back to its own state
            self._begun -= state["elapsed"]
        self._mark = None
