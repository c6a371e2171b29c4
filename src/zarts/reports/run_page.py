"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from zarts.reports.cell_view import CellView, cell_view, slides, weights_data
from zarts.reports.charts import charts_of
from zarts.reports.collapse import signs
from zarts.reports.comparison import is_comparison, render_comparison
from zarts.reports.diagnosis import read_diagnosis
from zarts.reports.edge_weights import edge_weights
from zarts.reports.error_section import read_tested
from zarts.reports.fit_page import fit_page
from zarts.reports.landscape_data import Landscape, read_landscape
from zarts.reports.landscape_figures import draw_surface, flat_figure, solid_figure, surface_note
from zarts.reports.plotly_charts import Figure
from zarts.reports.render import Still, fragment, render, stills
from zarts.reports.series import by_epoch
from zarts.reports.summary import RunFiles, environment_texts, facts, kept, read_run, show
from zarts.reports.svg import inline
from zarts.runtime.io import write_atomically

__all__ = ["write_report"]


def write_report(run: Path) -> Path:
    """Write `report.html` into the folder of a run, of a fit or of a comparison.

    The page needs no other file and no network, and follows the light or dark mode of the reader. Sections for which
    the run has no files (yet) are left out; the page of an interrupted run says so.

    Args:
        run: the folder of a search, of a retraining, of `zarts fit`, or of `zarts compare`.

    Returns:
        The file.

    Raises:
        RunError: the folder does not exist or has a damaged file, or the page cannot be written.
    """
    page = run / "report.html"
    if is_comparison(run):
        text = render_comparison(run)
    else:
        files = read_run(run)
        text = fit_page(run) if files.command == "fit" else _render(files)
    write_atomically(page, text)
    return page


def _render(run: RunFiles) -> str:
    charts, landscape = charts_of(run.events), read_landscape(run.folder)
    cells, cells_data = _cells(run)
    return render(
        "run.html.j2",
        charts,
        _figures(landscape),
        {"cells": cells_data},
        title=_title(run),
        name=run.folder.resolve().name,
        command=run.command,
        kind=run.command,
        finished=bool(run.result),
        facts=facts(run),
        signs=signs(run.events),
        cells=cells,
        slides=cells_data.get("slides", []),
        kept=kept(run),
        layers=[] if run.chain is None else [line.split(": ", 1) for line in run.chain.describe()],
        genotype=run.genotype.to_json() if run.genotype else "",
        stills=stills(charts),
        tested=read_tested(run.folder),
        diagnosis=read_diagnosis(run.folder),
        landscape=landscape,
        surfaces=_surfaces(landscape),
        settings=[(key, show(value)) for key, value in run.settings.items()],
        **environment_texts(run.environment),
    )


def _title(run: RunFiles) -> str:
    method = run.result.get("method", run.settings.get("method"))
    space = run.result.get("space", run.settings.get("space"))
    if run.command != "search":
        job = "Retraining" if run.command == "retrain" else run.command.capitalize()
        return f"Training of {run.chain.name or 'a chain'}" if run.chain else f"{job} of a derived network"
    return f"Search by {show(method)}" + (f" in space {show(space)}" if space else "") if method else "Search"


def _cells(run: RunFiles) -> tuple[list[CellView], dict[str, Any]]:
    """The derived cells, and the data of those of each epoch for the scripts of the page."""
    if run.genotype is None:
        return [], {}
    kinds, space = list(run.genotype.cells), run.genotype.space
    of_epoch = {event["epoch"]: edge_weights(event, space, run.folder) for event in by_epoch(run.events, "genotype")}
    at_end = edge_weights(run.result, space, run.folder)
    if run.history and at_end:
        of_epoch[max(run.history)] = at_end
    final = kept(run)
    weights = at_end if final is None or final.epoch is None else of_epoch.get(final.epoch, {})
    shown = [cell_view(run.genotype, kind, f"cell-{index}", weights) for index, kind in enumerate(kinds)]
    epochs = slides(run, lambda cell: fragment("cell.html.j2", cell=cell))
    for slide in epochs.get("slides", []):
        slide["weights"] = weights_data(at_end if slide["epoch"] is None else of_epoch.get(slide["epoch"], {}), kinds)
    return shown, {**epochs, "weights": weights_data(weights, kinds)}


def _figures(landscape: Landscape | None) -> dict[str, Figure]:
    if landscape is None:
        return {}
    flat = {f"surface-{index}": flat_figure(landscape, one) for index, one in enumerate(landscape.surfaces)}
    return {**flat, "surface-3d": solid_figure(landscape)}


def _surfaces(landscape: Landscape | None) -> list[Still]:
    if landscape is None:
        return []
    return [
        Still(
            f"surface-{place}",
            f"Validation loss, {surface.name}",
            surface_note(surface),
            Markup(inline(draw_surface(landscape, surface), f"surface-{place}", surface_note(surface))),  # made by us
        )
        for place, surface in enumerate(landscape.surfaces)
    ]
