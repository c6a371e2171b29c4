"""User-defined search spaces, read from a YAML file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zarts.errors import SettingsError, did_you_mean
from zarts.readers import read_yaml
from zarts.spaces.space import Space

__all__ = ["is_file", "read_space"]

_KINDS = ("normal", "reduce")
_KEYS = ("name", "nodes", "keep", *_KINDS)
_OTHERS = "others"


def is_file(name: str) -> bool:
    """Whether the name of a space is that of a file."""
    return Path(name).suffix in (".yaml", ".yml")


def read_space(path: Path) -> Space:
    """The space of a file with a `name`, candidates for `normal` and `reduce` cells, and perhaps `nodes` and `keep`.

    Candidates are a list of operations, the same on each edge, or a mapping from edges, as `4<-1`, to such lists, in
    which `others` stands for all edges not listed. A cell has two inputs, 0 and 1, and `nodes` (4) intermediate
    nodes, 2 and on, of which each has an edge from every earlier node and keeps `keep` (2) of them when it is derived.

    Raises:
        SettingsError: the file cannot be read, or describes no space.
    """
    data = read_yaml(path, SettingsError)
    if not isinstance(data, dict) or not {"name", *_KINDS} <= set(data):
        raise SettingsError(f"{path}: no space: needs the keys name, normal and reduce")
    for key in data:
        if key not in _KEYS:
            raise SettingsError(f"{path}: {did_you_mean('key', str(key), _KEYS)}")
    name = data["name"]
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise SettingsError(f"{path}: name is {name!r}; needs a word of letters, digits, - and _")
    nodes, keep = _number(data, "nodes", 4, 12, path), _number(data, "keep", 2, 2, path)
    edges = [f"{node}<-{source}" for node in range(2, 2 + nodes) for source in range(node)]
    candidates = {kind: _candidates(data[kind], edges, f"{path}: {kind}") for kind in _KINDS}
    return Space(name, candidates, str(path), nodes=nodes, keep=keep)


def _number(data: Mapping[str, Any], key: str, default: int, most: int, path: Path) -> int:
    value = data.get(key, default)
    if type(value) is not int or not 1 <= value <= most:
        raise SettingsError(f"{path}: {key} is {value!r}; needs a whole number from 1 to {most}")
    return value


def _candidates(data: Any, edges: list[str], where: str) -> tuple[tuple[str, ...], ...]:
    by_edge = data if isinstance(data, dict) else {_OTHERS: data}
    for edge in by_edge:
        if edge not in (*edges, _OTHERS):
            raise SettingsError(
                f"{where}: there is no edge {edge!r}; edges are {edges[0]} to {edges[-1]}, and {_OTHERS}"
            )
    lists = []
    for edge in edges:
        if edge not in by_edge and _OTHERS not in by_edge:
            raise SettingsError(f"{where}: edge {edge} has no candidates: give it a list, or one to {_OTHERS}")
        ops = by_edge.get(edge, by_edge.get(_OTHERS))
        if not isinstance(ops, list) or not all(isinstance(op, str) for op in ops) or not set(ops) - {"none"}:
            raise SettingsError(f"{where}, edge {edge}: candidates are {ops!r}; needs a list of names of operations")
        if len(set(ops)) != len(ops):
            raise SettingsError(f"{where}, edge {edge}: {ops!r} has an operation twice: list each once")
        lists.append(tuple(ops))
    if len({len(ops) for ops in lists}) > 1:
        sizes = {edge: len(ops) for edge, ops in zip(edges, lists, strict=True)}
        raise SettingsError(f"{where}: all edges need the same number of candidates, got {sizes}")
    return tuple(lists)
