"""The report of a run: one HTML file that needs nothing else."""

from __future__ import annotations

import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from markupsafe import Markup

from zarts.reports.cell_view import CellView, cell_view, slides, weights_data
from zarts.reports.charts import charts_of, telling
from zarts.reports.collapse import signs
from zarts.reports.comparison import is_comparison, render_comparison
from zarts.reports.comparison_progress import TRIALS
from zarts.reports.diagnosis import read_diagnosis
from zarts.reports.edge_weights import edge_weights
from zarts.reports.error_section import read_tested
from zarts.reports.fit_page import fit_page
from zarts.reports.landscape_data import Landscape, read_landscape
from zarts.reports.landscape_figures import draw_surface, flat_figure, solid_figure, surface_note
from zarts.reports.plotly_charts import Figure
from zarts.reports.render import Still, fragment, render, stills
from zarts.reports.run_verdict import limit_facts, verdict_of
from zarts.reports.series import by_epoch
from zarts.reports.settings_section import shown_settings
from zarts.reports.summary import Fact, RunFiles, environment_texts, facts, kept, last_change, read_run, show
from zarts.reports.svg import inline
from zarts.runtime.io import write_atomically

__all__ = ["has_finished", "watch_report", "write_report"]

_BUSY = 0.05
"""Share of the time that a watch may compute: the run needs the processor."""


def write_report(run: Path, renews: int | None = None) -> Path:
    """Write `report.html` into the folder of a run, of a fit or of a comparison.

    The page needs no other file and no network, and follows the light or dark mode of the reader. Sections for which
    the run has no files (yet) are left out; the page of a run that has not finished says so.

    Args:
        run: the folder of a search, of a retraining, of `zarts fit`, or of `zarts compare`.
        renews: seconds after which a browser loads the page again, if the run has not finished; None: never.

    Returns:
        The file.

    Raises:
        RunError: the folder does not exist or has a damaged file, or the page cannot be written.
    """
    page = run / "report.html"
    if is_comparison(run):
        text = render_comparison(run, renews)
    else:
        files = read_run(run)
        text = fit_page(run, renews) if files.command == "fit" else _render(files, renews)
    write_atomically(page, text)
    return page


def has_finished(run: Path) -> bool:
    """Whether a run has its result; a comparison, whether all its trials have ended and its table is written."""
    return not (run / TRIALS).exists() if is_comparison(run) else (run / "result.json").exists()


def watch_report(run: Path, seconds: int = 10) -> Path:
    """Write the page of a run again and again, until the run has finished or Ctrl-C; a browser follows by itself.

    Args:
        run: see `write_report`.
        seconds: from one page to the next, at least; more where the page takes long to write.

    Returns:
        The file, whose last form is loaded once more and then stays.

    Raises:
        RunError: see `write_report`.
    """
    with suppress(KeyboardInterrupt):
        while not has_finished(run):
            begun = time.perf_counter()
            write_report(run, seconds)
            time.sleep(max(seconds, (time.perf_counter() - begun) / _BUSY))
    return write_report(run)


def _render(run: RunFiles, renews: int | None) -> str:
    charts, landscape = telling(charts_of(run.events)), read_landscape(run.folder)
    cells, cells_data = _cells(run)
    tested = read_tested(run.folder)
    said, watch = verdict_of(run, tested), signs(run.events)
    finished = bool(run.result)
    return render(
        "run.html.j2",
        charts,
        _figures(landscape),
        {"cells": cells_data},
        title=said.headline,
        renews=None if finished else renews,
        what=_title(run),
        images=_data(run),
        name=run.folder.resolve().name,
        command=run.command,
        kind=run.command,
        finished=finished,
        changed="" if finished else last_change(run.folder / name for name in ("metrics.jsonl", "config.yaml")),
        folder=shlex.quote(str(run.folder)),
        said=said,
        facts=_facts(run),
        signs=[*said.warnings, *sorted(watch, key=lambda sign: not sign.warning)],
        cells=cells,
        slides=cells_data.get("slides", []),
        kept=kept(run),
        layers=[] if run.chain is None else [line.split(": ", 1) for line in run.chain.describe()],
        genotype=run.genotype.to_json() if run.genotype else "",
        stills=stills(charts),
        tested=tested,
        diagnosis=read_diagnosis(run.folder),
        landscape=landscape,
        surfaces=_surfaces(landscape),
        settings=shown_settings(run.command, run.settings),
        **environment_texts(run.environment),
    )


def _facts(run: RunFiles) -> list[Fact]:
    """Accuracy, costs and limits first."""
    found = facts(run)
    first = [fact for fact in found if "accuracy" in fact.name]
    costs = [fact for fact in found if fact.name in ("parameters", "MACs")]
    took = [fact for fact in found if fact.name.startswith("time")]
    rest = [fact for fact in found if fact not in (*first, *costs, *took) and fact.name != "data"]
    return [*first, *costs, *limit_facts(run), *took, *rest]


def _data(run: RunFiles) -> str:
    data = run.result.get("data", run.settings.get("data"))
    return "" if data is None else show(data)


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
