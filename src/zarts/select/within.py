"""Genotypes whose networks cost no more than they may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp

from zarts.errors import SettingsError
from zarts.limits import Cost
from zarts.relax import Matrices
from zarts.spaces import Genotype, Space

__all__ = ["Limit", "Within"]

_DRAWS = 1000

_NUDGE = 1e-3
"""How much less a drawn preference weighs than an operation that is there."""


@dataclass(frozen=True)
class Limit:
    """The most that a network may cost.

    Args:
        name: what is counted.
        cost: of each network.
        most: the limit.
    """

    name: str
    cost: Cost
    most: int


class Within:
    """The genotypes of a space within all limits.

    Args:
        space: the space.
        limits: none: all genotypes are within.

    Raises:
        SettingsError: no genotype is within; the message says what the cheapest network costs.
    """

    def __init__(self, space: Space, limits: Sequence[Limit] = ()) -> None:
        self.space, self.limits = space, limits
        for limit in limits:
            if limit.cost.cheapest() > limit.most:
                raise SettingsError(
                    f"{limit.name} = {limit.most}: the cheapest network of space {space.name!r} has "
                    f"{limit.cost.cheapest()}: raise the limit, or take fewer --final-cells or --final-channels"
                )
        self.derive({kind: torch.zeros(shape) for kind, shape in space.shapes.items()})

    def holds(self, genotype: Genotype) -> bool:
        """Whether a genotype is one of them."""
        return all(limit.cost.of(genotype) <= limit.most for limit in self.limits)

    def derive(self, strengths: Matrices) -> Genotype:
        """The strongest genotype within the limits: that of `Space.derive`, if it is within.

        Otherwise it is the one with the largest sum of the strengths of its operations, which is found exactly, as
        an integer linear program: an operation on an edge is chosen or not, each node has its number of edges, and the
        costs of the chosen operations are within the limits.

        Args:
            strengths: cell type to the strength of every operation on every edge; -inf: never chosen.

        Raises:
            SettingsError: no genotype is within.
        """
        genotype = self.strongest(strengths)
        if genotype is None:
            names = " and ".join(f"{limit.name} = {limit.most}" for limit in self.limits)
            cheapest = " and ".join(str(limit.cost.cheapest()) for limit in self.limits)
            raise SettingsError(
                f"{names}: no network of space {self.space.name!r} is within both, though one is within each alone "
                f"(the cheapest have {cheapest}): raise one"
            )
        return genotype

    def strongest(self, strengths: Matrices) -> Genotype | None:
        """The same; None where there is none."""
        genotype = self.space.derive(strengths)
        if self.holds(genotype):
            return genotype
        rows = [
            (kind, edge, op)
            for kind, matrix in strengths.items()
            for edge, op in (matrix.cpu().isfinite() & self.limits[0].cost.kept(kind).bool()).nonzero().tolist()
        ]
        solution = milp(
            [-float(strengths[kind][edge, op]) for kind, edge, op in rows],
            integrality=np.ones(len(rows)),
            bounds=Bounds(0, 1),
            constraints=[*self._cells(rows), *self._costs(rows)],
            options={"mip_rel_gap": 0.0},
        )
        if solution.x is None:
            return None
        chosen = {kind: torch.full_like(matrix, -torch.inf) for kind, matrix in strengths.items()}
        for (kind, edge, op), share in zip(rows, solution.x, strict=True):
            if share > 0.5:
                chosen[kind][edge, op] = strengths[kind][edge, op]
        return self.space.derive(chosen)

    def draw(self, generator: torch.Generator) -> Genotype:
        """A genotype drawn uniformly of those within the limits; near one that is not, if all of a thousand are not."""
        for _ in range(_DRAWS):
            genotype = self.space.random(generator)
            if self.holds(genotype):
                break
        return self.nearest(genotype, generator)

    def nearest(self, genotype: Genotype, generator: torch.Generator) -> Genotype:
        """The genotype itself if it is within the limits, else one that is with the most of its operations.

        Among several of these one is drawn.
        """
        if self.holds(genotype):
            return genotype
        return self.derive(
            {
                kind: matrix + _NUDGE * torch.rand(matrix.shape, generator=generator)
                for kind, matrix in self.space.one_hot(genotype).items()
            }
        )

    def _cells(self, rows: Sequence[tuple[str, int, int]]) -> list[LinearConstraint]:
        """At most one operation an edge, and the right number of edges a node: what makes a genotype."""
        space = self.space
        by_edge: dict[tuple[str, int], list[int]] = {}
        by_node: dict[tuple[str, int], list[int]] = {}
        for place, (kind, edge, _) in enumerate(rows):
            by_edge.setdefault((kind, edge), []).append(place)
            by_node.setdefault((kind, space.edges[edge][0]), []).append(place)
        nodes = [float(min(space.keep or node, node)) for _, node in by_node]
        return [
            LinearConstraint(_indicators(by_edge, len(rows)), -np.inf, 1),
            LinearConstraint(_indicators(by_node, len(rows)), nodes, nodes),
        ]

    def _costs(self, rows: Sequence[tuple[str, int, int]]) -> list[LinearConstraint]:
        """Costs are whole numbers: half of one more than the limit is as good as the limit, and safe from rounding."""
        return [
            LinearConstraint(
                np.array([[float(limit.cost.operations[kind][edge, op]) for kind, edge, op in rows]]),
                -np.inf,
                limit.most - limit.cost.base + 0.5,
            )
            for limit in self.limits
        ]


def _indicators(groups: Mapping[tuple[str, int], Sequence[int]], count: int) -> np.ndarray:
    """One row a group: 1 at its places."""
    matrix = np.zeros((len(groups), count))
    for row, places in zip(matrix, groups.values(), strict=True):
        row[list(places)] = 1
    return matrix
