"""Genotypes as text: zarts' JSON and the notations of the literature, read and written."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from zarts.errors import FileError
from zarts.readers import read_text, reason
from zarts.spaces import nasbench201
from zarts.spaces.architecture import Architecture
from zarts.spaces.chain import Chain
from zarts.spaces.darts import DARTS, S4
from zarts.spaces.genotype import CellGenotype, Choice, Genotype

__all__ = [
    "from_darts_string",
    "genotype_string",
    "load_architecture",
    "parse_architecture",
    "parse_genotype",
    "to_darts_string",
]


def parse_genotype(text: str, where: str = "genotype") -> Genotype:
    """Read a genotype: JSON, a string of NAS-Bench-201, or DARTS' `Genotype(...)`; see `from_darts_string`.

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
            return from_darts_string(text, where)


def load_architecture(path: str | Path) -> Architecture:
    """Read a file with a genotype in one of these notations, or with a chain network as JSON.

    Raises:
        RunError: the file is not there, or its content is neither.
        SettingsError: see `parse_genotype`.
    """
    return parse_architecture(read_text(path), str(path))


def parse_architecture(text: str, where: str = "genotype") -> Architecture:
    """Read a genotype, see `parse_genotype`, or a chain network as JSON.

    Raises:
        RunError: `text` is neither.
        SettingsError: see `parse_genotype`.
    """
    chain = text.lstrip().startswith("{") and '"stages"' in text
    return Chain.from_json(text, where) if chain else parse_genotype(text, where)


def genotype_string(genotype: Genotype) -> str:
    """The genotype in the notation of the literature: NAS-Bench-201's in its space, DARTS' in the others."""
    if genotype.space == nasbench201.NASBENCH201.name:
        return nasbench201.to_string(genotype)
    return to_darts_string(genotype)


_NODES = range(DARTS.inputs, DARTS.inputs + DARTS.nodes)
_FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
_FORM = "Genotype(normal=[(operation, input), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))"
_OTHER_NAMES = {  # of AutoDL-Projects and its GDAS
    "dua_sepc_3x3": "sep_conv_3x3",
    "dua_sepc_5x5": "sep_conv_5x5",
    "dil_sepc_3x3": "dil_conv_3x3",
    "dil_sepc_5x5": "dil_conv_5x5",
}
_MOST_TEXT = 20_000
"""Characters of a genotype in DARTS' notation; they have 600. Longer ones may be nested deeper than `ast` can carry."""
_UNREADABLE = (SyntaxError, TypeError, ValueError, RecursionError, MemoryError)
"""The errors that `ast` raises, by its documentation."""


def to_darts_string(genotype: Genotype) -> str:
    """The genotype of two cells as one line in DARTS' notation, which does not name the space."""
    edges = {kind: [tuple(choice) for node in nodes for choice in node] for kind, nodes in genotype.cells.items()}
    first = DARTS.inputs
    fields = ", ".join(
        f"{kind}={edges[kind]}, {kind}_concat=range({first}, {first + len(nodes)})"
        for kind, nodes in genotype.cells.items()
    )
    return f"Genotype({fields})"


def from_darts_string(text: str, where: str = "genotype") -> Genotype:
    """Read a genotype in DARTS' notation; a `NAME =` before it is ignored.

    Its space is `darts`, which allows every cell of `darts-zero` and of `s1` to `s3`; with `noise` in it, `s4`. The
    strength that GDAS writes behind the input of an edge is ignored, too.

    Raises:
        RunError: `text` has not that form, or no network of these spaces has such cells; begins with `where`.
    """
    fields = _fields(text, where)
    for kind in DARTS.candidates:
        _check_concat(fields[f"{kind}_concat"], f"{where}: {kind}_concat")
    values = {kind: _plain(fields[kind], f"{where}: {kind}") for kind in DARTS.candidates}
    cells = {kind: _cell(value, f"{where}: cell {kind!r}") for kind, value in values.items()}
    noisy = any(choice.op == "noise" for nodes in cells.values() for node in nodes for choice in node)
    space = S4 if noisy else DARTS
    genotype = Genotype(space.name, cells)
    space.check(genotype, where)
    return genotype


def _fields(text: str, where: str) -> dict[str, str]:
    """The texts of the arguments; those that are None, of which AutoDL-Projects has two, are left out."""
    if len(text) > _MOST_TEXT:
        raise FileError(f"{where}: not a genotype: has {len(text):,} characters; expected {_FORM}")
    try:
        body = ast.parse(text.strip()).body
    except _UNREADABLE as error:
        raise FileError(f"{where}: not a genotype ({reason(error)}); expected {_FORM}") from error
    match body:
        case [
            ast.Expr(value=ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=words))
            | ast.Assign(value=ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=words))
        ]:
            fields = [(word.arg, ast.get_source_segment(text.strip(), word.value) or "") for word in words]
        case _:
            raise FileError(f"{where}: not a genotype: expected one {_FORM}, got {_shown(text)}")
    given = [(str(name), value) for name, value in fields if value != "None"]
    names = [name for name, _ in given]
    if sorted(names) != list(_FIELDS):
        raise FileError(f"{where}: has the fields {', '.join(names)}; expected {', '.join(_FIELDS)}")
    return dict(given)


def _check_concat(text: str, where: str) -> None:
    """Refuse a cell whose output leaves out a node."""
    bounds = re.fullmatch(r"range\((\d), ?(\d)\)", text)
    nodes = range(int(bounds[1]), int(bounds[2])) if bounds else _plain(text, where)
    if nodes not in (_NODES, list(_NODES), tuple(_NODES)):
        raise FileError(
            f"{where} = {_shown(text)}: the output of a cell is that of all its intermediate nodes, {list(_NODES)}; "
            "networks of other cells cannot be built"
        )


def _plain(text: str, where: str) -> Any:
    try:
        return ast.literal_eval(text)
    except _UNREADABLE as error:
        raise FileError(
            f"{where} = {_shown(text)}: expected plain lists, tuples, texts and numbers; nothing is evaluated"
        ) from error


def _cell(value: Any, where: str) -> CellGenotype:
    """The nodes of a flat list of edges, or of a list with one of edges for each node."""
    match value:
        case [[str(), *_], *_]:
            if len(value) != 2 * DARTS.nodes:
                raise FileError(
                    f"{where} has {len(value)} edges; expected {2 * DARTS.nodes}, two for each of nodes {list(_NODES)}"
                )
            nodes = [value[i : i + 2] for i in range(0, len(value), 2)]
        case [*nodes] if all(isinstance(node, list | tuple) for node in nodes):
            pass
        case _:
            raise FileError(f"{where} is {_shown(repr(value))}; expected a list of (operation, input)")
    return tuple(
        tuple(_choice(edge, f"{where}, node {number}") for edge in node)
        for number, node in enumerate(nodes, start=DARTS.inputs)
    )


def _choice(edge: Any, where: str) -> Choice:
    match edge:
        case [str(op), int(source)] | [str(op), int(source), float()]:
            return Choice(_OTHER_NAMES.get(op, op), source)
        case _:
            raise FileError(f"{where}: has the edge {_shown(repr(edge))}; expected (operation, input)")


def _shown(text: str) -> str:
    """The beginning of a text, in one line."""
    return " ".join(text.split())[:60]
