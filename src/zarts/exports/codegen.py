"""A network as one readable Python file, made from a template."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from zarts.spaces import CellGenotype, Genotype
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.training import ModelCard

__all__ = ["python_file"]

_LINE = 120
_TEMPLATES = {NASBENCH201.name: "nasbench201.py.j2"}


def python_file(card: ModelCard) -> str:
    """The text of `model.py`, formatted as by ruff; it needs only torch, and `weights.pt` beside it.

    Modules have the same names as in zarts, so that the weights fit both.
    """
    used = {choice.op for nodes in card.genotype.cells.values() for node in nodes for choice in node}
    text = (
        _environment()
        .get_template(_TEMPLATES.get(card.genotype.space, "cells.py.j2"))
        .render(
            card=card,
            space=re.sub(r"[^\w-]", "", card.genotype.space),  # goes into code, and a file may name any space
            used=used,
            separable=any(op.startswith("sep_conv") for op in used),
            dilated=any(op.startswith("dil_conv") for op in used),
            cells={kind: _nodes(card.genotype, kind) for kind in card.genotype.cells},
            classes=_listed("CLASSES", card.classes),
            nodes=len(card.genotype.cells["normal"]),
        )
    )
    return text.rstrip("\n") + "\n"


def _nodes(genotype: Genotype, kind: str) -> list[str]:
    return [_node(node) for node in genotype.cells[kind]]


def _node(choices: CellGenotype | Iterable[tuple[str, int]]) -> str:
    parts = ", ".join(f'("{op}", {source})' for op, source in choices)
    return f"[{parts}],"


def _listed(name: str, values: Iterable[str]) -> str:
    """An assignment of a list, on one line if it fits."""
    texts = [_quoted(value) for value in values]
    line = f"{name} = [{', '.join(texts)}]"
    if len(line) <= _LINE:
        return line
    return f"{name} = [\n" + "".join(f"    {text},\n" for text in texts) + "]"


def _quoted(text: str) -> str:
    """A string literal as a formatter writes it: in double quotes, unless the text contains them."""
    literal = repr(text)
    if literal[0] == "'" and '"' not in text:
        return f'"{literal[1:-1]}"'
    return literal


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("zarts.exports"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
