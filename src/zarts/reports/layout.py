"""The layout of a cell's picture: a layered drawing, left to right, in points.

A node is a block: the pills of its incoming operations, one above the other, which run together in the node.
Its column is the length of the longest path to it. A wire that passes a column gets a lane of its own there, so
wires bend only in the gaps between columns, where no pill or node can stand in their way. It remains to choose the
order in each column (few crossings, `node_order.py`) and the heights (short, straight wires).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from zarts.errors import RunError
from zarts.reports.node_order import Item, Segment, best_orders
from zarts.spaces import CellGenotype

__all__ = ["DARTS_FORM", "Box", "Form", "Layout", "Point", "Wire", "lay_out"]

Point = tuple[float, float]

_PILL_HEIGHT = 23.0
_PILL_GAP = 9.0
_MERGE = 22.0  # from the pills to their node
_NODE = 25.0
_INPUT = (44.0, 27.0)
_OUTPUT_WIDTH = 58.0
_PORT = 13.0  # between two wires that enter the output
_LANE = 4.0
_CLEAR = {0: 20.0, 1: 13.0, 2: 9.0}  # between neighbours in a column, by how many of the two are lanes
_ORDERS = 4  # orders for which heights are computed
_SWEEPS = 15  # forwards and backwards
_STILL = 0.05  # points: less movement in a sweep counts as none
_SOFTNESS = (8.0, 3.0, 1.0, 0.5, 0.25)  # points: smaller rises count as straight; one pass for each value


class Form(NamedTuple):
    """The number of input nodes, and whether the output concatenates all other nodes or is the last one."""

    inputs: int
    concat: bool


DARTS_FORM = Form(2, concat=True)


class Box(NamedTuple):
    """A rectangle by its middle."""

    x: float
    y: float
    width: float
    height: float


class Wire(NamedTuple):
    """The line from `source` to the pill `slot` of node `target`, or to the output (no target).

    It passes through `points`, horizontally in each of them.
    """

    source: int
    target: int | None
    slot: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """Boxes and wires of a picture of `width` × `height` points; y grows downwards.

    `nodes` has the inputs too; `pills` is indexed by (node, slot), the slot in the order of the genotype.
    """

    width: float
    height: float
    nodes: dict[int, Box]
    pills: dict[tuple[int, int], Box]
    output: Box
    wires: tuple[Wire, ...]


def lay_out(cell: CellGenotype, pill_width: float, form: Form = DARTS_FORM) -> Layout:
    """Lay out a cell.

    Args:
        cell: for each intermediate node its operations and their sources.
        pill_width: width of the widest label with its margins, in points.
        form: the inputs and the output of the cell.

    Raises:
        RunError: an edge does not come from an earlier node.
    """
    graph = _Graph(cell, form)
    placed = [(order, graph.heights(order)) for order in best_orders(graph.layers, graph.segments)[:_ORDERS]]
    order, y = min(placed, key=lambda pair: graph.length(*pair))
    return _assemble(graph, order, y, pill_width)


class _Graph:
    """The cell with its columns and lanes.

    An item `(node, None)` is a block, `(wire, column)` the lane of a wire in that column.
    """

    def __init__(self, cell: CellGenotype, form: Form) -> None:
        self.cell, self.inputs = cell, form.inputs
        depth = dict.fromkeys(range(self.inputs), 0)
        for node, choices in enumerate(cell, start=self.inputs):
            for choice in choices:
                if not 0 <= choice.source < node:
                    raise RunError(
                        f"cell: node {node} has source {choice.source}; expected an earlier node, 0 to {node - 1}"
                    )
            depth[node] = 1 + max((depth[choice.source] for choice in choices), default=0)
        self.output = self.inputs + len(cell)
        outputs = range(self.inputs if form.concat else self.output - 1, self.output)
        depth[self.output] = 1 + max(depth.values())
        self.depth = depth
        self.ends = [
            (choice.source, node, slot)
            for node, choices in enumerate(cell, start=self.inputs)
            for slot, choice in enumerate(choices)
        ] + [(node, self.output, slot) for slot, node in enumerate(outputs)]
        self.layers: list[list[Item]] = [[] for _ in range(depth[self.output] + 1)]
        for node, column in depth.items():
            self.layers[column].append((node, None))
        self.routes: list[list[Item]] = []
        for wire, (source, target, _) in enumerate(self.ends):
            lanes: list[Item] = [(wire, column) for column in range(depth[source] + 1, depth[target])]
            for lane in lanes:
                self.layers[lane[1] or 0].append(lane)
            self.routes.append([(source, None), *lanes, (target, None)])
        self.segments: list[Segment] = [pair for route in self.routes for pair in pairwise(route)]

    def height(self, item: Item) -> float:
        """Height of an item in its column."""
        node, lane = item
        if lane is not None:
            return _LANE
        if node < self.inputs:
            return _INPUT[1]
        if node == self.output:
            return max(46.0, _PORT * (len(self.cell) + 1))
        pills = max(1, len(self.cell[node - self.inputs]))
        return pills * _PILL_HEIGHT + (pills - 1) * _PILL_GAP

    def ports(self, order: Sequence[Sequence[Item]]) -> list[float]:
        """Where each wire enters its target, relative to the middle of the target; sorted by the last bends."""
        rank = {item: place for column in order for place, item in enumerate(column)}
        entering: dict[int, list[tuple[int, int, int]]] = {}
        for wire, (_, target, slot) in enumerate(self.ends):
            entering.setdefault(target, []).append((rank[self.routes[wire][-2]], slot, wire))
        ports = [0.0] * len(self.ends)
        for target, wires in entering.items():
            step = _PORT if target == self.output else _PILL_HEIGHT + _PILL_GAP
            for place, (_, _, wire) in enumerate(sorted(wires)):
                ports[wire] = step * (place - (len(wires) - 1) / 2)
        return ports

    def heights(self, order: Sequence[Sequence[Item]]) -> dict[Item, float]:
        """The middle of every item, for the smallest rises of the wires under the given order and clearances."""
        ports = self.ports(order)
        gaps = [
            [
                (self.height(a) + self.height(b)) / 2 + _CLEAR[(a[1] is not None) + (b[1] is not None)]
                for a, b in pairwise(column)
            ]
            for column in order
        ]
        y = {item: float(place) for column in order for place, item in enumerate(column)}
        for softness in _SOFTNESS:
            pulls = self._pulls(ports, y, softness)
            totals = [[sum(weight for _, _, weight in pulls[item]) for item in column] for column in order]
            for _ in range(_SWEEPS):
                before = dict(y)
                for index in (*range(len(order)), *reversed(range(len(order)))):
                    column, total = order[index], totals[index]
                    wanted = [
                        sum(weight * (y[other] + shift) for other, shift, weight in pulls[item]) / weights
                        for item, weights in zip(column, total, strict=True)
                    ]
                    y.update(zip(column, _separate(wanted, total, gaps[index]), strict=True))
                if max(abs(y[item] - before[item]) for item in y) < _STILL:
                    break
        return y

    def _pulls(
        self, ports: Sequence[float], y: dict[Item, float], softness: float
    ) -> dict[Item, list[tuple[Item, float, float]]]:
        """For each item its neighbours, how far above itself it wants them, and how much.

        Flat wires pull harder than steep ones: a few repetitions turn least squares into least absolute rises,
        which leave most wires straight and put what rise there must be into few.
        """
        pulls: dict[Item, list[tuple[Item, float, float]]] = {item: [(item, 0.0, 1e-6)] for item in y}
        for wire, route in enumerate(self.routes):
            for start, stop in pairwise(route):
                port = ports[wire] if stop == route[-1] else 0.0
                lanes = (start[1] is not None) + (stop[1] is not None)
                weight = (1.0 + lanes) / max(softness, abs(y[stop] + port - y[start]))
                pulls[start].append((stop, port, weight))
                pulls[stop].append((start, -port, weight))
        return pulls

    def length(self, order: Sequence[Sequence[Item]], y: dict[Item, float]) -> float:
        """Sum of the rises of all wires: the smaller, the clearer the picture."""
        ports = self.ports(order)
        rises = [
            abs(y[stop] + (ports[wire] if stop == route[-1] else 0.0) - y[start])
            for wire, route in enumerate(self.routes)
            for start, stop in pairwise(route)
        ]
        return sum(rises, start=0.0)


def _separate(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The heights closest to the wanted ones (weighted least squares) that keep the gaps: pooled adjacent violators."""
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    pools: list[tuple[float, float, int]] = []  # mean, weight, members
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, members = want - offset, 1
        while pools and pools[-1][0] >= mean:
            other, other_weight, count = pools.pop()
            mean = (mean * weight + other * other_weight) / (weight + other_weight)
            weight, members = weight + other_weight, members + count
        pools.append((mean, weight, members))
    means = [mean for mean, _, members in pools for _ in range(members)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _assemble(graph: _Graph, order: Sequence[Sequence[Item]], y: dict[Item, float], pill_width: float) -> Layout:
    """Compute the x of columns, the boxes of items and the points of wires."""
    ports = graph.ports(order)
    top = min(y[item] - graph.height(item) / 2 for item in y)
    y = {item: middle - top for item, middle in y.items()}
    last = len(order) - 1
    widths = [_INPUT[0], *[pill_width + _MERGE + _NODE] * (last - 1), _OUTPUT_WIDTH]
    rises = [0.0] * last
    for wire, route in enumerate(graph.routes):
        for step, (start, stop) in enumerate(pairwise(route)):
            column = graph.depth[route[0][0]] + step
            port = ports[wire] if stop == route[-1] else 0.0
            rises[column] = max(rises[column], abs(y[stop] + port - y[start]))
    left = [0.0]
    for width, rise in zip(widths, rises, strict=False):
        left.append(left[-1] + width + min(92.0, 40.0 + 0.3 * rise))
    right = [x + width for x, width in zip(left, widths, strict=True)]

    nodes = {node: Box(_INPUT[0] / 2, y[node, None], *_INPUT) for node in range(graph.inputs)}
    for node in range(graph.inputs, graph.output):
        nodes[node] = Box(right[graph.depth[node]] - _NODE / 2, y[node, None], _NODE, _NODE)
    output = (graph.output, None)
    pills: dict[tuple[int, int], Box] = {}
    wires = []
    for wire, ((source, target, slot), route) in enumerate(zip(graph.ends, graph.routes, strict=True)):
        first, last = graph.depth[source], graph.depth[target]
        points = [(right[first], y[source, None])]
        for column, lane in enumerate(route[1:-1], start=first + 1):
            points += [(left[column], y[lane]), (right[column], y[lane])]
        end = y[target, None] + ports[wire]
        wires.append(Wire(source, None if target == graph.output else target, slot, (*points, (left[last], end))))
        if target != graph.output:
            pills[target, slot] = Box(left[last] + pill_width / 2, end, pill_width, _PILL_HEIGHT)
    height = max(y[item] + graph.height(item) / 2 for item in y)
    out = Box(left[-1] + _OUTPUT_WIDTH / 2, y[output], _OUTPUT_WIDTH, graph.height(output))
    return Layout(right[-1], height, nodes, pills, out, tuple(wires))
