"""Search spaces: candidate operations on the edges of a cell, genotypes, and their notations.

Outside, use the names below; `get_space` also reads the file of a user-defined space.
"""

from __future__ import annotations

from zarts.errors import SettingsError, did_you_mean
from zarts.runtime.paths import path_of
from zarts.spaces.architecture import Architecture, architecture_in, cells_of, named
from zarts.spaces.chain import Chain, ChainStem, Stage
from zarts.spaces.custom import is_file, read_space
from zarts.spaces.darts import DARTS, DARTS_ZERO, S1, S2, S3, S4
from zarts.spaces.formats import genotype_string, load_architecture, parse_architecture, parse_genotype
from zarts.spaces.genotype import CellGenotype, Choice, Genotype
from zarts.spaces.handmade_chains import HANDMADE, handmade
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.spaces.space import PARAMETERLESS, Edge, Space
from zarts.spaces.subspace import Subspace
from zarts.spaces.zoo import published, published_sources

__all__ = [
    "HANDMADE",
    "PARAMETERLESS",
    "SPACES",
    "Architecture",
    "CellGenotype",
    "Chain",
    "ChainStem",
    "Choice",
    "Edge",
    "Genotype",
    "Space",
    "Stage",
    "Subspace",
    "architecture_in",
    "cells_of",
    "genotype_string",
    "get_space",
    "handmade",
    "is_file",
    "load_architecture",
    "named",
    "parse_architecture",
    "parse_genotype",
    "published",
    "published_sources",
]

SPACES: dict[str, Space] = {space.name: space for space in (DARTS, DARTS_ZERO, S1, S2, S3, S4, NASBENCH201)}

_BUILT_IN = frozenset(SPACES)


def get_space(name: str) -> Space:
    """The space of that name, or of a YAML file; the file's space is registered under its own name.

    Raises:
        SettingsError: there is no such space, the file describes none, or its name is that of a built-in space.
    """
    if is_file(name):
        custom = read_space(path_of(name))
        if custom.name in _BUILT_IN:
            raise SettingsError(f"{name}: space {custom.name!r} is built in: choose another name")
        SPACES[custom.name] = custom
        return custom
    if name not in SPACES:
        raise SettingsError(did_you_mean("space", name, SPACES, "zarts list spaces"))
    return SPACES[name]
