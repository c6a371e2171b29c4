"""Genotypes: the operations on the edges of each cell type, frozen, with JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from zarts.errors import FileError
from zarts.readers import malformed, parse_json, read_text

__all__ = ["CellGenotype", "Choice", "Genotype"]

_FORMAT = 1


class Choice(NamedTuple):
    """One chosen edge into a node: `op` applied to the output of node `source`."""

    op: str
    source: int


CellGenotype = tuple[tuple[Choice, ...], ...]
"""For each intermediate node, in node order, its chosen incoming edges: strongest first, or all by source."""


@dataclass(frozen=True)
class Genotype:
    """The architecture that a search derives.

    Args:
        space: name of the search space that it belongs to.
        cells: cell type (`normal`, `reduce`) to the choices of its nodes. Nodes are numbered as in the
            papers: first the cell's inputs (0 and 1, or 0 alone), then the intermediate nodes.
    """

    space: str
    cells: Mapping[str, CellGenotype]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", MappingProxyType(dict(self.cells)))

    def __hash__(self) -> int:
        return hash((self.space, tuple(sorted(self.cells.items()))))

    def __reduce__(self) -> tuple[type[Genotype], tuple[str, dict[str, CellGenotype]]]:
        return Genotype, (self.space, dict(self.cells))

    def count(self, kind: str, ops: frozenset[str]) -> int:
        """How many edges of cell type `kind` carry one of `ops`."""
        return sum(choice.op in ops for node in self.cells[kind] for choice in node)

    def describe(self, kind: str) -> str:
        """Cell type `kind` in one line, node by node: `sep_conv_3x3<-0 + skip_connect<-1; ...`."""
        nodes = [" + ".join(f"{op}<-{source}" for op, source in node) for node in self.cells[kind]]
        return "; ".join(nodes)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the inverse of `from_dict`."""
        cells = {kind: [[list(choice) for choice in node] for node in nodes] for kind, nodes in self.cells.items()}
        return {"format": _FORMAT, "space": self.space, "cells": cells}

    def to_json(self) -> str:
        """JSON text: one line a node, so that two genotypes can be compared by eye and by diff."""
        cells = ",\n".join(
            f'    "{kind}": [\n'
            + ",\n".join(f"      {json.dumps([list(c) for c in node])}" for node in nodes)
            + "\n    ]"
            for kind, nodes in self.cells.items()
        )
        return f'{{\n  "format": {_FORMAT},\n  "space": {json.dumps(self.space)},\n  "cells": {{\n{cells}\n  }}\n}}\n'

    @staticmethod
    def from_dict(data: Any, where: str = "genotype") -> Genotype:
        """Read plain data as `to_dict` writes it.

        Raises:
            RunError: `data` has not the form of a genotype; the message begins with `where`.
        """
        with malformed(where, "a genotype", way_out="; expected the keys format, space, cells"):
            if data["format"] != _FORMAT:
                raise FileError(
                    f"{where}: format {data['format']!r} is not {_FORMAT}: written by another version of zarts"
                )
            if not isinstance(data["space"], str):
                raise TypeError("space is not text")
            cells = {
                kind: tuple(tuple(Choice(str(op), int(source)) for op, source in node) for node in nodes)
                for kind, nodes in data["cells"].items()
            }
            return Genotype(data["space"], cells)

    @staticmethod
    def from_json(text: str, where: str = "genotype") -> Genotype:
        """Read JSON text as `to_json` writes it.

        Raises:
            RunError: `text` is no JSON or has not the form of a genotype.
        """
        return Genotype.from_dict(parse_json(text, where), where)

    @staticmethod
    def load(path: str | Path) -> Genotype:
        """Read a genotype file.

        Raises:
            RunError: the file is not there or is not a genotype.
        """
        return Genotype.from_json(read_text(path), where=str(path))
