"""The order of the steps of a computation whose live buffers need the fewest bytes at once."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Order", "Step", "best_order"]


@dataclass(frozen=True)
class Step:
    """A step: while it runs, all buffers that it reads and writes are live.

    Args:
        reads: numbers of buffers.
        writes: numbers of buffers that no other step writes.
    """

    reads: frozenset[int]
    writes: frozenset[int]


@dataclass(frozen=True)
class Order:
    """An order of steps.

    Args:
        peak: the most bytes that are live at once.
        steps: their numbers, first to last.
        exact: whether no order has a smaller peak; if not, the search had too many states.
    """

    peak: int
    steps: tuple[int, ...]
    exact: bool


class _Problem:
    """Which steps may come next, and how many bytes are live then; sets of steps are the bits of a number."""

    def __init__(self, steps: Sequence[Step], sizes: Sequence[int], kept: frozenset[int]) -> None:
        self.steps, self.sizes, self.kept = steps, sizes, kept
        writer = {buffer: number for number, step in enumerate(steps) for buffer in step.writes}
        self.readers = [0] * len(sizes)
        self.needs = [0] * len(steps)
        for number, step in enumerate(steps):
            for buffer in step.reads:
                self.readers[buffer] |= 1 << number
                self.needs[number] |= 1 << writer[buffer] if buffer in writer else 0
        inputs = [buffer for buffer in range(len(sizes)) if buffer not in writer]
        self.all = (1 << len(steps)) - 1
        self.start = sum(sizes[buffer] for buffer in inputs if self.readers[buffer] or buffer in kept)
        self.bound = max((self._at(step) for step in steps), default=0)
        self.bound = max(self.bound, self.start)
        """No order needs less."""

    def _at(self, step: Step) -> int:
        return sum(self.sizes[buffer] for buffer in step.reads | step.writes)

    def moves(self, done: int, live: int, level: int) -> list[tuple[int, int, int]]:
        """The steps that may come next, with the bytes that are live during each and after it.

        If one keeps below the level and leaves no more bytes live than before, it alone: whatever order follows, with
        this step moved to its begin no more bytes are live at any time, because what a step frees only grows the later
        it comes, and its output has to be written at some time.
        """
        found = []
        for number in self._ready(done):
            step, after_it = self.steps[number], done | 1 << number
            during = live + sum(self.sizes[buffer] for buffer in step.writes)
            free = (b for b in step.reads | step.writes if not self.readers[b] & ~after_it and b not in self.kept)
            after = during - sum(self.sizes[buffer] for buffer in free)
            if during <= level and after <= live:
                return [(number, during, after)]
            found.append((number, during, after))
        return found

    def _ready(self, done: int) -> Iterator[int]:
        left = self.all & ~done
        while left:
            number = (left & -left).bit_length() - 1
            if not self.needs[number] & ~done:
                yield number
            left &= left - 1


def best_order(
    steps: Sequence[Step], sizes: Sequence[int], kept: frozenset[int], *, most_states: int = 100_000
) -> Order:
    """The order with the smallest peak, by a best-first search over the sets of steps that are done.

    Which bytes are live depends on the set alone, not on its order. The search is left out where the greedy order
    reaches the bytes of the largest single step, as in chains; a step that costs nothing is taken at once.

    Args:
        steps: each buffer is written by one step, or by none: then it is live from the start.
        sizes: bytes of each buffer.
        kept: buffers that are live until the end.
        most_states: after so many sets the greedy order is returned, whose peak may be larger than need be.
    """
    problem = _Problem(steps, sizes, kept)
    greedy = _greedy(problem)
    if greedy.peak == problem.bound:
        return Order(greedy.peak, greedy.steps, exact=True)
    came: dict[int, tuple[int, int]] = {}
    least = {0: problem.bound}
    heap = [(problem.bound, 0, 0, problem.start)]  # peak, minus the number of steps, steps done, live bytes
    for _ in range(most_states):
        if not heap:
            return Order(greedy.peak, greedy.steps, exact=True)
        peak, count, done, live = heapq.heappop(heap)
        if done == problem.all:
            return Order(peak, _path(came, done), exact=True)
        if peak > least[done]:
            continue
        for number, during, after in problem.moves(done, live, peak):
            then, most = done | 1 << number, max(peak, during)
            if most < min(greedy.peak, least.get(then, greedy.peak)):
                least[then], came[then] = most, (done, number)
                heapq.heappush(heap, (most, count - 1, then, after))
    return greedy


def _greedy(problem: _Problem) -> Order:
    """Always the step with the smallest peak so far, then with the fewest bytes live after it."""
    done, live, peak, order = 0, problem.start, problem.bound, []
    while done != problem.all:
        number, during, live = min(
            problem.moves(done, live, peak), key=lambda move: (max(peak, move[1]), move[2], move[0])
        )
        done, peak = done | 1 << number, max(peak, during)
        order.append(number)
    return Order(peak, tuple(order), exact=False)


def _path(came: Mapping[int, tuple[int, int]], done: int) -> tuple[int, ...]:
    order = []
    while done:
        done, number = came[done]
        order.append(number)
    return tuple(reversed(order))
