"""A network as one readable Python file, made from a template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from zarts.spaces import CellGenotype, Chain, Genotype, Stage
from zarts.spaces.nasbench201 import NASBENCH201
from zarts.training import ModelCard

__all__ = ["python_file"]

_LINE = 120
_TEMPLATES = {NASBENCH201.name: "nasbench201.py.j2"}


def python_file(card: ModelCard) -> str:
    """The text of `model.py`, formatted as by ruff; it needs only torch, and `weights.pt` beside it.

    Modules have the same names as in zarts, so that the weights fit both.
    """
    if isinstance(card.architecture, Chain):
        return _chain_file(card, card.architecture)
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
            chain=None,
        )
    )
    return text.rstrip("\n") + "\n"


def _chain_file(card: ModelCard, chain: Chain) -> str:
    stages, stem = chain.stages, chain.stem
    strided = f", {stem.stride}" if stem.stride > 1 else ""
    pool = ", nn.MaxPool2d(3, 2, padding=1)" if stem.pool else ""
    text = (
        _environment()
        .get_template("chain.py.j2")
        .render(
            card=card,
            chain=chain,
            kinds={stage.kind for stage in stages},
            excited=any(stage.squeeze_excitation for stage in stages),
            padding=any("PaddingShortcut" in layer for layer in _layers(chain)),
            activation={"relu": "nn.ReLU", "relu6": "nn.ReLU6"}[chain.activation],
            stem=f"ConvNorm(len(MEAN), {stem.width}, {stem.kernel}{strided}){pool}",
            layers=list(_layers(chain)),
            width=chain.head or stages[-1].width,
            classes=_listed("CLASSES", card.classes),
        )
    )
    return text.rstrip("\n") + "\n"


def _layers(chain: Chain) -> Iterator[str]:
    """Each layer of a chain as an expression."""
    width = chain.stem.width
    for stage in chain.stages:
        for place in range(stage.depth):
            yield _layer(stage, width, stage.stride if place == 0 else 1)
            width = stage.width
    if chain.head is not None:
        yield f"ConvNorm({width}, {chain.head})"


def _layer(stage: Stage, inputs: int, stride: int) -> str:
    pool = [f"nn.MaxPool2d({stride}, ceil_mode=True)"] if stride > 1 and stage.downsampling == "max-pool" else []
    stride = 1 if pool else stride
    sizes, strided = f"{inputs}, {stage.width}", f", {stride}" if stride > 1 else ""
    match stage.kind:
        case "conv":
            layer = f"ConvNorm({sizes}, {stage.kernel}{strided})"
        case "residual":
            shortcut = f", Convolution({sizes}, 1, {stride})"
            if stage.shortcut == "padding":
                shortcut = f", PaddingShortcut({stage.width - inputs}, {stride})"
            shortcut = "" if (inputs, stride) == (stage.width, 1) else shortcut
            layer = f"ResidualPair({sizes}, {stride}{shortcut})"
        case "inverted":
            excited = ", excited=True" if stage.squeeze_excitation else ""
            layer = f"InvertedBottleneck({sizes}, {stage.kernel}, {stride}, {stage.expansion}{excited})"
        case "separable":
            depthwise = f"ConvNorm({inputs}, {inputs}, {stage.kernel}, {stride}, groups={inputs})"
            layer = f"nn.Sequential({depthwise}, ConvNorm({sizes}))"
        case _:
            parts = [f"nn.AvgPool2d({stride}, ceil_mode=True)"] if stride > 1 else []
            parts += [f"ConvNorm({sizes})"] if inputs != stage.width else []
            layer = f"nn.Sequential({', '.join(parts)})"
    return f"nn.Sequential({', '.join([*pool, layer])})" if pool else layer


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
