"""Genotypes within limits, and the costs of the networks that a search derives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # its parts are imported when they are used
import torch
from jaxtyping import Float
from torch import Tensor

from zarts.config import RetrainSettings, SearchSettings
from zarts.data import DataSet
from zarts.errors import SettingsError
from zarts.limits.profiler import Cost, count_costs
from zarts.relax import Matrices
from zarts.spaces import Genotype, Space

__all__ = ["FINAL_NETWORKS", "Constraints", "Costs", "Limit"]

_DRAWS = 1000

_NUDGE = 1e-3
"""Weight of a random preference, beside 1 for an operation of the genotype."""


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


class Constraints:
    """The genotypes of a space within all limits.

    Args:
        space: the space.
        limits: the limits; without any, all genotypes are within.

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
        """Whether a genotype is within all limits."""
        return all(limit.cost.of(genotype) <= limit.most for limit in self.limits)

    def derive(self, strengths: Matrices) -> Genotype:
        """The strongest genotype within the limits: that of `Space.derive`, if it is within.

        Otherwise it is the one with the largest sum of the strengths of its operations. It is found exactly, by an
        integer linear program: an operation on an edge is chosen or not, each node has its number of edges, and the
        costs of the chosen operations are within the limits.

        Args:
            strengths: cell type to the strength of every operation on every edge; -inf: never chosen.

        Raises:
            SettingsError: no genotype is within.
        """
        if not self.limits:
            return self.space.derive(strengths)
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
        """The genotype of `derive`; None where no genotype is within the limits."""
        genotype = self.space.derive(strengths)
        if self.holds(genotype):
            return genotype
        rows = [
            (kind, edge, op)
            for kind, matrix in strengths.items()
            for edge, op in (matrix.cpu().isfinite() & self.limits[0].cost.kept(kind).bool()).nonzero().tolist()
        ]
        solution = scipy.optimize.milp(
            [-float(strengths[kind][edge, op]) for kind, edge, op in rows],
            integrality=np.ones(len(rows)),
            bounds=scipy.optimize.Bounds(0, 1),
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
        """A genotype drawn uniformly from those within the limits; after a thousand failures one near the last draw."""
        for _ in range(_DRAWS):
            genotype = self.space.random(generator)
            if self.holds(genotype):
                break
        return self.nearest(genotype, generator)

    def nearest(self, genotype: Genotype, generator: torch.Generator) -> Genotype:
        """The genotype itself if it is within the limits, else one within them that keeps the most of its operations.

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

    def _cells(self, rows: Sequence[tuple[str, int, int]]) -> list[scipy.optimize.LinearConstraint]:
        """At most one operation an edge, and the right number of edges a node: what makes a genotype."""
        space = self.space
        by_edge: dict[tuple[str, int], list[int]] = {}
        by_node: dict[tuple[str, int], list[int]] = {}
        for column, (kind, edge, _) in enumerate(rows):
            by_edge.setdefault((kind, edge), []).append(column)
            by_node.setdefault((kind, space.edges[edge][0]), []).append(column)
        nodes = [float(min(space.keep or node, node)) for _, node in by_node]
        return [
            scipy.optimize.LinearConstraint(_indicators(by_edge, len(rows)), -np.inf, 1),
            scipy.optimize.LinearConstraint(_indicators(by_node, len(rows)), nodes, nodes),
        ]

    def _costs(self, rows: Sequence[tuple[str, int, int]]) -> list[scipy.optimize.LinearConstraint]:
        """The limits, each plus a half: as exact, because costs are whole numbers, and safe from rounding."""
        return [
            scipy.optimize.LinearConstraint(
                np.array([[float(limit.cost.operations[kind][edge, op]) for kind, edge, op in rows]]),
                -np.inf,
                limit.most - limit.cost.base + 0.5,
            )
            for limit in self.limits
        ]


def _indicators(groups: Mapping[tuple[str, int], Sequence[int]], count: int) -> np.ndarray:
    """One row a group: 1 in its columns."""
    matrix = np.zeros((len(groups), count))
    for row, columns in zip(matrix, groups.values(), strict=True):
        row[list(columns)] = 1
    return matrix


_DEFAULTS = RetrainSettings.model_fields
FINAL_NETWORKS = {"darts": (_DEFAULTS["cells"].default, _DEFAULTS["channels"].default), "nasbench201": (5, 16)}
"""Cells and channels of the networks whose costs are counted: those of a retraining, and of the benchmark."""


class Costs:
    """Costs of the networks that a retraining builds for these images, counted only if a setting needs them.

    Args:
        settings: the limits, the weights of the regularizer, and the form of the networks.
        space: the space.
        data: the images.

    Raises:
        SettingsError: no network is within the limits.
    """

    def __init__(self, settings: SearchSettings, space: Space, data: DataSet) -> None:
        self._weight, self._penalty = settings.cost_weight, settings.limit_penalty
        most = {"parameters": ("max_params", settings.max_params), "macs": ("max_macs", settings.max_macs)}
        cells, channels = FINAL_NETWORKS[space.skeleton]
        self.counted: dict[str, Cost] = {}
        """What is counted: empty if no setting needs it."""
        if self._weight > 0 or any(limit is not None for _, limit in most.values()):
            self.counted = count_costs(
                space,
                channels=settings.final_channels or channels,
                cells=settings.final_cells or cells,
                num_classes=len(data.classes),
                in_channels=data.channels,
                image_size=data.image_size,
                stem=settings.stem,
            )
        limits = [
            Limit(setting, self.counted[name], limit) for name, (setting, limit) in most.items() if limit is not None
        ]
        self.constraints = Constraints(space, limits)
        """The genotypes that may be chosen."""
        self._most = {name: limit for name, (_, limit) in most.items()}
        if self._weight > 0:
            self._cost = self.counted[settings.cost]
            even = {kind: torch.full(shape, 1 / shape[1]) for kind, shape in space.shapes.items()}
            self._unit = self._cost.expected(even).item()

    @property
    def regularizes(self) -> bool:
        """Whether `regularizer` can be other than 0."""
        return self._weight > 0 or bool(self.constraints.limits)

    def regularizer(self, weights: Matrices) -> Float[Tensor, ""]:
        """The term that is added to the loss of alpha, differentiable in the operation weights.

        `limit_penalty` times the share of each limit by which the expected cost is beyond it, and `cost_weight` times
        the expected cost, in units of the one at equal weights.

        Source: Cai et al., ProxylessNAS (ICLR 2019), eq. 6 and 7; Wu et al., FBNet (CVPR 2019), eq. 2.
        Differs: parameters or MACs in the place of measured latencies; FBNet multiplies the loss by a power of
            the latency of its draw; here the expected cost is that of softmax(alpha), whatever is drawn.
        """
        total = torch.zeros((), dtype=torch.float64)
        for limit in self.constraints.limits:
            total = total + self._penalty * (limit.cost.expected(weights) / limit.most - 1).clamp_min(0)
        if self._weight > 0:
            total = total + self._weight * self._cost.expected(weights) / self._unit
        return total

    def of(self, genotype: Genotype) -> dict[str, int]:
        """The counted costs of one network."""
        return {name: cost.of(genotype) for name, cost in self.counted.items()}

    def record(self, genotype: Genotype, weights: Matrices) -> dict[str, dict[str, Any]]:
        """The log's entry: for each cost that of the operation weights, that of the genotype, and the limit."""
        return {
            name: {"expected": cost.expected(weights).item(), "derived": cost.of(genotype), "limit": self._most[name]}
            for name, cost in self.counted.items()
        }
