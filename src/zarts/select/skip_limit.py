"""Genotypes with a limited number of skips."""

from __future__ import annotations

from zarts.errors import SettingsError
from zarts.limits import Constraints
from zarts.relax import Matrices
from zarts.spaces import Genotype

__all__ = ["few_skips"]

_KIND, _SKIP = "normal", "skip_connect"


def few_skips(constraints: Constraints, strengths: Matrices, most: int) -> Genotype:
    """The strongest genotype after the weakest skips of its normal cell are deleted until there are at most `most`.

    A deleted skip cannot be chosen any more; its edge then has its next operation, and is ranked by that.

    Args:
        constraints: the genotypes to choose from.
        strengths: cell type to the strength of every operation on every edge.
        most: largest number of skips in the normal cell.

    Raises:
        SettingsError: no genotype of the space, or none within its limits, has so few.

    Source: Chen et al., P-DARTS (ICCV 2019), section 3.3, and its released code.
    """
    space, genotype = constraints.space, constraints.derive(strengths)
    normal = strengths[_KIND].clone()
    while genotype.count(_KIND, frozenset({_SKIP})) > most:
        skips = []
        for target, choices in enumerate(genotype.cells[_KIND], start=space.inputs):
            for op, source in choices:
                if op == _SKIP:
                    edge = space.edges.index((target, source))
                    skips.append((edge, space.candidates[_KIND][edge].index(op)))
        found, left = None, [skip for skip in skips if normal[skip].isfinite()]
        if left:
            normal[min(left, key=lambda skip: float(normal[skip]))] = -float("inf")
            found = constraints.strongest({**strengths, _KIND: normal})
        if found is None:
            limits = " within its limits" if constraints.limits else ""
            raise SettingsError(
                f"max_skips = {most}: deleting the weakest skips leaves no cell of space {space.name!r}{limits}: "
                f"take --max-skips {genotype.count(_KIND, frozenset({_SKIP}))} or more"
            )
        genotype = found
    return genotype
