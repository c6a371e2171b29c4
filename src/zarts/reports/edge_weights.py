"""How much each operation weighs on each edge: what hovering an edge of the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from zarts.errors import RunError, SettingsError
from zarts.relax import Parameterization
from zarts.spaces import SPACES, Space
from zarts.spaces.custom import read_space

__all__ = ["EdgeWeights", "Weight", "edge_weights"]


class Weight(NamedTuple):
    """An operation, and its weight, 0 to 1."""

    op: str
    weight: float


EdgeWeights = dict[str, dict[tuple[int, int], list[Weight]]]
"""Cell type and `(target, source)` to the operations of that edge, the heaviest first."""


def edge_weights(record: Mapping[str, Any], name: str, folder: Path) -> EdgeWeights:
    """The softmax of alphas, times the weight of the edge where edges have one.

    Args:
        record: has `alphas` and perhaps `betas`: what `result.json` has, or the event `genotype` of an epoch.
        name: of the space.
        folder: the run's; it has a copy of a space of one's own.

    Returns:
        Nothing where the record has no alphas, or is of a space that is not known here.

    Raises:
        RunError: alphas that are not of the shape of the space.
    """
    alphas, betas = record.get("alphas"), record.get("betas")
    if not alphas:
        return {}
    try:
        space = _space(name, folder / "space.yaml")
        if space is None:
            return {}
        matrices = {kind: torch.tensor(alphas[kind], dtype=torch.float64) for kind in space.candidates}
        entries = [torch.tensor(betas[kind], dtype=torch.float64) for kind in space.candidates] if betas else []
        space.check_weights(matrices)
        strengths = Parameterization(space, bool(betas)).strengths(torch.cat([space.flatten(matrices), *entries]))
    except (KeyError, TypeError, ValueError, RuntimeError, SettingsError) as error:
        raise RunError(f"{folder}: alphas that are not of its space ({error})") from error
    return {
        kind: {
            edge: sorted(map(Weight, ops, row), key=lambda pair: -pair.weight)
            for edge, ops, row in zip(space.edges, space.candidates[kind], matrix.tolist(), strict=True)
        }
        for kind, matrix in strengths.items()
    }


def _space(name: str, own: Path) -> Space | None:
    return read_space(own) if own.exists() else SPACES.get(name)
