"""What can be chosen: operations on the edges of a cell, genotypes, and the rule that derives them."""

from __future__ import annotations

from zarts.errors import SettingsError, unknown
from zarts.spaces.darts import DARTS, DARTS_ZERO, S1, S2, S3, S4
from zarts.spaces.genotype import CellGenotype, Choice, Genotype
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.spaces.notations import genotype_string, load_genotype, parse_genotype
from zarts.spaces.published import published, published_sources
from zarts.spaces.space import PARAMETERLESS, Edge, Space

__all__ = [
    "PARAMETERLESS",
    "SPACES",
    "CellGenotype",
    "Choice",
    "Edge",
    "Genotype",
    "Space",
    "genotype_string",
    "get_space",
    "load_genotype",
    "parse_genotype",
    "published",
    "published_sources",
]

SPACES: dict[str, Space] = {space.name: space for space in (DARTS, DARTS_ZERO, S1, S2, S3, S4, NASBENCH201)}


def get_space(name: str) -> Space:
    """The space of that name.

    Raises:
        SettingsError: there is none.
    """
    if name not in SPACES:
        raise SettingsError(unknown("space", name, SPACES))
    return SPACES[name]
