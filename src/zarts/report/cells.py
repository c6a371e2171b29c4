"""Pictures of the cells of a genotype, as SVG and PNG, with no program outside Python."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch
from matplotlib.path import Path as Curve
from matplotlib.textpath import TextPath

from zarts.files import write_atomically
from zarts.report.layout import DARTS_FORM, Box, Form, Layout, Point, Wire, lay_out
from zarts.report.palette import ROLES, kind_of, label_of
from zarts.report.svg import drawing, to_png, to_svg
from zarts.spaces import SPACES, CellGenotype, Genotype

__all__ = ["cell_svg", "draw_cells", "form_of", "node_name"]

_FONT = 11.0
_MARGIN = 20.0
_TITLE = 30.0
_PNG_DPI = 192.0
_POINTS_PER_INCH = 72.0
_INPUT_NAMES = ("cₖ₋₂", "cₖ₋₁")


def draw_cells(genotype: Genotype, folder: Path) -> list[Path]:
    """Write `<cell type>.svg` and `<cell type>.png` for each cell type of a genotype.

    The same genotype gives the same bytes.

    Args:
        genotype: what to draw.
        folder: where to; made if it is not there.

    Returns:
        The files, in the order of the cell types, SVG before PNG.

    Raises:
        RunError: an edge that does not come from an earlier node, or a file that cannot be written.
    """
    written = []
    with drawing():
        for kind, cell in genotype.cells.items():
            figure = _draw(cell, kind, genotype.space)
            for suffix, data in ((".svg", to_svg(figure).encode()), (".png", to_png(figure, _PNG_DPI))):
                path = folder / f"{kind}{suffix}"
                write_atomically(path, data)
                written.append(path)
    return written


def cell_svg(genotype: Genotype, kind: str) -> str:
    """The picture of one cell type as the text of an SVG file."""
    with drawing():
        return to_svg(_draw(genotype.cells[kind], kind, genotype.space))


def form_of(space: str) -> Form:
    """The form of a space's cells; that of DARTS for a space which is not known."""
    known = SPACES.get(space)
    return Form(known.inputs, known.skeleton == "darts") if known else DARTS_FORM


def node_name(node: int, inputs: int) -> str:
    """A node as the pictures call it: the inputs `cₖ₋₂` and `cₖ₋₁`, or `cₖ₋₁` alone, then the genotype's numbers."""
    return _INPUT_NAMES[node - inputs] if node < inputs else str(node)


def _draw(cell: CellGenotype, kind: str, space: str) -> Figure:
    """The figure of a cell; `none` is no edge. Only inside `drawing`."""
    form = form_of(space)
    cell = tuple(tuple(choice for choice in choices if choice.op != "none") for choices in cell)
    ops = {
        (node, slot): choice.op
        for node, choices in enumerate(cell, start=form.inputs)
        for slot, choice in enumerate(choices)
    }
    widths = [_text_width(label_of(op)) + 18.0 for op in ops.values()]
    layout = lay_out(cell, max([72.0, *widths]), form)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN + _TITLE
    figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH), dpi=_POINTS_PER_INCH)
    figure.set_facecolor(ROLES["paper"].light)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(-_MARGIN, width - _MARGIN)
    axes.set_ylim(height - _MARGIN - _TITLE, -_MARGIN - _TITLE)

    _draw_title(axes, kind, space)
    for wire in layout.wires:
        _draw_wire(axes, wire, None if wire.target is None else ops[wire.target, wire.slot])
    for (node, slot), pill in layout.pills.items():
        _draw_pill(axes, (node, slot), pill, layout.nodes[node], ops[node, slot])
    _draw_nodes(axes, layout, form)
    return figure


def _draw_title(axes: Axes, kind: str, space: str) -> None:
    y = -_TITLE - _MARGIN + 22.0
    name = {"normal": "Normal cell", "reduce": "Reduction cell"}.get(kind, f"{kind} cell")
    axes.text(-4.0, y, name, fontsize=12.0, fontweight="bold", va="center", gid="title")
    axes.text(
        6.0 + _text_width(name, 12.0, "bold"),
        y,
        space,
        fontsize=10.0,
        va="center",
        color=ROLES["muted"].light,
        gid="space",
    )


def _draw_wire(axes: Axes, wire: Wire, op: str | None) -> None:
    """The curve of a wire on a wider one of paper, which shows who passes over whom; those of one source are level."""
    path = _curve(wire.points)
    kind = kind_of(op) if op else None
    colour = ROLES[kind.role if kind else "wire"].light
    dashes = (0, kind.dashes) if kind and kind.dashes else "solid"
    name = f"edge-{wire.source}-{wire.target}-{wire.slot}" if op else f"output-{wire.source}"
    order = 2.0 - wire.source / 100
    axes.add_artist(PathPatch(path, fill=False, edgecolor=ROLES["paper"].light, linewidth=4.6, zorder=order))
    axes.add_artist(
        PathPatch(
            path,
            fill=False,
            edgecolor=colour,
            linewidth=1.7 if op else 1.4,
            linestyle=dashes,
            zorder=order + (0.004 if op else 0.002),
            gid=name,
        )
    )
    x, y = wire.points[-1]
    tip = Curve([(x, y), (x - 6.0, y - 3.3), (x - 6.0, y + 3.3), (x, y)], closed=True)
    axes.add_artist(PathPatch(tip, facecolor=colour, linewidth=0, zorder=order + 0.004))


def _draw_pill(axes: Axes, place: tuple[int, int], pill: Box, node: Box, op: str) -> None:
    """An operation, and the short line that adds its result to the node."""
    kind = kind_of(op)
    line, tint = ROLES[kind.role].light, ROLES[f"{kind.role}-tint"].light
    end = (node.x - node.width / 2, node.y)
    merge = _curve(((pill.x + pill.width / 2, pill.y), end))
    axes.add_artist(PathPatch(merge, fill=False, edgecolor=line, linewidth=1.7, zorder=3))
    axes.add_artist(_rounded(pill, pill.height / 2, facecolor=tint, edgecolor=line, gid=f"op-{place[0]}-{place[1]}"))
    axes.text(
        pill.x,
        pill.y,
        label_of(op),
        fontsize=_FONT,
        ha="center",
        va="center_baseline",
        zorder=4,
        gid=f"label-{place[0]}-{place[1]}",
    )


def _draw_nodes(axes: Axes, layout: Layout, form: Form) -> None:
    node_face, edge = ROLES["node"].light, ROLES["muted"].light
    for node, box in layout.nodes.items():
        if node < form.inputs:
            axes.add_artist(_rounded(box, 6.0, facecolor=node_face, edgecolor=edge, gid=f"node-{node}"))
        else:
            circle = Circle((box.x, box.y), box.width / 2, facecolor=node_face, edgecolor=edge, linewidth=1.1, zorder=3)
            circle.set_gid(f"node-{node}")
            axes.add_artist(circle)
        axes.text(
            box.x,
            box.y,
            node_name(node, form.inputs),
            fontsize=_FONT + 2.0 * (node < form.inputs),
            ha="center",
            va="center_baseline",
            zorder=4,
            gid=f"name-{node}",
        )
    out = layout.output
    axes.add_artist(_rounded(out, 6.0, facecolor=node_face, edgecolor=edge, gid="output"))
    name_y = out.y - 7.0 if form.concat else out.y
    axes.text(out.x, name_y, "cₖ", fontsize=_FONT + 2.0, ha="center", va="center_baseline", zorder=4, gid="name-output")
    if not form.concat:
        return
    axes.text(
        out.x,
        out.y + 9.0,
        "concat",
        fontsize=9.0,
        color=ROLES["muted"].light,
        ha="center",
        va="center_baseline",
        zorder=4,
        gid="concat",
    )


def _rounded(box: Box, radius: float, facecolor: str, edgecolor: str, gid: str) -> FancyBboxPatch:
    return FancyBboxPatch(
        (box.x - box.width / 2, box.y - box.height / 2),
        box.width,
        box.height,
        boxstyle=f"round,pad=0,rounding_size={radius}",
        facecolor=facecolor,
        edgecolor=edgecolor,
        linewidth=1.1,
        zorder=3,
        gid=gid,
    )


def _curve(points: Sequence[Point]) -> Curve:
    """A smooth curve through the points, horizontal in each: never above or below two neighbours."""
    vertices, codes = [points[0]], [Curve.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [Curve.CURVE4] * 3
    return Curve(vertices, codes)


@lru_cache(maxsize=256)
def _text_width(text: str, size: float = _FONT, weight: str = "normal") -> float:
    """Width in points. Only inside `drawing`."""
    return float(TextPath((0.0, 0.0), text, prop=FontProperties(size=size, weight=weight)).get_extents().width)
