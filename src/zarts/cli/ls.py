"""The command `list`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["Kind", "list_"]


class Kind(StrEnum):
    """What can be listed."""

    METHODS = "methods"
    SPACES = "spaces"
    PRESETS = "presets"
    GENOTYPES = "genotypes"


def _methods() -> Iterable[tuple[str, ...]]:
    from zarts.methods import METHODS

    axes = ("relaxation", "weight_relaxation", "supernet", "edge_normalization", "arch_optimizer", "select", "phases")
    yield "method", "what", *(axis.replace("_", " ") for axis in axes), "paper"
    for m in METHODS.values():
        yield m.name, m.summary, *(str(getattr(m, axis)) for axis in axes), m.paper


def _spaces() -> Iterable[tuple[str, ...]]:
    from zarts.spaces import SPACES

    yield "space", "edges", "operations an edge", "dimension of alpha", "operations", "source"
    for s in SPACES.values():
        yield s.name, str(len(s.edges)), str(s.shapes["normal"][1]), str(s.dimension), ", ".join(s.operations), s.source


def _presets() -> Iterable[tuple[str, ...]]:
    from zarts.config import preset_names, preset_summary

    yield "preset", "what"
    for name in preset_names():
        yield name, preset_summary(name)


def _genotypes() -> Iterable[tuple[str, ...]]:
    from zarts.spaces import published, published_sources

    yield "genotype", "space", "normal cell", "reduction cell", "source"
    for name, source in published_sources().items():
        genotype = published(name)
        yield name, genotype.space, genotype.describe("normal"), genotype.describe("reduce"), source


_ROWS = {Kind.METHODS: _methods, Kind.SPACES: _spaces, Kind.PRESETS: _presets, Kind.GENOTYPES: _genotypes}


def list_(kind: Annotated[Kind, typer.Argument(help="what to list")]) -> None:
    """List the methods, spaces, presets or published genotypes."""
    from rich.console import Console
    from rich.table import Table

    header, *rows = _ROWS[kind]()
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
