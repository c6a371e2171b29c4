"""Groups of a cell's edges, and the operations that run on them with the weights of a call."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from zarts.spaces import Space

__all__ = ["Group", "Place", "Route", "Running", "layout"]


@dataclass(frozen=True)
class Place:
    """An operation on an edge.

    Args:
        edge: row of alpha.
        op: column of alpha.
        source: position of the edge's source among the sources of its group.
        target: position of the edge's target among the nodes behind those sources.
        merges: column and name of the operations that are merged into this one, see `zarts.supernet.merged_ops`.
    """

    edge: int
    op: int
    source: int
    target: int
    merges: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Group:
    """The edges that leave nodes which are ready at the same time.

    Args:
        behind: the first node behind them.
        sources: number R of those nodes.
        targets: number T of nodes behind them.
        places: for each operation the edges with it, its slots, ordered by target and then by source.
        edges: row of alpha of the edge from each source to each target.
    """

    behind: int
    sources: int
    targets: int
    places: dict[str, tuple[Place, ...]]
    edges: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Route:
    """The running slots of one operation in a group, s of them.

    Args:
        sources: source of each slot.
        edges: edge of each slot, a row of alpha.
        chosen: the running slots among all; None if all run.
        weight: weight of each.
        owner: one-hot rows: which source a slot reads.
        target: one-hot rows: which target a slot enters.
        mix: weight from each source to each target, for operations that are the same for all targets.
    """

    sources: tuple[int, ...]
    edges: tuple[int, ...]
    chosen: Int[Tensor, " s"] | None
    weight: Float[Tensor, " s"]
    owner: Float[Tensor, "s sources"]
    target: Float[Tensor, "s targets"]
    mix: Float[Tensor, "sources targets"]


class Running:
    """The operations that run in the cells of one type: all, or with constant weights those whose weight is not 0.

    Args:
        groups: the layout of the cells.
        weights: of every operation on every edge.
        left: whether each of them may run at all; None: all may. The others have weight 0.
    """

    def __init__(
        self, groups: list[Group], weights: Float[Tensor, "edges ops"], left: list[list[bool]] | None = None
    ) -> None:
        self.weights, self.left = weights, left
        rows = left if weights.requires_grad else weights.tolist()
        self._groups = groups
        self._routes: dict[tuple[int, str], Route] = {}
        self._kept: list[dict[str, list[int]]] = []
        noise = []
        for group in groups:
            kept = {}
            for name, places in group.places.items():
                slots = [slot for slot, place in enumerate(places) if rows is None or rows[place.edge][place.op] != 0]
                if name == "noise":
                    noise += [
                        (places[slot].edge, places[slot].op, group.behind + places[slot].target) for slot in slots
                    ]
                elif slots and name != "none":
                    kept[name] = slots
            self._kept.append(kept)
        first = groups[0].behind
        self.noise = [(edge, node - first, weights[edge, op]) for edge, op, node in sorted(noise)]
        """Each edge with running `noise`, its target and its weight, in the order of the edges."""

    def names(self, group: int) -> list[str]:
        """The operations that run in a group, but for `none` and `noise`."""
        return list(self._kept[group])

    def route(self, group: int, name: str) -> Route:
        """The running slots of an operation, with their weights."""
        if (group, name) not in self._routes:
            of = self._groups[group]
            self._routes[group, name] = _route(of, of.places[name], self._kept[group][name], self.weights)
        return self._routes[group, name]

    def prepare(self) -> None:
        """Make all routes now; else the first cell to need one makes it, which a cell that runs twice must not do."""
        for group in range(len(self._groups)):
            for name in self.names(group):
                self.route(group, name)

    def totals(self, group: int) -> Float[Tensor, "sources targets"]:
        """The sum of the weights of the operations on each edge of a group."""
        return self.weights.sum(-1)[torch.tensor(self._groups[group].edges, device=self.weights.device)]

    def slots(self, group: int, name: str, first: int = 0) -> Int[Tensor, "4 slots"]:
        """The running slots as numbers: for each its position, the node read, the node entered, its weight's index.

        Args:
            group: the group.
            name: the operation.
            first: the node that nodes are counted from.
        """
        of = self._groups[group]
        return _slots(of, name, tuple(self._kept[group][name]), self.weights.shape[1], first)


def layout(space: Space, kind: str) -> list[Group]:
    """The groups of a cell type: the edges that leave the inputs, and then for each node those that leave it."""
    last = space.inputs + space.nodes
    ready = [tuple(range(space.inputs)), *((node,) for node in range(space.inputs, last - 1))]
    return [_group(space, kind, sources) for sources in ready]


def _group(space: Space, kind: str, sources: tuple[int, ...]) -> Group:
    behind = sources[-1] + 1
    found: dict[str, list[Place]] = {}
    for edge, (target, source) in enumerate(space.edges):
        if source in sources:
            for op, name in enumerate(space.candidates[kind][edge]):
                place = Place(edge, op, sources.index(source), target - behind)
                found.setdefault(name, []).append(place)
    targets = range(behind, space.inputs + space.nodes)
    edges = tuple(tuple(space.edges.index((target, source)) for target in targets) for source in sources)
    return Group(behind, len(sources), len(targets), {n: tuple(p) for n, p in found.items()}, edges)


@lru_cache(maxsize=1024)
def _slots(group: Group, name: str, kept: tuple[int, ...], ops: int, first: int) -> Int[Tensor, "4 slots"]:
    """See `Running.slots`."""
    places = [group.places[name][slot] for slot in kept]
    sources, targets = group.behind - group.sources - first, group.behind - first
    return torch.tensor(
        [
            list(kept),
            [sources + place.source for place in places],
            [targets + place.target for place in places],
            [place.edge * ops + place.op for place in places],
        ]
    )


def _route(group: Group, places: tuple[Place, ...], kept: list[int], weights: Tensor) -> Route:
    running = [places[slot] for slot in kept]
    chosen = None if len(kept) == len(places) else torch.tensor(kept, device=weights.device)
    edges = tuple(place.edge for place in running)
    weight = weights[list(edges), [place.op for place in running]]
    sources = tuple(place.source for place in running)
    owner = _one_hot(sources, group.sources, weights)
    target = _one_hot(tuple(place.target for place in running), group.targets, weights)
    return Route(sources, edges, chosen, weight, owner, target, owner.T @ (weight[:, None] * target))


def _one_hot(positions: tuple[int, ...], count: int, like: Tensor) -> Tensor:
    return functional.one_hot(torch.tensor(positions, device=like.device), count).to(like.dtype)
