"""Weights of the operations on each edge, which the report shows on hover."""

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
    """An operation and its weight, in [0, 1]."""

    op: str
    weight: float


EdgeWeights = dict[str, dict[tuple[int, int], list[Weight]]]
"""For each cell type and edge `(target, source)`: its operations in descending order of weight."""


def edge_weights(record: Mapping[str, Any], name: str, folder: Path) -> EdgeWeights:
    """The softmax of alpha, times the weight of the edge where edges have one.

    Args:
        record: has `alphas` and perhaps `betas`, as `result.json` or the event `genotype` of an epoch.
        name: name of the space.
        folder: the run folder, which has a copy of a user-defined space.

    Returns:
        The weights; empty where the record has no alphas or the space is unknown.

    Raises:
        RunError: the alphas do not have the shape of the space.
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
        raise RunError(f"{folder}: its alphas do not fit space {name!r} ({error})") from error
    return {
        kind: {
            edge: sorted(map(Weight, ops, row), key=lambda pair: -pair.weight)
            for edge, ops, row in zip(space.edges, space.candidates[kind], matrix.tolist(), strict=True)
        }
        for kind, matrix in strengths.items()
    }


def _space(name: str, user_file: Path) -> Space | None:
    return read_space(user_file) if user_file.exists() else SPACES.get(name)
