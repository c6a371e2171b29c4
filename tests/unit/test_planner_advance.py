"""Which networks are trained for longer."""

from zarts.planner.advance import advancing, groups_of
from zarts.planner.records import Candidate, Schedule, Score
from zarts.spaces import Chain, ChainStem, Stage

CONV = Chain(ChainStem(8), (Stage("conv", 8),))
INVERTED = Chain(ChainStem(8), (Stage("inverted", 8, expansion=3),))


def made(rows):
    """Candidates and scores of rows (origin, chain, value, seconds of a step)."""
    candidates, scores = [], {}
    for number, (origin, chain, value, seconds) in enumerate(rows, 1):
        candidates.append(Candidate(number, f"n{number}", origin, chain, 28))
        scores[number] = Score(number, "T/9", 0, Schedule(1, 1, 1, {}), 1.0, 0.0, value, seconds)
    return candidates, scores


def numbers(found):
    return [one.number for one in found]


def test_groups_are_thirds_by_time_and_keep_the_order():
    assert groups_of([5, 1, 4, 2, 3, 6], {n: float(n) for n in range(1, 7)}) == [[1, 2], [4, 3], [5, 6]]
    assert groups_of([1, 2], {1: 2.0, 2: 1.0}) == [[2], [1]]


def test_the_best_of_each_kind_and_of_each_group_advance():
    rows = [("found", CONV, 0.5 + n / 100, 0.1) for n in range(4)]  # 1-4: fast and good
    rows += [("hand-made", CONV, 0.6, 0.2), ("found", CONV, 0.58, 0.21), ("found", CONV, 0.59, 0.22)]  # 5-7
    rows += [("found", CONV, 0.65, 0.23), ("found", CONV, 0.62, 0.4), ("found", INVERTED, 0.7, 0.5)]  # 8-10
    found = numbers(advancing(*made(rows), count=3, also_random=0, seed=0))
    assert found == [1, 5, 10]  # the best found, the best hand-made, the best with inverted bottlenecks
    assert groups_of(range(1, 11), {n: rows[n - 1][3] for n in range(1, 11)}) == [[1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    found = numbers(advancing(*made(rows), count=5, also_random=0, seed=0))
    assert found == [1, 4, 5, 9, 10]  # and the best of each group
    rows[9] = ("found", INVERTED, 0.76, 0.5)  # more than 1.5 times as bad as the best one
    found = numbers(advancing(*made(rows), count=3, also_random=0, seed=0))
    assert found == [1, 4, 5]
    for best, inverted, has_place in ((-0.9, -0.6, True), (-0.9, -0.4, False), (0.0, 0.005, True), (0.0, 0.02, False)):
        rows = [("hand-made", CONV, best + n / 1000, 0.1) for n in range(4)] + [("found", INVERTED, inverted, 0.5)]
        rows[3] = ("found", *rows[3][1:])
        found = numbers(advancing(*made(rows), count=3, also_random=0, seed=0))
        assert (5 in found) == has_place


def test_some_are_drawn_from_those_that_would_not_advance():
    rows = [("hand-made", CONV, n / 100, 0.1) for n in range(20)]
    first = numbers(advancing(*made(rows), count=9, also_random=3, seed=0))
    assert len(first) == len(set(first)) == 9
    kept = numbers(advancing(*made(rows), count=6, also_random=0, seed=0))
    assert set(kept) < set(first)
    assert first != numbers(advancing(*made(rows), count=9, also_random=3, seed=1))
    assert numbers(advancing(*made(rows[:2]), count=9, also_random=3, seed=0)) == [1, 2]
