"""What can be chosen: operations on the edges of a cell, genotypes, and the rule that derives them."""

from __future__ import annotations

from pathlib import Path

from zarts.errors import SettingsError, did_you_mean
from zarts.spaces.custom import is_file, read_space
from zarts.spaces.darts import DARTS, DARTS_ZERO, S1, S2, S3, S4
from zarts.spaces.formats import genotype_string, load_genotype, parse_genotype
from zarts.spaces.genotype import CellGenotype, Choice, Genotype
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.spaces.space import PARAMETERLESS, Edge, Space
from zarts.spaces.subspace import Subspace
from zarts.spaces.zoo import published, published_sources

__all__ = [
    "PARAMETERLESS",
    "SPACES",
    "CellGenotype",
    "Choice",
    "Edge",
    "Genotype",
    "Space",
    "Subspace",
    "genotype_string",
    "get_space",
    "is_file",
    "load_genotype",
    "parse_genotype",
    "published",
    "published_sources",
]

SPACES: dict[str, Space] = {space.name: space for space in (DARTS, DARTS_ZERO, S1, S2, S3, S4, NASBENCH201)}

_BUILT_IN = frozenset(SPACES)


def get_space(name: str) -> Space:
    """The space of that name, or of a YAML file; such a one is known by its own name from then on.

    Raises:
        SettingsError: there is none, or the file describes none, or one with the name of a space of zarts.
    """
    if is_file(name):
        own = read_space(Path(name).expanduser())
        if own.name in _BUILT_IN:
            raise SettingsError(f"{name}: there is a space {own.name!r} in zarts: choose another name")
        SPACES[own.name] = own
        return own
    if name not in SPACES:
        raise SettingsError(did_you_mean("space", name, SPACES))
    return SPACES[name]
