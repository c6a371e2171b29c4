"""Published genotypes, kept as data in the format of a genotype file."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from zarts.errors import SettingsError, did_you_mean
from zarts.spaces.genotype import Choice, Genotype

__all__ = ["published", "published_sources"]


def published(name: str) -> Genotype:
    """The published genotype of that name.

    Raises:
        SettingsError: there is none.
    """
    records = _records()
    if name not in records:
        raise SettingsError(did_you_mean("published genotype", name, records, "zarts list genotypes"))
    cells = {
        kind: tuple(tuple(Choice(op, source) for op, source in node) for node in nodes)
        for kind, nodes in records[name]["cells"].items()
    }
    return Genotype(records[name]["space"], cells)


def published_sources() -> dict[str, str]:
    """Names of all published genotypes, each with the paper and repository that it comes from."""
    return {name: record["source"] for name, record in _records().items()}


@cache
def _records() -> dict[str, dict[str, Any]]:
    text = resources.files("zarts.spaces").joinpath("published.json").read_text(encoding="utf-8")
    records: dict[str, dict[str, Any]] = json.loads(text)
    return records
