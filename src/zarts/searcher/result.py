"""The record of a finished search, in memory and in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from zarts.config import SearchSettings
from zarts.data import PythonData
from zarts.readers import malformed
from zarts.runs import Run
from zarts.spaces import PARAMETERLESS, Genotype, get_space

__all__ = ["SearchRecord", "counts", "read_result", "write_result"]


@dataclass(frozen=True)
class SearchRecord:
    """What a search leaves; `zarts.SearchRecord` adds what can be done next.

    Args:
        genotype: the genotype that the selection derived or, after early stopping, that of the chosen epoch.
        alphas: cell type to the final alpha `(edges, ops)`; empty for method `random`.
        history: all logged events, in order.
        run: the run folder.
        seconds: wall time of all steps, over all resumptions.
        betas: cell type to the final entries of the edges `(edges,)`, see `relax.Parameterization`; empty where edges
            have no weights of their own.
        images: the images, if they were given as Python objects: a retraining of this result takes the same ones.
    """

    genotype: Genotype
    alphas: dict[str, Tensor]
    history: list[dict[str, Any]]
    run: Path
    seconds: float
    betas: dict[str, Tensor] = field(default_factory=dict)
    images: PythonData | None = field(default=None, repr=False, compare=False)


def counts(genotype: Genotype) -> dict[str, dict[str, int]]:
    """Number of parameterless operations and of identities in each cell: many are the sign of a collapse."""
    return {
        "parameterless": {kind: genotype.count(kind, PARAMETERLESS) for kind in genotype.cells},
        "skip": {kind: genotype.count(kind, frozenset({"skip_connect"})) for kind in genotype.cells},
    }


def write_result(
    settings: SearchSettings,
    run: Run,
    genotype: Genotype,
    alphas: Mapping[str, Tensor],
    seconds: float,
    costs: Mapping[str, int] = MappingProxyType({}),
    betas: Mapping[str, Tensor] = MappingProxyType({}),
) -> SearchRecord:
    """Write `genotype.json` and `result.json`; the latter marks the run as finished."""
    matrices, entries = ({kind: part.cpu() for kind, part in parts.items()} for parts in (alphas, betas))
    run.write("genotype.json", genotype.to_json())
    run.write_json(
        "result.json",
        {
            "command": "search",
            "method": settings.method,
            "space": settings.space,
            "data": settings.data,
            "genotype": genotype.to_dict(),
            **counts(genotype),
            **costs,
            "alphas": {kind: matrix.tolist() for kind, matrix in matrices.items()},
            **({"betas": {kind: row.tolist() for kind, row in entries.items()}} if entries else {}),
            "seconds": seconds,
        },
    )
    return SearchRecord(genotype, matrices, run.events(), run.path, seconds, entries)


def read_result(settings: SearchSettings, run: Run) -> SearchRecord:
    """The result of a finished run.

    Raises:
        RunError: it cannot be read, or its genotype is not of the space in the settings.
    """
    where = str(run.path / "result.json")
    result = run.read_json("result.json")
    with malformed(where, "the result of a search"):
        genotype = Genotype.from_dict(result["genotype"], where)
        alphas, betas = (
            {kind: torch.tensor(part) for kind, part in parts.items()}
            for parts in (result["alphas"], result.get("betas", {}))
        )
        seconds = float(result["seconds"])
    get_space(settings.space).check(genotype, where)
    return SearchRecord(genotype, alphas, run.events(), run.path, seconds, betas)
