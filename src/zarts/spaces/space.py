"""A search space: the graph of a cell and the operations that may stand on each of its edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.errors import FileError, SettingsError
from zarts.spaces.genotype import CellGenotype, Choice, Genotype

__all__ = ["PARAMETERLESS", "Edge", "Space"]

Edge = tuple[int, int]
"""`(target, source)`: an edge into node `target` from node `source`."""

PARAMETERLESS = frozenset({"max_pool_3x3", "avg_pool_3x3", "skip_connect"})
"""Parameterless operations as papers count them (not `noise`); more than four in a normal cell are a sign of
collapse."""


@dataclass(frozen=True)
class Space:
    """The candidate operations on each edge of each cell type.

    A cell has `inputs` input nodes and `nodes` intermediate nodes; every intermediate node has an edge
    from every earlier node, ordered by target and then by source (14 edges for 2 inputs and 4 nodes).

    Args:
        name: the name in the registry.
        candidates: for each cell type and edge the names of the candidate operations. All edges of a cell type have
            the same number of candidates.
        source: where the space was published.
        inputs: number of input nodes.
        nodes: number of intermediate nodes.
        keep: how many incoming edges of a node the derived cell keeps, each with an operation other than `none`;
            None: all of them, `none` being an operation like any other.
        skeleton: the network that the cells stand in: `darts` (stacked cells, each sees the two before it, its output
            is the concatenation of its intermediate nodes) or `nasbench201` (stages of cells between residual
            blocks, each sees the one before it, its output is its last node).
    """

    name: str
    candidates: Mapping[str, tuple[tuple[str, ...], ...]]
    source: str
    inputs: int = 2
    nodes: int = 4
    keep: int | None = 2
    skeleton: str = "darts"

    def __post_init__(self) -> None:
        for kind, edges in self.candidates.items():
            if len(edges) != len(self.edges) or len({len(ops) for ops in edges}) != 1:
                raise SettingsError(
                    f"space {self.name!r}, cell {kind!r}: needs {len(self.edges)} edges with the same number of "
                    f"candidates, got {[len(ops) for ops in edges]}"
                )
        object.__setattr__(self, "candidates", MappingProxyType(dict(self.candidates)))

    def __reduce__(self) -> tuple[type[Space], tuple[Any, ...]]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Space, tuple({**values, "candidates": dict(self.candidates)}.values())

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges of a cell, in the order of the rows of alpha."""
        return tuple((node, source) for node in range(self.inputs, self.inputs + self.nodes) for source in range(node))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shape `(edges, ops)` of alpha for each cell type."""
        return {kind: (len(ops), len(ops[0])) for kind, ops in self.candidates.items()}

    @cached_property
    def dimension(self) -> int:
        """Length of the flat alpha vector."""
        return sum(edges * ops for edges, ops in self.shapes.values())

    @property
    def operations(self) -> tuple[str, ...]:
        """All candidate operations, each once."""
        return tuple(dict.fromkeys(op for edges in self.candidates.values() for edge in edges for op in edge))

    def allowed(self, kind: str) -> dict[Edge, tuple[str, ...]]:
        """For each edge of a cell type the operations that a derived cell may have on it."""
        lists = self.candidates[kind]
        if self.keep is not None:
            lists = tuple(tuple(op for op in ops if op != "none") for ops in lists)
        return dict(zip(self.edges, lists, strict=True))

    def check_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Check that there is a weight for every operation on every edge.

        Raises:
            SettingsError: weights of another shape than the space's.
        """
        for kind, shape in self.shapes.items():
            if tuple(weights[kind].shape) != shape:
                raise SettingsError(
                    f"weights[{kind!r}] has shape {tuple(weights[kind].shape)}; space {self.name!r} needs {shape}"
                )

    def split(self, flat: Float[Tensor, " d"]) -> dict[str, Float[Tensor, "edges ops"]]:
        """The flat vector as one matrix per cell type (views, in the order of `shapes`).

        Raises:
            SettingsError: the vector has not `dimension` entries.
        """
        if flat.shape != (self.dimension,):
            raise SettingsError(f"alpha has shape {tuple(flat.shape)}; space {self.name!r} needs ({self.dimension},)")
        sizes = [edges * ops for edges, ops in self.shapes.values()]
        return {
            kind: part.view(shape)
            for (kind, shape), part in zip(self.shapes.items(), torch.split(flat, sizes), strict=True)
        }

    def flatten(self, matrices: Mapping[str, Float[Tensor, "_ _"]]) -> Float[Tensor, " d"]:
        """One matrix per cell type as a flat vector: the inverse of `split`."""
        return torch.cat([matrices[kind].reshape(-1) for kind in self.shapes])

    def one_hot(self, genotype: Genotype) -> dict[str, Float[Tensor, "edges ops"]]:
        """Operation weights: 1 for the operations of a genotype of this space, 0 for all others."""
        weights = {kind: torch.zeros(shape) for kind, shape in self.shapes.items()}
        for kind, nodes in genotype.cells.items():
            for target, choices in enumerate(nodes, start=self.inputs):
                for op, source in choices:
                    edge = self.edges.index((target, source))
                    weights[kind][edge, self.candidates[kind][edge].index(op)] = 1
        return weights

    def derive(self, weights: Mapping[str, Float[Tensor, "edges ops"]]) -> Genotype:
        """The genotype of the strongest operations.

        For each node, incoming edges are ranked by their strongest operation other than `none`, and the
        `keep` strongest edges stay, strongest first, each with that operation. Where all are kept, each
        has its strongest operation, `none` or not, in the order of the sources. Equal strengths keep the
        lower index.

        Args:
            weights: for each cell type the weight of every (edge, operation), for example a softmax.

        Source: Liu et al., DARTS (ICLR 2019), section 2.4; Dong and Yang, NAS-Bench-201 (ICLR 2020).
        Differs: from the released code of DARTS-like spaces with other lists on every edge, which look for
            `none` in the list of the wrong edge.
        """
        return Genotype(self.name, {kind: self._derive_cell(kind, weights[kind]) for kind in self.candidates})

    def _derive_cell(self, kind: str, weights: Float[Tensor, "edges ops"]) -> CellGenotype:
        rows = dict(zip(self.edges, weights.detach().cpu().tolist(), strict=True))
        names = dict(zip(self.edges, self.candidates[kind], strict=True))
        incoming: dict[int, list[tuple[float, Choice]]] = {}
        for (node, source), allowed in self.allowed(kind).items():
            pairs = zip(rows[node, source], names[node, source], strict=True)
            strength, op = max(((w, op) for w, op in pairs if op in allowed), key=itemgetter(0))
            incoming.setdefault(node, []).append((strength, Choice(op, source)))
        if self.keep is None:
            return tuple(tuple(choice for _, choice in edges) for edges in incoming.values())
        return tuple(
            tuple(choice for _, choice in sorted(edges, key=itemgetter(0), reverse=True)[: self.keep])
            for edges in incoming.values()
        )

    def random(self, generator: torch.Generator) -> Genotype:
        """A genotype drawn uniformly: `keep` different inputs a node, one of the allowed operations an edge.

        Args:
            generator: the source of randomness, on the CPU.
        """
        cells: dict[str, CellGenotype] = {}
        for kind in self.candidates:
            allowed = self.allowed(kind)
            nodes = []
            for node in range(self.inputs, self.inputs + self.nodes):
                sources = sorted(torch.randperm(node, generator=generator)[: self.keep].tolist())
                ops = [allowed[node, source] for source in sources]
                nodes.append(
                    tuple(Choice(_one_of(op, generator), source) for op, source in zip(ops, sources, strict=True))
                )
            cells[kind] = tuple(nodes)
        return Genotype(self.name, cells)

    def check(self, genotype: Genotype, where: str = "genotype") -> None:
        """Refuse a genotype that this space cannot have.

        Raises:
            RunError: another space, other cell types, or an edge or operation that is not in the space.
        """
        if genotype.space != self.name:
            raise FileError(f"{where}: belongs to space {genotype.space!r}, not to {self.name!r}")
        if set(genotype.cells) != set(self.candidates):
            raise FileError(
                f"{where}: has cells {sorted(genotype.cells)}; space {self.name!r} has {sorted(self.candidates)}"
            )
        for kind, nodes in genotype.cells.items():
            allowed = self.allowed(kind)
            if len(nodes) != self.nodes:
                raise FileError(f"{where}: cell {kind!r} has {len(nodes)} nodes; space {self.name!r} has {self.nodes}")
            for node, chosen in enumerate(nodes, start=self.inputs):
                sources = [choice.source for choice in chosen]
                self._check_sources(sources, node, f"{where}: node {node} of cell {kind!r}")
                for op, source in chosen:
                    if op not in allowed.get((node, source), ()):
                        known = list(allowed.get((node, source), ()))
                        raise FileError(
                            f"{where}: cell {kind!r} has {op!r} on edge {node}<-{source}; "
                            f"space {self.name!r} allows {known or 'no such edge'}"
                        )

    def _check_sources(self, sources: list[int], node: int, where: str) -> None:
        if self.keep is None and sources != list(range(node)):
            raise FileError(f"{where} has inputs {sources}; expected all earlier nodes, {list(range(node))}")
        if self.keep is not None and (len(set(sources)) != len(sources) or len(sources) != min(self.keep, node)):
            raise FileError(f"{where} has inputs {sources}; expected {self.keep} different")


def _one_of(names: Sequence[str], generator: torch.Generator) -> str:
    return names[int(torch.randint(len(names), (1,), generator=generator))]
