"""A fit, stage by stage: hand-made networks, changes of the best one, longer trainings of the better ones, finals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from zarts.config.fit import FitSettings
from zarts.errors import SettingsError
from zarts.planner.advance import Advance
from zarts.planner.budget import Budget
from zarts.planner.candidates import Candidates
from zarts.planner.finals import Finals, with_crops, with_muon
from zarts.planner.first_steps import first_steps
from zarts.planner.handmade import Wanted, filled, first_share, others, probes, variants, worthwhile
from zarts.planner.pictures import Pictures
from zarts.planner.records import Candidate, Plan
from zarts.planner.rounds import Rounds
from zarts.planner.time_plan import LENGTHS, MOST, TimePlan, plan_time
from zarts.planner.workers import Workers
from zarts.spaces import Chain
from zarts.training.trainer import Callback

__all__ = ["Fit"]

_LAST, _MIDDLE, _DRAWN = 4, 9, 3
"""Networks at a third of the final length; at a length between that and the shortest, and how many of these are drawn
from those that would not advance."""
_SHORT = (
    "The time was short for networks as wide as the limits allow, so narrower ones were compared: with more time wider "
    "ones may be better."
)
_CURVES = 2
"""Networks that are also trained for a third of the shortest length."""


class Fit:
    """The stages of a fit.

    Args:
        settings: of the fit.
        pictures: the images.
        candidates: none yet.
        plan: what was decided and trained before.
        budget: the time.
        workers: train the networks.
        callback: called with every event.
        keep_best: called when networks were trained: writes the files of the best one.
        baselines: networks that the user has named, compared as they are, like the hand-made ones.

    Raises:
        SettingsError: no hand-made network is within the limits, or a baseline is not.
    """

    def __init__(
        self,
        settings: FitSettings,
        pictures: Pictures,
        candidates: Candidates,
        plan: Plan,
        budget: Budget,
        workers: Workers,
        callback: Callback,
        keep_best: Callable[[], None],
        baselines: Sequence[Chain] = (),
    ) -> None:
        self._settings, self.pictures, self.candidates, self.plan = settings, pictures, candidates, plan
        self._budget, self._workers, self._callback = budget, workers, callback
        self.processes, self._keep_best, self._baselines = workers.processes, keep_best, baselines
        self.advance = Advance(candidates, plan, settings.seed)
        self.parts: dict[str, float] = {}
        """Seconds of each stage."""
        self._after: Callable[[], float] = self._after_longer
        self._shares: dict[int, float] = {}  # of the limits, that hand-made networks use, by number
        self._groups = 0  # of networks that were trained together
        self.ended = ""
        """Why the search ended before its time; empty: it has not."""
        self.hopeless = False
        """Whether no searched network promised enough for a final training."""
        self.diverged: list[Candidate] = []
        """Finalists that are not compared, as their final trainings diverged."""
        self.remarks: list[str] = []
        """Sentences that belong below the verdict."""
        self.recipe = with_muon(settings.recipe(**pictures.batches), plan)
        known = settings, candidates, plan, pictures.sizes, workers.processes
        self._rounds = Rounds(*known, train=self._train, affordable=self._affordable, note=self._note)
        self.time, self._epoch = self._planned()
        candidates.lengths, candidates.final = dict(self.time.lengths), self.time.final
        if settings.crop_padding is None:
            self.recipe = with_crops(self.recipe, self.time.final / self._epoch, self.time.cropped)
        if (self.recipe.crop, self.recipe.crop_padding) == ("pad", 0):
            candidates.flat = self.time.flat * pictures.train_count / self.recipe.batch_size

    def _planned(self) -> tuple[TimePlan, float]:
        """The plan of the time, and the seconds of an epoch, which a short training tells."""
        size = self.pictures.sizes[0]
        self._yours = [self.candidates.add(chain.for_images(size), size, "yours") for chain in self._baselines]
        for one in self._yours:
            self.candidates.costing.check(one.chain, size, f"baselines: {one.name}")
        added = self._add([*probes(self.pictures.sizes, 1.0), *others(self.pictures.sizes[-1], 2)], 1)
        if not added:
            smallest = self.candidates.costing.smallest(*probes(self.pictures.sizes, 1.0)[-1][:2])
            raise SettingsError(f"no hand-made network is within the limits: the smallest ResNet-8 has {smallest}")
        first = added[0]
        self.recipe = self.candidates.paths.first(first, self.recipe)

        def decide() -> dict[str, Any]:
            count, sizes, left = self.pictures.train_count, self.pictures.sizes, self._budget.left()
            measured = first_steps(self.candidates, self._workers, first, self.recipe, sizes, count, left)
            self._budget.answer(measured.image)
            wanted = self._budget.left(), self.processes, measured.epoch, len(self.candidates.torch_baselines)
            beside = max(0.0, self._settings.time - wanted[0])
            plan = plan_time(*wanted, search=self._settings.search, beside=beside)
            return {**asdict(plan), **measured._asdict()}

        plan, measured = self.plan.decide("time", decide, TimePlan.read)
        self._budget.answer(measured.image)
        self._budget.more_seeds(plan.seeds, measured.image)
        self.candidates.pace = measured.pace
        return plan, measured.epoch

    def compare_handmade(self) -> None:
        """Train hand-made networks at the shortest length: the best one is what others have to beat."""
        with self._part("hand-made", self._after_search):
            wanted, name, sizes = self.time.handmade, self.time.shortest[0], self.pictures.sizes
            own, share = max(1, wanted - len(self._yours)), first_share(self.time.final / self._epoch)
            while not (tried := self._add(probes(sizes, share), own) or self._add(others(sizes[-1], 2, share), own)):
                if share == 1:
                    break
                share = min(1.0, 2 * share)  # costs that no width changes are more than so small a share
            first = list(dict.fromkeys([*self._yours, *worthwhile(tried, self.time.dwarfed)]))
            beside: int = self.plan.decide("beside the first", lambda: self._beside(len(first)))
            if tried and beside:
                more = self._add(others(tried[0].image_size, tried[0].chain.stem.stride, share), beside + len(tried))
                first += [one for one in more if one not in first][:beside]
            first = self._train(first, name)
            if self.time.searched:  # a second length of these tells what more steps bring
                third, seconds = f"T/{3 * int(name[2:])}", self.time.shortest[1] / 3
                self.candidates.train(first[:_CURVES], third, self.recipe, self._settings.seed, seconds=seconds)
            untried = [one.name for one in self._yours if one not in first]
            self.remarks += [f"There was no time for {', '.join(untried)}, of your baselines."] if untried else []
            self.remarks += [_SHORT] if share < 1 else []
            best = self.candidates.best(first, name)
            share = self._shares.get(best.number, 1.0)
            more = self._add(others(best.image_size, best.chain.stem.stride, share), wanted - len(first))
            more = self._train(more, name)
            for one in sorted([*first, *more], key=lambda one: self.candidates.value(one, name))[:2]:
                left, share = wanted - len(self.candidates.at(name)), self._shares.get(one.number, 1.0)
                added = self._add(variants(one, self.pictures.sizes, share), left)
                worth = worthwhile([one, *added], self.time.dwarfed)
                self._train([each for each in added if each in worth], name)

    def search(self) -> None:
        """Change the best network, in rounds, until their time is over or three rounds have brought nothing.

        Where there are two longer lengths, the better networks of the first half are trained to the next one. If the
        ranks at both do not agree, the rounds of the second half are trained to that one.
        """
        if not self.time.searched:
            return
        with self._part("search", self._after_search):
            short, *longer = self.candidates.lengths
            drawn = self._settings.optimizer == "random"
            if not drawn and (wider := filled(self.candidates, self.plan, short, self._shares)):
                self._train(wider, short)
            quick = self.time.final / self._epoch < self.time.quick
            if (proposals := self._rounds.proposals(short, quick=quick)) is None:
                self.ended = "no network that can be changed was compared in the time"
                return
            self.ended = self._rounds.run(proposals, short, self.time.searched // 2 if len(longer) > 1 else None)
            if len(longer) > 1:
                self._after = partial(self._after_search, middle=0)
                self._advance(short, longer[0], "half way")
                disagree = self.advance.disagree(short, longer[0])
                better = self._rounds.proposals(longer[0], quick=quick) if disagree else None
                if better is not None:
                    self._note(f"from here on networks are trained to {longer[0]} at once")
                    self.ended = self._rounds.run(better, longer[0])
                elif not self.ended:
                    self._after = partial(self._after_search, middle=_DRAWN)
                    self._budget.reserved = self._after()
                    self.ended = self._rounds.run(proposals, short)
            if self.ended:
                self._note(f"the search ends: {self.ended}")

    def train_longer(self) -> None:
        """Train the better networks for longer, from length to length, and the best two of the longest once more."""
        with self._part("comparison", self._after_longer):
            for short, long in itertools.pairwise(self.candidates.lengths):
                self._advance(short, long)
            if self.time.second_seeds:
                again, longest = self.finalists()[: self.time.second_seeds], list(self.candidates.lengths)[-1]
                self._budget.reserved = self._after()
                most: int = self.plan.decide("second seeds", lambda: min(len(again), self._affordable(longest)))
                self.candidates.train(again[:most], longest, self.recipe, self._settings.seed + 1)

    def _advance(self, short: str, long: str, when: str = "") -> None:
        """Train the better networks of a length to the next one, and compare the ranks of both."""
        count, drawn = (_LAST, 0) if long == list(self.candidates.lengths)[-1] else (_MIDDLE, _DRAWN)
        chosen = self.advance.chosen(short, long, when, count=count, drawn=drawn)
        self._train([one for one in chosen if (one.number, long) not in self.candidates.scores], long)
        if text := self.advance.compare(short, long):
            self._note(text)

    def train_finalists(self) -> list[Candidate]:
        """Train the finalists from new weights, with the same seeds and time; see `finalists`."""
        with self._part("finals", lambda: 0.0):
            cropped = self.time.cropped if self._settings.crop_padding is None else None
            known = self.candidates, self.plan, self._budget, self.recipe, self.processes, self.pictures
            finals = Finals(*known, cropped=cropped)
            pair = finals.train(self.finalists(), self._settings.seed, self.time.seeds, MOST * self._epoch)
            self.remarks += finals.remarks
            self.hopeless, self.diverged = finals.hopeless, finals.diverged
            return pair

    def finalists(self) -> list[Candidate]:
        """The network that the search has found which promises most, if there is one, and the one of the others.

        In a time so short that no training was long enough to be compared: the first one that was trained at all.
        """
        pair = (self.candidates.finalist("found", "random"), self.candidates.finalist("hand-made", "yours"))
        trained = [number for (number, _), scores in self.candidates.scores.items() if scores[0].seconds > 0]
        return [one for one in pair if one is not None] or [self.candidates.all[number - 1] for number in trained[:1]]

    # --- parts of the stages ---

    def _add(self, wanted: Iterable[Wanted], most: int) -> list[Candidate]:
        """So many networks at most, as wide as the limits allow; without those that were tried or fit at no width."""
        found: list[Candidate] = []
        for one in wanted:
            if len(found) >= most:
                break
            chain = self.candidates.fitted(*one)
            if chain is None:
                continue
            added = self.candidates.add(chain, one.image_size, "hand-made")
            self._shares.setdefault(added.number, one.share)
            if added not in found and not any((added.number, name) in self.candidates.scores for name in LENGTHS):
                found.append(added)
        return found

    def _beside(self, busy: int) -> int:
        """Networks for processes that would wait, or for a second curve; none in a plan that was made without these."""
        wanted = min(self.time.handmade, max(_CURVES if self.time.searched else 1, self.processes))
        return 0 if self.plan.has("group 1") else max(0, wanted - busy)

    def _train(self, of: list[Candidate], length: str) -> list[Candidate]:
        """Train as many of the networks as there is time for; but the very first one. Those that were trained."""
        self._groups += 1
        self.candidates.start(of, length, self._settings.seed)  # before the seconds that are left are counted
        self._budget.reserved = self._after()
        most = self.plan.decide(f"group {self._groups}", lambda: min(len(of), self._affordable(length)))
        trained = of[: max(most, int(self._groups == 1))]
        try:
            self.candidates.train(trained, length, self.recipe, self._settings.seed)
        finally:
            self._keep_best()
        return trained

    def _affordable(self, length: str) -> int:
        """Networks that there is time for in this stage."""
        seconds = self.candidates.lengths[length] * self.candidates.slowness
        return self.processes * max(0, int(self._budget.left() / seconds))

    def _after_longer(self) -> float:
        """Seconds that the finals need, as slow as trainings are now."""
        finalists = (2 if self.time.searched else 1) + len(self.candidates.torch_baselines)
        return math.ceil(finalists * self.time.seeds / self.processes) * self.time.final * self.candidates.slowness

    def _after_search(self, middle: int = _MIDDLE) -> float:
        """Seconds that the finals and the longer trainings need, so many of them at a length between others."""
        lengths = [seconds for _, seconds in self.time.lengths]
        longer = sum(count * seconds for count, seconds in zip((_LAST, middle), lengths[:0:-1], strict=False))
        longer = (longer + self.time.second_seeds * lengths[-1]) / self.processes
        return longer * self.candidates.slowness + self._after_longer()

    def _note(self, text: str) -> None:
        self._callback({"event": "note", "text": text})

    @contextmanager
    def _part(self, name: str, after: Callable[[], float]) -> Iterator[None]:
        """Inside, a stage that leaves so many seconds for those after it; its own seconds are kept."""
        begun = self._budget.elapsed()
        self._after = after
        self._budget.reserved = after()
        yield
        self.parts[name] = self._budget.elapsed() - begun
