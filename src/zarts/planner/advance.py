"""Which networks are trained for longer, and whether the shorter trainings that chose them can be trusted."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from zarts.planner.candidates import Candidates
from zarts.planner.evidence import Correlation, rank_correlation
from zarts.planner.promises import clearly_behind
from zarts.planner.records import Candidate, Plan, Score
from zarts.runtime.seed import keyed_generator

__all__ = ["Advance", "advancing", "groups_of"]

_GROUPS = 3
_CLEARLY = 0.5
"""Share of the value that the best one promises: one with inverted bottlenecks that promises so much more has no
place."""
_COMPARED = 8
"""Networks that two lengths need to share, for a word on whether their ranks agree."""
_AGREES = 0.5
"""Lengths whose rank correlation is surely below do not agree."""


class Advance:
    """From one length of training to the next.

    Args:
        known: the networks of a fit.
        plan: what was decided before.
        seed: of the draws.
    """

    def __init__(self, known: Candidates, plan: Plan, seed: int) -> None:
        self._known, self._plan, self._seed = known, plan, seed
        self.agreements: list[tuple[str, str, Correlation]] = []
        """Rank correlations of what a shorter length promised and a longer one showed."""

    def chosen(self, short: str, long: str, when: str, *, count: int, drawn: int) -> list[Candidate]:
        """The networks of a length that go on to a longer one, by what they promise; see `advancing`."""

        def decide() -> list[int]:
            promises, known = self._known.promises(short), self._known
            scores = {number: replace(known.scores[number, short][0], value=promises[number]) for number in promises}
            return [one.number for one in advancing(known.all, scores, count=count, also_random=drawn, seed=self._seed)]

        numbered: list[Candidate] = self._plan.decide(f"to {long} {when}".strip(), decide, self._known.numbered)
        return numbered

    def compare(self, short: str, long: str) -> str:
        """Whether two lengths agree, in words; empty: too few networks have both."""
        promises, showed = self._known.promises(short), self._known.promises(long)
        both = [number for number in promises if number in showed]
        if len(both) < _COMPARED:
            return ""
        values = [self._known.value(one, long) for one in self._known.numbered(both)]
        found = rank_correlation([promises[number] for number in both], values)
        self.agreements = [one for one in self.agreements if one[:2] != (short, long)] + [(short, long, found)]
        text = f"{found.value:.2f} ({found.low:.2f} to {found.high:.2f}, {found.n} networks)"
        trust = "" if found.high >= _AGREES else ": the shorter one says little"
        return f"rank correlation of {short} and {long}: {text}{trust}"

    def disagree(self, short: str, long: str) -> bool:
        """Whether the ranks at two lengths surely do not agree."""
        return any(found.high < _AGREES for *pair, found in self.agreements if pair == [short, long])


def groups_of(numbers: Sequence[int], seconds: Mapping[int, float]) -> list[list[int]]:
    """Networks in three groups by the time of their steps, fastest first; each in the order that they were given.

    After a short training accuracy is mostly how fast a network trains, so that slow ones only compete with each other.
    """
    order = sorted(numbers, key=lambda number: (seconds[number], number))
    count = len(order)
    bounds = [round(count * part / _GROUPS) for part in range(_GROUPS + 1)]
    members = [set(order[a:b]) for a, b in itertools.pairwise(bounds)]
    return [[number for number in numbers if number in group] for group in members if group]


def advancing(
    candidates: Sequence[Candidate], scores: Mapping[int, Score], *, count: int, also_random: int, seed: int
) -> list[Candidate]:
    """The networks that are trained for longer, the better ones first.

    The best hand-made and the best other network always are, and so is the best one with inverted bottlenecks, which
    train slower than they run, unless it clearly promises less. The best of each group of step times follow, in turn.

    Args:
        candidates: all networks.
        scores: of those that were trained, by number.
        count: how many advance.
        also_random: how many of these are drawn from those that would not, so that the ranks of the two lengths can be
            compared without a bias.
        seed: of that draw.
    """
    by_number = {one.number: one for one in candidates if one.number in scores}
    ranked = sorted(by_number, key=lambda number: (scores[number].value, number))
    first = [
        next((number for number in ranked if test(by_number[number])), None)
        for test in (_is_known, lambda one: not _is_known(one), _has_inverted)
    ]
    best = scores[ranked[0]].value if ranked else 0.0
    if first[-1] is not None and clearly_behind(scores[first[-1]].value, best, _CLEARLY):
        del first[-1]
    chosen = list(dict.fromkeys(number for number in first if number is not None))
    groups = groups_of(ranked, {number: scores[number].step_seconds for number in ranked})
    for place in range(max(map(len, groups), default=0)):
        chosen += [group[place] for group in groups if place < len(group) and group[place] not in chosen]
    kept = chosen[: max(1, count - also_random)]
    rest = [number for number in ranked if number not in kept]
    order = torch.randperm(len(rest), generator=keyed_generator(seed, "advancing", len(ranked))).tolist()
    kept += [rest[place] for place in order[: count - len(kept)]]
    return [by_number[number] for number in sorted(kept, key=ranked.index)]


def _is_known(one: Candidate) -> bool:
    return one.origin in ("hand-made", "yours")


def _has_inverted(one: Candidate) -> bool:
    return any(stage.kind == "inverted" for stage in one.chain.stages)
