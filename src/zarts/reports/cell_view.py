"""The cells of a search in its report: a picture and a list for each cell, and a slide for each epoch."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from markupsafe import Markup

from zarts.reports.cells import cell_svg, form_of, node_name
from zarts.reports.collapse import COLLAPSE
from zarts.reports.edge_weights import EdgeWeights
from zarts.reports.summary import Kept, RunFiles, kept
from zarts.reports.svg import inline
from zarts.reports.theme import kind_of, label_of
from zarts.spaces import PARAMETERLESS, Genotype

__all__ = ["CellView", "cell_view", "slides", "weights_data"]

_TITLES = {"normal": "Normal cell", "reduce": "Reduction cell"}


class Row(NamedTuple):
    """A node and its operations, which it adds up: operation in words, source, colour role."""

    node: str
    choices: list[tuple[str, str, str]]


class CellView(NamedTuple):
    """A cell on a page: its title, its picture with titles on the operations, and its list of nodes."""

    title: str
    svg: Markup
    rows: list[Row]


def cell_view(genotype: Genotype, kind: str, name: str, weights: EdgeWeights | None = None) -> CellView:
    """The view of one cell of a genotype.

    Args:
        genotype: has the cell.
        kind: the cell type.
        name: prefix of the ids in the picture; letters, digits and hyphens.
        weights: weights of the operations, for their titles.
    """
    inputs = form_of(genotype.space).inputs
    title = _TITLES.get(kind, f"{kind} cell")
    svg = inline(cell_svg(genotype, kind), name, f"{title}: the list of its operations follows")
    rows = [
        Row(
            node_name(node, inputs),
            [(label_of(op), node_name(source, inputs), kind_of(op).role) for op, source in choices],
        )
        for node, choices in enumerate(genotype.cells[kind], start=inputs)
    ]
    return CellView(
        title, Markup(_with_titles(svg, genotype, kind, weights or {})), rows
    )  # made by us; texts are escaped


def _with_titles(svg: str, genotype: Genotype, kind: str, weights: EdgeWeights) -> str:
    """The picture with a title on each operation and its edge, which browsers show on hover."""
    inputs = form_of(genotype.space).inputs
    drawn = {
        (node, slot): choice
        for node, choices in enumerate(genotype.cells[kind], start=inputs)
        for slot, choice in enumerate(choice for choice in choices if choice.op != "none")
    }

    def titled(match: re.Match[str]) -> str:
        node, slot = int(match["node"]), int(match["slot"])
        op, source = drawn[node, slot]
        text = f"{label_of(op)}, from {node_name(source, inputs)} to node {node_name(node, inputs)}"
        edge = dict(weights.get(kind, {}).get((node, source), ()))
        text += f", weight {edge[op]:.3f}" if op in edge else ""
        return (
            f'<g id="{match["id"]}" data-op="{node}-{slot}" data-edge="{node}-{source}">'
            f"<title>{html.escape(text, quote=False)}</title>"
        )

    return re.sub(r'<g id="(?P<id>[\w-]+-(?:edge-\d+|op|label)-(?P<node>\d+)-(?P<slot>\d+))">', titled, svg)


def slides(run: RunFiles, fragment: Callable[[CellView], str]) -> dict[str, Any]:
    """The cells of every epoch as plain data, equal cells only once; empty where there are no epochs.

    Args:
        run: the files of a search.
        fragment: renders a cell as a piece of HTML.

    Returns:
        `fragments`: pieces of HTML. `slides`: for each epoch, and for kept cells of no epoch, a `label`, the `epoch`
        (None: at the end), `parts`, the index of the fragment of each cell type, and whether the cells are `kept`, a
        sign of `collapse`, and `changed` since the slide before. `why`: the reason for the kept cells.
    """
    final = kept(run)
    if final is None or run.genotype is None:
        return {}
    fragments: dict[tuple[str, Any], str] = {}
    made: list[dict[str, Any]] = []
    for epoch, genotype in _shown(run, final).items():
        parts = []
        for index, (kind, cell) in enumerate(genotype.cells.items()):
            if (kind, cell) not in fragments:
                fragments[kind, cell] = fragment(cell_view(genotype, kind, f"cell-{index}"))
            parts.append(list(fragments).index((kind, cell)))
        made.append(
            {
                "epoch": epoch,
                "label": "at the end" if epoch is None else f"epoch {epoch}",
                "parts": parts,
                "kept": epoch == final.epoch,
                "collapse": "normal" in genotype.cells and genotype.count("normal", PARAMETERLESS) > COLLAPSE,
                "changed": bool(made) and parts != made[-1]["parts"],
            }
        )
    return {"fragments": list(fragments.values()), "slides": made, "why": final.why}


def _shown(run: RunFiles, final: Kept) -> dict[int | None, Genotype]:
    shown: dict[int | None, Genotype] = dict(run.history.items())
    if final.epoch is None:
        assert run.genotype is not None
        shown[None] = run.genotype
    return shown


def weights_data(weights: EdgeWeights, kinds: list[str]) -> list[dict[str, list[tuple[str, float, str]]]]:
    """The weights for the scripts: for each cell type and edge `target-source` its operations.

    An operation is its label, weight and colour role. Empty where there are no weights.
    """
    return (
        []
        if not weights
        else [
            {
                f"{target}-{source}": [(label_of(op), round(weight, 4), kind_of(op).role) for op, weight in edge]
                for (target, source), edge in weights.get(kind, {}).items()
            }
            for kind in kinds
        ]
    )
