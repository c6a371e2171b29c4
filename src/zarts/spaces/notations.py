"""Genotypes as text: the project's own JSON, and the notations of the literature, both ways."""

from __future__ import annotations

from pathlib import Path

from zarts.spaces import darts_string, nasbench201
from zarts.spaces.genotype import Genotype, read_text

__all__ = ["genotype_string", "load_genotype", "parse_genotype"]


def parse_genotype(text: str, where: str = "genotype") -> Genotype:
    """Read a genotype: JSON, a string of NAS-Bench-201, or DARTS' `Genotype(...)`; see `darts_string.from_string`.

    Raises:
        RunError: `text` is none of these, or no space has such an architecture; the message begins with `where`.
        SettingsError: a string `|op~0|+...` that names no architecture of NAS-Bench-201.
    """
    match text.lstrip()[:1]:
        case "{":
            return Genotype.from_json(text, where)
        case "|":
            return nasbench201.from_string(text)
        case _:
            return darts_string.from_string(text, where)


def load_genotype(path: str | Path) -> Genotype:
    """Read a file with a genotype in one of these notations.

    Raises:
        RunError: the file is not there.
        RunError, SettingsError: see `parse_genotype`.
    """
    return parse_genotype(read_text(path), str(path))


def genotype_string(genotype: Genotype) -> str:
    """The genotype in the notation of the literature: NAS-Bench-201's in its space, DARTS' in the others."""
    if genotype.space == nasbench201.NASBENCH201.name:
        return nasbench201.to_string(genotype)
    return darts_string.to_string(genotype)
