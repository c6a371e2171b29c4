"""What a network is built from: the cells of a genotype, or a chain; in plain data under a key that says which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zarts.errors import SettingsError
from zarts.spaces.chain import Chain
from zarts.spaces.genotype import Genotype

__all__ = ["Architecture", "architecture_in", "cells_of", "named"]

Architecture = Genotype | Chain
"""What a network is built from: cells that a search has found, or a chain."""


def named(architecture: Architecture) -> dict[str, Any]:
    """The architecture as plain data under its key, `genotype` or `chain`, as files have it."""
    key = "chain" if isinstance(architecture, Chain) else "genotype"
    return {key: architecture.to_dict()}


def architecture_in(data: Mapping[str, Any], where: str) -> Architecture:
    """The inverse of `named`; other keys are ignored.

    Raises:
        KeyError: there is neither.
        RunError: it is damaged; the message begins with `where`.
    """
    if "chain" in data:
        return Chain.from_dict(data["chain"], where)
    return Genotype.from_dict(data["genotype"], where)


def cells_of(architecture: Architecture) -> Genotype:
    """The genotype that the architecture is.

    Raises:
        SettingsError: it is a chain, which has no cells.
    """
    if isinstance(architecture, Chain):
        raise SettingsError(f"{architecture.name or 'chain'} is a network without cells: it has no genotype")
    return architecture
