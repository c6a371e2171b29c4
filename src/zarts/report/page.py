"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from zarts.files import write_atomically
from zarts.report.cells import cell_svg, form_of, node_name
from zarts.report.curves import draw_curves
from zarts.report.facts import RunFiles, facts, read_run, show
from zarts.report.palette import ROLES, kind_of, label_of
from zarts.report.svg import inline
from zarts.spaces import Genotype

__all__ = ["write_report"]

_CELL_TITLES = {"normal": "Normal cell", "reduce": "Reduction cell"}


class _Figure(NamedTuple):
    title: str
    note: str
    svg: Markup


class _Row(NamedTuple):
    node: str
    choices: list[tuple[str, str, str]]  # operation in words, source, colour role


class _Cell(NamedTuple):
    title: str
    svg: Markup
    rows: list[_Row]


def write_report(run: Path) -> Path:
    """Write `report.html` into a run folder.

    The page holds all that it shows, asks no network, and follows the reader's light or dark. Pieces that the
    run has not (yet) are left out: an interrupted run says so, a method without curves has none.

    Args:
        run: the folder of a search or of a retrain.

    Returns:
        The file.

    Raises:
        RunError: not a run folder, a damaged file in it, or the page cannot be written.
    """
    page = run / "report.html"
    write_atomically(page, _render(read_run(run)))
    return page


def _render(run: RunFiles) -> str:
    environment = Environment(
        loader=PackageLoader("zarts.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    command = run.environment.get("command")
    return environment.get_template("report.html.j2").render(
        title=_title(run),
        name=run.folder.resolve().name,
        command=run.command,
        finished=bool(run.result),
        facts=facts(run),
        cells=_cells(run.genotype) if run.genotype else [],
        space=run.genotype.space if run.genotype else "",
        genotype=run.genotype.to_json() if run.genotype else "",
        figures=[
            _Figure(curve.title, curve.note, Markup(inline(curve.svg, curve.name, curve.title)))  # ours
            for curve in draw_curves(run.events)
        ],
        reproduce=" ".join(map(str, command)) if isinstance(command, list) else command,
        settings=_table(run.settings),
        environment=_table({key: value for key, value in run.environment.items() if key != "command"}),
        roles=ROLES,
    )


def _title(run: RunFiles) -> str:
    method = run.result.get("method", run.settings.get("method"))
    space = run.result.get("space", run.settings.get("space"))
    if run.command != "search":
        return f"{run.command.capitalize()} of a found network"
    return f"Search by {show(method)}" + (f" in space {show(space)}" if space else "") if method else "Search"


def _cells(genotype: Genotype) -> list[_Cell]:
    found = []
    inputs = form_of(genotype.space).inputs
    for index, (kind, nodes) in enumerate(genotype.cells.items()):
        rows = [
            _Row(
                node_name(node, inputs),
                [(label_of(op), node_name(source, inputs), kind_of(op).role) for op, source in choices],
            )
            for node, choices in enumerate(nodes, start=inputs)
        ]
        title = _CELL_TITLES.get(kind, f"{kind} cell")
        svg = inline(cell_svg(genotype, kind), f"cell-{index}", f"{title}: the list of its operations follows")
        found.append(_Cell(title, Markup(svg), rows))  # ours; matplotlib escapes texts
    return found


def _table(mapping: dict[str, Any]) -> list[tuple[str, str]]:
    return [(key, show(value)) for key, value in mapping.items()]
