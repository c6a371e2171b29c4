"""Subspaces: the operations of each edge that are left when others have been dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from zarts.spaces.genotype import Genotype
from zarts.spaces.space import Space

__all__ = ["Subspace"]

Matrices = Mapping[str, Float[Tensor, "_ _"]]


@dataclass(frozen=True, eq=False)
class Subspace:
    """Some operations of each edge, the same number on all edges of a cell type.

    Args:
        whole: the space.
        kept: cell type to the columns `(edges, k)` of the operations that are left, in ascending order.
    """

    whole: Space
    kept: Mapping[str, Int[Tensor, "_ _"]]

    @staticmethod
    def all_of(space: Space) -> Subspace:
        """The subspace from which nothing has been dropped."""
        return Subspace(
            space, {kind: torch.arange(ops).expand(edges, ops) for kind, (edges, ops) in space.shapes.items()}
        )

    @cached_property
    def space(self) -> Space:
        """The subspace as a space of the same name, so that its genotypes are genotypes of the whole one."""
        if self.shapes == self.whole.shapes:
            return self.whole
        candidates = {
            kind: tuple(
                tuple(ops[column] for column in row)
                for ops, row in zip(self.whole.candidates[kind], rows.tolist(), strict=True)
            )
            for kind, rows in self.kept.items()
        }
        return replace(self.whole, candidates=candidates)

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Shape `(edges, k)` of alpha for each cell type."""
        return {kind: (rows.shape[0], rows.shape[1]) for kind, rows in self.kept.items()}

    def scatter(self, matrices: Matrices, fill: float = 0.0) -> dict[str, Float[Tensor, "_ _"]]:
        """One number for each operation of the whole space: the given ones for those that are left, `fill` for others.

        Differentiable in the given ones; where nothing has been dropped, it is these themselves.
        """
        return {
            kind: matrix
            if matrix.shape == self.whole.shapes[kind]
            else matrix.new_full(self.whole.shapes[kind], fill).scatter(1, self.kept[kind].to(matrix.device), matrix)
            for kind, matrix in matrices.items()
        }

    def gather(self, matrices: Matrices) -> dict[str, Float[Tensor, "_ _"]]:
        """The numbers for the operations that are left, from one for each operation of the whole space."""
        return {kind: matrix.gather(1, self.kept[kind].to(matrix.device)) for kind, matrix in matrices.items()}

    def mask(self) -> dict[str, Bool[Tensor, "_ _"]]:
        """Whether each operation of the whole space is left."""
        ones = {kind: torch.ones(shape, dtype=torch.float32) for kind, shape in self.shapes.items()}
        return {kind: matrix.bool() for kind, matrix in self.scatter(ones).items()}

    def strongest(self, strengths: Matrices, count: int, genotype: Genotype) -> Subspace:
        """The subspace in which each edge keeps the `count` strongest of its operations that are left now.

        Where derived cells have no `none`, it is never the only one that is left. Of equal strengths the lower column
        stays.

        Args:
            strengths: cell type to the strength of every operation of the whole space.
            count: how many stay; an edge with fewer keeps all.
            genotype: the one that would be derived now; its operations stay before all others, because within limits
                they need not be the strongest.
        """
        needed, kept = self.whole.one_hot(genotype), {}
        for kind, rows in self.kept.items():
            values = strengths[kind].detach().cpu().double()
            if count == 1 and self.whole.keep is not None:
                none = [[op == "none" for op in ops] for ops in self.whole.candidates[kind]]
                values = values.masked_fill(torch.tensor(none), -torch.inf)
            values = values.masked_fill(needed[kind] > 0, torch.inf).gather(1, rows)
            order = values.sort(dim=1, descending=True, stable=True).indices[:, :count]
            kept[kind] = rows.gather(1, order).sort(dim=1).values
        return Subspace(self.whole, kept)
