"""Rounds of a search: an optimiser proposes networks, they are trained, and it is told what came of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from zarts.config.fit import FitSettings
from zarts.planner.candidates import Candidates
from zarts.planner.chain_space import ChainSpace, is_slow
from zarts.planner.chain_words import short_name
from zarts.planner.costs import TimeOver
from zarts.planner.proposals import Point, Proposals
from zarts.planner.records import Candidate, Origin, Plan
from zarts.spaces import Chain

__all__ = ["Rounds"]

_QUIET = 3
"""Rounds that bring nothing, after which a search ends."""
_ROUND, _REST = 4, 2
"""Networks of a round of the search, at least; fewer, but so many, are tried where there is no time for more."""


class Rounds:
    """The rounds of a search.

    Args:
        settings: of the fit.
        known: its networks.
        plan: what was decided before.
        sizes: of the images, that networks may take.
        processes: trainings at a time.
        train: trains networks to a length, as far as there is time.
        affordable: networks of a length that there is time for.
        note: called with sentences for the user.
    """

    def __init__(
        self,
        settings: FitSettings,
        known: Candidates,
        plan: Plan,
        sizes: Sequence[int],
        processes: int,
        *,
        train: Callable[[list[Candidate], str], list[Candidate]],
        affordable: Callable[[str], int],
        note: Callable[[str], None],
    ) -> None:
        self._settings, self._known, self._plan, self._sizes = settings, known, plan, sizes
        self._processes, self._train, self._affordable, self._note = processes, train, affordable, note
        self._count = 0

    def proposals(self, length: str, *, quick: bool) -> Proposals | None:
        """An optimiser that starts from the networks that were trained to a length; None: none can be changed.

        Args:
            length: its name.
            quick: whether networks that are slow to train are proposed only where the best one is.
        """
        points, told = self._told(length)
        space = ChainSpace(self._sizes)
        known = [at for at, loss in enumerate(told) if math.isfinite(loss) and space.has(*points[at])]
        if not known:
            return None
        settings, best = self._settings, points[min(known, key=told.__getitem__)]
        if min(told) < told[points.index(best)]:
            first = points[told.index(min(told))]
            words = f"{short_name(*first)} leads, and is of no form that is searched: {short_name(*best)} is changed"
            self._note(words)
        space = ChainSpace(self._sizes, quick=quick and not is_slow(best[0]))
        start = list(zip(points, told, strict=True))
        share = self._plan.decide(f"share of the best at {length}", lambda: self._known.costing.used(*best))
        return Proposals(space, start, settings.optimizer, settings.seed, fit=self._fitted, share=share)

    def run(self, proposals: Proposals, length: str, most: int | None = None) -> str:
        """Rounds at a length, until their time is over or so many networks were found; why they ended."""
        known, drawn = self._known, self._settings.optimizer == "random"
        size = self._plan.decide("round size", lambda: max(_ROUND, self._processes))
        quiet, begun = 0, len(known.all)
        while most is None or len(known.all) - begun < most:
            self._count += 1
            count: int = self._plan.decide(f"round {self._count}", lambda: min(size, self._affordable(length)))
            if count < _REST or (quiet == _QUIET and not drawn):
                break
            best = known.promising(length)
            over, points = f"round {self._count} over", list[Point]()
            try:
                points = [] if self._plan.has(over) else proposals.ask(count)
            except TimeOver:
                self._plan.decide(over, lambda: 1)
            if self._plan.has(over):
                return "measuring latencies took the rest of its time"
            if not points:
                return "no other network within the limits was found"
            origin: Origin = "random" if drawn else "found"
            parent = None if drawn or best is None else best.number
            self._train([known.add(*point, origin, parent) for point in points], length)
            proposals.tell(*self._told(length))
            quiet = 0 if known.promising(length) != best else quiet + 1
        return f"{_QUIET} rounds of {size} networks brought nothing" if quiet == _QUIET and not drawn else ""

    def _told(self, length: str) -> tuple[list[Point], list[float]]:
        """The networks of a length, and what they promise, which each new one changes; infinity: no one knows."""
        promises, at = self._known.promises(length), self._known.at(length)
        return [(one.chain, one.image_size) for one in at], [promises.get(one.number, math.inf) for one in at]

    def _fitted(self, chain: Chain, size: int, share: float) -> Chain | None:
        """As `Candidates.fitted`, for a network that is proposed.

        Raises:
            TimeOver: there is no time to measure its latency.
        """
        found = self._known.fitted(chain, size, share)
        if self._known.over:
            raise TimeOver
        return found
