"""The final trainings of a fit: the networks that are compared in the end, from new weights, with the same time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from zarts.config import RetrainSettings
from zarts.errors import DivergedError
from zarts.planner.budget import Budget
from zarts.planner.candidates import Candidates
from zarts.planner.pictures import Pictures
from zarts.planner.records import FINAL, NO_VALUE, Candidate, Plan
from zarts.planner.time_plan import SLACK

__all__ = ["Finals", "epochs_by_number", "with_crops", "with_muon"]

_FIRST_SEED = 1000
"""Seeds of finals begin here: none of them has chosen anything."""
_MARGIN = 0.05
"""Of the value that the hand-made network promises: so much more may a searched one promise, and is trained."""


def with_muon(recipe: RetrainSettings, plan: Plan) -> RetrainSettings:
    """The recipe with Muon's rate as the plan has it: 0 in those that were made before there was Muon."""
    rate: float = plan.decide("muon", lambda: 0.0 if plan.has("path") else recipe.muon_rate)
    return recipe.model_copy(update={"muon_rate": rate})


def with_crops(recipe: RetrainSettings, epochs: float, cropped: float) -> RetrainSettings:
    """The recipe for a training of so many epochs: images are padded and cropped if it has more than `cropped`."""
    return recipe.model_copy(update={"crop_padding": None if epochs > cropped else 0})


def epochs_by_number(decided: Mapping[str, Any] | None) -> dict[int, float] | None:
    """Epochs of final trainings by which each network has crops; None: in a plan where all have them or none."""
    return None if decided is None else {int(number): float(epochs) for number, epochs in decided.items()}


def _is_too_little(found: float, handmade: float, alone: float, images: int) -> bool:
    """Whether a searched network promises too little for a final training.

    It does if the hand-made one promises more with the time of both, or clearly more with its own: by more than one
    standard error of the difference of two accuracies, and than a twentieth of the value.

    Args:
        found: value that it promises; smaller is better.
        handmade: of the hand-made network, trained for as long.
        alone: of the hand-made network, trained for as long as both together could be.
        images: that values are of.
    """
    share = min(1.0, abs(handmade))  # a value whose larger amount is better is below 0
    chance = math.sqrt(2 * share * (1 - share) / images)
    return (alone < handmade and found > alone) or found > handmade + max(chance, _MARGIN * abs(handmade))


class Finals:
    """Trains the finalists.

    Args:
        known: the networks of the fit.
        plan: what was decided before.
        budget: the time.
        recipe: of the trainings.
        processes: trainings at a time.
        pictures: the images.
        cropped: epochs from which a finalist has crops, see `with_crops`; None: all have the recipe as it is.
    """

    def __init__(
        self,
        known: Candidates,
        plan: Plan,
        budget: Budget,
        recipe: RetrainSettings,
        processes: int,
        pictures: Pictures,
        *,
        cropped: float | None,
    ) -> None:
        self._known, self._plan, self._budget = known, plan, budget
        self._recipe, self._processes, self._pictures, self._cropped = recipe, processes, pictures, cropped
        self.hopeless = False
        """Whether the searched network promised too little to be trained to the end."""
        self.diverged: list[Candidate] = []
        """Finalists that are not compared, as their final trainings diverged."""
        self.remarks: list[str] = []
        """Sentences that belong below the verdict."""

    def train(self, pair: list[Candidate], seed: int, seeds: int, most: float) -> list[Candidate]:
        """Train the finalists with the same seeds and seconds; those that are compared.

        If less time is left than they have had already, those trainings are the final ones.

        Args:
            pair: the best found and the best hand-made network, or one of them.
            seed: of the fit.
            seeds: trainings of each.
            most: seconds of a training.

        Raises:
            DivergedError: there are no finalists, or each training diverged.
            Interrupted, RunError: see `Workers.train`.
        """
        if not pair:
            raise DivergedError("each training diverged: are the images and their classes what they should be?")
        known, first = self._known, _FIRST_SEED + seed
        others = [one.candidate(number) for number, one in known.torch_baselines.items()]
        both, alone = (math.ceil((count + len(others)) * seeds / self._processes) for count in (len(pair), 1))
        pair = self._hopeful(pair, min(both / alone, max(1.0, most / known.final)))
        each_seed = range(first, first + seeds)
        wanted = [(one, each) for networks in (pair, others) for each in each_seed for one in networks]
        waves = [wanted[at : at + self._processes] for at in range(0, len(wanted), self._processes)]

        def decide() -> float:
            return max(1.0, min(SLACK * self._budget.left() / (len(waves) * known.slowness), most))

        crops = self._cropped is not None and not self._plan.has("final seconds")  # but in a plan made without
        epochs = self._plan.decide("epochs", lambda: self._epochs(decide()) if crops else None, epochs_by_number)
        seconds: float = self._plan.decide("final seconds", decide)
        if self._are_shorter("finals would be shorter", seconds, pair, seed):
            return pair
        known.recipes = {one.number: self._own_recipe(one, epochs) for one in [*pair, *others]}
        if known.paths.measure(pair, self._recipe, seconds):  # by the planned seconds, which a repeated fit has too
            known.recipes |= {one.number: known.paths.of_longest(one, known.recipes[one.number]) for one in pair}
        for number, wave in enumerate(waves):  # a wave that took longer leaves the same time to the next one
            self._budget.reserved = 0.0
            self._budget.reserved = self._budget.left() * (1 - 1 / (len(waves) - number))
            known.train_seeds(wave, FINAL, self._recipe, seconds)
            trained = [score for one in pair for score in known.scores.get((one.number, FINAL), [])]
            seconds = min([seconds, *(score.seconds for score in trained if score.seconds > 0)])
        shares = self._plan.decide("torch shares", lambda: [self._share(one, pair[-1]) for one in others])
        known.shares = {one.number: float(share) for one, share in zip(others, shares, strict=False)}
        pair = self._whole(pair)
        self._are_shorter("finals were shorter", seconds, pair, seed)
        return pair

    def _epochs(self, seconds: float) -> dict[str, float]:
        """Of a final training of each network that was trained, by its number."""
        times = {number: own[0].step_seconds for (number, _), own in self._known.scores.items() if own[0].seconds > 0}
        times |= {number: one.step_seconds for number, one in self._known.torch_baselines.items()}
        steps = self._pictures.train_count / self._recipe.batch_size  # of an epoch
        return {str(number): seconds / time / steps for number, time in times.items()}

    def _share(self, one: Candidate, beside: Candidate) -> float:
        """Of the seconds of another finalist that a network had, in the seed where that is least."""
        scores = [self._known.scores.get((each.number, FINAL), []) for each in (one, beside)]
        other = {score.seed: score.seconds for score in scores[1] if score.seconds > 0}
        own = [score for score in scores[0] if score.seconds > 0 and score.seed in other]
        return min((score.seconds / other[score.seed] for score in own), default=0.0)

    def _own_recipe(self, one: Candidate, epochs: Mapping[int, float] | None) -> RetrainSettings:
        recipe = self._recipe
        if epochs is not None and self._cropped is not None:
            recipe = with_crops(recipe, epochs.get(one.number, 0.0), self._cropped)
        own = self._known.torch_baselines.get(one.number)
        return recipe if own is None else own.recipe(recipe)

    def _hopeful(self, pair: list[Candidate], longer: float) -> list[Candidate]:
        """The finalists without the searched one, if that promises too little, see `_is_too_little`.

        Args:
            pair: the finalists.
            longer: times as long as beside the searched one the hand-made one would be trained without it.
        """
        known = self._known

        def decide() -> bool:
            if len(pair) < 2 or self._plan.has("final seconds"):  # in a plan that was made without this
                return False
            for length in reversed(known.lengths):
                promises = known.promises(length)
                if all(one.number in promises for one in pair):
                    found, handmade = (promises[one.number] for one in pair)
                    alone = known.promises(length, longer)[pair[-1].number]
                    images = len(self._pictures[self._pictures.sizes[0]].val)
                    return _is_too_little(found, handmade, alone, images)
            return False

        self.hopeless = self._plan.decide("hopeless", decide)
        return pair[-1:] if self.hopeless else pair

    def _whole(self, pair: list[Candidate]) -> list[Candidate]:
        """The finalists without seeds in which one of them diverged; one that always did is left out.

        Raises:
            DivergedError: each training of each did.
        """
        scores = self._known.scores
        well = {one.number: {s.seed for s in scores[one.number, FINAL] if s.value < NO_VALUE} for one in pair}
        all_of = pair
        pair = [one for one in pair if well[one.number]]
        if not pair:
            raise DivergedError("each final training diverged: the result of the shorter ones is in the folder model")
        both = set.intersection(*(well[one.number] for one in pair))
        if not both:
            pair = pair[-1:]
            both = well[pair[0].number]
        self.diverged = [one for one in all_of if one not in pair]
        for one in pair:
            scores[one.number, FINAL] = [score for score in scores[one.number, FINAL] if score.seed in both]
        return pair

    def _are_shorter(self, question: str, seconds: float, pair: list[Candidate], seed: int) -> bool:
        """Whether final trainings of so many seconds are shorter than the longest before, which then stand for them.

        Seconds are measured, so a fit that repeats another takes the answer from its plan.
        """
        length, scores = list(self._known.lengths)[-1], self._known.scores
        before = [
            [score for score in scores.get((one.number, length), []) if score.seed == seed and score.value < NO_VALUE]
            for one in pair
        ]

        def decide() -> bool:
            return all(before) and seconds < min(score.seconds for own in before for score in own)

        if not (self._plan.decide(question, decide) and all(before)):
            return False
        for one, own in zip(pair, before, strict=True):
            scores[one.number, FINAL] = own
        self._known.recipes = {}
        self.remarks.append(f"There was no time for final trainings: those of {length} are compared.")
        return True
