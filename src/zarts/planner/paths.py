"""The paths of the trainings of a fit: precision, layout and kernels, with one thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from zarts.config import RetrainSettings
from zarts.planner.budget import Budget
from zarts.planner.pictures import Pictures
from zarts.planner.records import Candidate, Plan
from zarts.planner.training import card_of
from zarts.planner.workers import Workers
from zarts.runtime.device import choose_device
from zarts.runtime.distributed import Ranks
from zarts.training.compute_path import ComputePath
from zarts.training.path_choice import fastest_path
from zarts.training.trainer import Callback

__all__ = ["Paths"]

_MEASURED = 20.0
"""Seconds of a training from which the network's own precision is measured, which takes about one."""


class Paths:
    """Measures the paths of networks, or reads them from the plan of a fit.

    Args:
        pictures: the images.
        plan: what was decided before.
        budget: the time.
        workers: measure, several networks at a time.
        callback: hears of the compilation of kernels.
    """

    def __init__(self, pictures: Pictures, plan: Plan, budget: Budget, workers: Workers, callback: Callback) -> None:
        self._pictures, self._plan, self._budget, self._workers = pictures, plan, budget, workers
        self._callback = callback

    def first(self, one: Candidate, recipe: RetrainSettings) -> RetrainSettings:
        """The recipe on the path of a fit: the fastest of its first network."""
        own = self._plan.decide("paths", lambda: not self._plan.has("path"))  # in plans from before all have the same
        path: dict[str, Any] = self._plan.decide("path", lambda: asdict(self.fastest(one, recipe)))
        if own:  # it need not be measured again
            self._plan.decide(f"path {one.number}", lambda: path)
        return recipe.model_copy(update=path)

    def measure(self, of: Sequence[Candidate], recipe: RetrainSettings, seconds: float) -> bool:
        """Decide on the precision of each network, the one in which its steps are fastest; whether they have their own.

        ResNet-8 can be faster in bfloat16 where MobileNetV2 takes more than twice as long as in float32. Where time is
        short, of which measuring takes a share, it is that of the fit. Networks of the user, whose numbers are
        negative, are trained on the path of the fit.

        Args:
            of: the networks.
            recipe: on the path of the fit.
            seconds: that trainings are planned to take; in short ones all networks have the path of the fit.

        Raises:
            Interrupted, RunError: see `Workers.measure`.
        """
        measured = self._plan.has("paths") and self._plan.decided("paths", bool)
        if not measured or seconds < _MEASURED:
            return False
        new = [one for one in dict.fromkeys(of) if one.number > 0 and not self._plan.has(f"path {one.number}")]
        either = recipe.model_copy(update={"precision": "auto", "time": max(1.0, self._budget.left())})
        cards = [card_of(one, self._pictures[one.image_size], recipe) for one in new]
        of_fit: dict[str, Any] = self._plan.decided("path", dict)
        for one, path in zip(new, self._workers.measure([(either, card) for card in cards]), strict=True):
            own = of_fit if path is None else asdict(path)
            self._plan.decide(f"path {one.number}", lambda: own)  # noqa: B023 (called now)
        return True

    def own(self, of: Sequence[Candidate], recipe: RetrainSettings, seconds: float) -> dict[int, RetrainSettings]:
        """The recipe of each network in its own precision, by number; empty where all have that of the fit."""
        return {one.number: self.of_longest(one, recipe) for one in of} if self.measure(of, recipe, seconds) else {}

    def of_longest(self, one: Candidate, recipe: RetrainSettings) -> RetrainSettings:
        """The recipe as the longest training of a network had it: on its own path, if one was measured."""
        name = f"path {one.number}"
        return recipe.model_copy(update=self._plan.decided(name, dict) if self._plan.has(name) else {})

    def fastest(self, one: Candidate, recipe: RetrainSettings) -> ComputePath:
        """The fastest path that a recipe allows; where time is too short to measure, the first."""
        sized = self._pictures[one.image_size]
        recipe = recipe.model_copy(update={"time": max(1.0, self._budget.left())})
        card, device = card_of(one, sized, recipe), choose_device(recipe.device)
        return fastest_path(recipe, card, Ranks(), device, self._callback)
