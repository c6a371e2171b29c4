"""How much each operation weighs on each edge at the end of a search: what hovering an edge of the report shows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from zarts.errors import RunError, SettingsError
from zarts.relax import Encoding
from zarts.spaces import SPACES, Space
from zarts.spaces.own import read_space

__all__ = ["EdgeWeights", "Weight", "final_weights"]


class Weight(NamedTuple):
    """An operation, and its weight, 0 to 1."""

    op: str
    weight: float


EdgeWeights = dict[str, dict[tuple[int, int], list[Weight]]]
"""Cell type and `(target, source)` to the operations of that edge, the heaviest first."""


def final_weights(result: Mapping[str, Any], folder: Path) -> EdgeWeights:
    """The softmax of the final alphas, times the weight of the edge where edges have one.

    Args:
        result: what `result.json` has.
        folder: the run's; it has a copy of a space of one's own.

    Returns:
        Nothing where the run has no alphas, or is of a space that is not known here.

    Raises:
        RunError: alphas that are not of the shape of the space.
    """
    alphas, betas = result.get("alphas"), result.get("betas")
    if not alphas:
        return {}
    try:
        space = _space(str(result.get("space")), folder / "space.yaml")
        if space is None:
            return {}
        matrices = {kind: torch.tensor(alphas[kind], dtype=torch.float64) for kind in space.candidates}
        entries = [torch.tensor(betas[kind], dtype=torch.float64) for kind in space.candidates] if betas else []
        space.check_weights(matrices)
        strengths = Encoding(space, bool(betas)).strengths(torch.cat([space.flatten(matrices), *entries]))
    except (KeyError, TypeError, ValueError, RuntimeError, SettingsError) as error:
        raise RunError(f"{folder / 'result.json'}: alphas that are not of its space ({error})") from error
    return {
        kind: {
            edge: sorted(map(Weight, ops, row), key=lambda pair: -pair.weight)
            for edge, ops, row in zip(space.edges, space.candidates[kind], matrix.tolist(), strict=True)
        }
        for kind, matrix in strengths.items()
    }


def _space(name: str, own: Path) -> Space | None:
    return read_space(own) if own.exists() else SPACES.get(name)
