"""The order of the items in each column of a layered drawing: few crossings of the wires between columns."""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["Item", "Segment", "best_orders", "crossings"]

Item = tuple[int, int | None]
Segment = tuple[Item, Item]
Order = list[list[Item]]

_STARTS = 16
_ROUNDS = 6


def crossings(order: Sequence[Sequence[Item]], segments: Sequence[Segment]) -> int:
    """Number of pairs of segments that cross. Wires that leave or enter the same item do not cross."""
    rank = {item: (column, place) for column, items in enumerate(order) for place, item in enumerate(items)}
    by_column: dict[int, list[tuple[int, int]]] = {}
    for start, stop in segments:
        column, place = rank[start]
        by_column.setdefault(column, []).append((place, rank[stop][1]))
    return sum(
        (a - c) * (b - d) < 0 for pairs in by_column.values() for i, (a, b) in enumerate(pairs) for c, d in pairs[:i]
    )


def best_orders(layers: Sequence[Sequence[Item]], segments: Sequence[Segment]) -> list[Order]:
    """The distinct orders with the fewest crossings that the heuristic finds; the first column stays as it is.

    From each of several starts, items are sorted by the barycentres of their neighbours, forwards and backwards, and
    neighbours are swapped while this helps. The starts are shuffled by a generator of our own with a fixed seed: the
    same cell gives the same picture.

    Source: Sugiyama, Tagawa and Toda, Methods for visual understanding of hierarchical system structures (1981).
    """
    shuffler = random.Random(0)
    counts: dict[tuple[tuple[Item, ...], ...], int] = {}
    for start in range(_STARTS):
        order = [list(items) for items in layers]
        if start:
            for items in order[1:]:
                shuffler.shuffle(items)
        for _ in range(_ROUNDS):
            before = [list(items) for items in order]
            _by_barycentre(order, segments)
            _by_swaps(order, segments)
            counts[tuple(tuple(items) for items in order)] = crossings(order, segments)
            if order == before:
                break
    fewest = min(counts.values())
    return [[list(items) for items in order] for order, count in counts.items() if count == fewest]


def _by_barycentre(order: Order, segments: Sequence[Segment]) -> None:
    """Sort each column by the mean place of its neighbours: forwards by the left ones, backwards by the right ones."""
    for forwards in (True, False):
        neighbours: dict[Item, list[Item]] = {}
        for start, stop in segments:
            here, there = (stop, start) if forwards else (start, stop)
            neighbours.setdefault(here, []).append(there)
        columns = range(1, len(order)) if forwards else range(len(order) - 2, 0, -1)
        for column in columns:
            beside = order[column - 1 if forwards else column + 1]
            place = {item: float(index) for index, item in enumerate(beside)}
            own = {item: float(index) for index, item in enumerate(order[column])}
            mean = {
                item: sum(place[other] for other in neighbours[item]) / len(neighbours[item])
                if item in neighbours
                else own[item]
                for item in order[column]
            }
            order[column].sort(key=mean.__getitem__)


def _by_swaps(order: Order, segments: Sequence[Segment]) -> None:
    """Swap neighbours in a column while this removes a crossing."""
    count = crossings(order, segments)
    better = True
    while better:
        better = False
        for items in order[1:]:
            for i in range(len(items) - 1):
                items[i], items[i + 1] = items[i + 1], items[i]
                swapped = crossings(order, segments)
                if swapped < count:
                    count, better = swapped, True
                else:
                    items[i], items[i + 1] = items[i + 1], items[i]
