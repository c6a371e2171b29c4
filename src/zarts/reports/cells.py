"""Pictures of the cells of a genotype as SVG and PNG, without a program outside Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zarts.reports.layout import DARTS_FORM, Box, Form, Layout, Wire, lay_out
from zarts.reports.primitives import Curve, Picture, Plate, Shape, Tip, Words, to_svg
from zarts.reports.raster import figure_of, text_width
from zarts.reports.svg import drawing, to_png
from zarts.reports.theme import kind_of, label_of
from zarts.runtime.io import write_atomically
from zarts.spaces import SPACES, CellGenotype, Genotype

__all__ = ["cell_picture", "cell_svg", "draw_cells", "form_of", "node_name"]

_FONT = 11.0
_MARGIN = 20.0
_TITLE = 30.0
_PNG_DPI = 192.0
_INPUT_NAMES = ("cₖ₋₂", "cₖ₋₁")


def draw_cells(genotype: Genotype, folder: Path) -> list[Path]:
    """Write `<cell type>.svg` and `<cell type>.png` for each cell type of a genotype.

    The same genotype gives the same bytes.

    Args:
        genotype: has the cells.
        folder: gets the files; made if it does not exist.

    Returns:
        The files, in the order of the cell types, SVG before PNG.

    Raises:
        RunError: an edge does not come from an earlier node, or a file cannot be written.
    """
    written = []
    for kind, cell in genotype.cells.items():
        picture = cell_picture(cell, kind, genotype.space)
        with drawing():
            png = to_png(figure_of(picture), _PNG_DPI)
        for suffix, data in ((".svg", to_svg(picture)), (".png", png)):
            path = folder / f"{kind}{suffix}"
            write_atomically(path, data)
            written.append(path)
    return written


def cell_svg(genotype: Genotype, kind: str) -> str:
    """The picture of one cell type as the text of an SVG file."""
    return to_svg(cell_picture(genotype.cells[kind], kind, genotype.space))


def form_of(space: str) -> Form:
    """The form of the cells of a space; that of DARTS for an unknown space."""
    known = SPACES.get(space)
    return Form(known.inputs, known.skeleton == "darts") if known else DARTS_FORM


def node_name(node: int, inputs: int) -> str:
    """A node as the pictures call it: the inputs `cₖ₋₂` and `cₖ₋₁`, or `cₖ₋₁` alone, then the genotype's numbers."""
    return _INPUT_NAMES[node - inputs] if node < inputs else str(node)


def cell_picture(cell: CellGenotype, kind: str, space: str) -> Picture:
    """The picture of a cell; an operation `none` is not drawn.

    Args:
        cell: the operations and sources of each node.
        kind: the type of the cell, for the title.
        space: name of the space.

    Raises:
        RunError: an edge does not come from an earlier node.
    """
    form = form_of(space)
    cell = tuple(tuple(choice for choice in choices if choice.op != "none") for choices in cell)
    ops = {
        (node, slot): choice.op
        for node, choices in enumerate(cell, start=form.inputs)
        for slot, choice in enumerate(choices)
    }
    with drawing():
        widths = [text_width(label_of(op), _FONT) + 18.0 for op in ops.values()]
        title = list(_title(kind, space))
    layout = lay_out(cell, max([72.0, *widths]), form)
    shapes = [*title, *_wires(layout, ops), *_pills(layout, ops), *_nodes(layout, form), *_output(layout.output, form)]
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN + _TITLE
    return Picture((-_MARGIN, -_MARGIN - _TITLE), width, height, shapes)


def _title(kind: str, space: str) -> Iterator[Shape]:
    y = -_TITLE - _MARGIN + 22.0
    name = {"normal": "Normal cell", "reduce": "Reduction cell"}.get(kind, f"{kind} cell")
    yield Words("title", -4.0, y, name, 12.0, centred=False, bold=True)
    yield Words("space", 6.0 + text_width(name, 12.0, "bold"), y, space, 10.0, "muted", centred=False)


def _wires(layout: Layout, ops: dict[tuple[int, int], str]) -> Iterator[Shape]:
    """Wires, those of later sources below; each has a margin in the colour of paper, which shows what crosses above."""
    for source in sorted({wire.source for wire in layout.wires}, reverse=True):
        wires = [wire for wire in layout.wires if wire.source == source]
        yield from (Curve("", wire.points, "paper", 4.6) for wire in wires)
        for wire in sorted(wires, key=lambda wire: wire.target is not None):
            yield from _wire(wire, None if wire.target is None else ops[wire.target, wire.slot])


def _wire(wire: Wire, op: str | None) -> Iterator[Shape]:
    kind = kind_of(op) if op else None
    role = kind.role if kind else "wire"
    name = f"edge-{wire.source}-{wire.target}-{wire.slot}" if op else f"output-{wire.source}"
    yield Curve(name, wire.points, role, 1.7 if op else 1.4, kind.dashes if kind else None)
    yield Tip(name, wire.points[-1], role)


def _pills(layout: Layout, ops: dict[tuple[int, int], str]) -> Iterator[Shape]:
    """Operations, each with the short line that adds its result to the node."""
    for (node, slot), pill in layout.pills.items():
        role, box = kind_of(ops[node, slot]).role, layout.nodes[node]
        end = (box.x - box.width / 2, box.y)
        yield Curve(f"op-{node}-{slot}", ((pill.x + pill.width / 2, pill.y), end), role, 1.7)
        yield Plate(f"op-{node}-{slot}", pill, pill.height / 2, f"{role}-tint", role)
        yield Words(f"label-{node}-{slot}", pill.x, pill.y, label_of(ops[node, slot]), _FONT)


def _nodes(layout: Layout, form: Form) -> Iterator[Shape]:
    for node, box in layout.nodes.items():
        radius = 6.0 if node < form.inputs else box.width / 2
        yield Plate(f"node-{node}", box, radius, "node", "muted")
        size = _FONT + 2.0 * (node < form.inputs)
        yield Words(f"name-{node}", box.x, box.y, node_name(node, form.inputs), size)


def _output(box: Box, form: Form) -> Iterator[Shape]:
    yield Plate("output", box, 6.0, "node", "muted")
    yield Words("name-output", box.x, box.y - 7.0 if form.concat else box.y, "cₖ", _FONT + 2.0)
    if form.concat:
        yield Words("concat", box.x, box.y + 9.0, "concat", 9.0, "muted")
