"""Pictures and pages: the cells of a genotype, and the report of a run."""

from __future__ import annotations

from pathlib import Path

from zarts.api._architecture import Source, folder_of, genotype_of
from zarts.api._new_search import searched_settings
from zarts.errors import SettingsError
from zarts.reports import draw_cells, draw_strip, watch_report, write_report
from zarts.runtime.paths import PathLike, path_of

__all__ = ["draw", "report"]


def draw(source: Source, out: PathLike = "cells", *, every: int | None = None) -> list[Path]:
    """Draw the cells of a genotype as SVG and PNG.

    Args:
        source: a search or retraining (its result or its folder), a genotype, its file or text, or the name of a
            published one.
        out: folder for the pictures; made if it does not exist.
        every: of a search: the cells of every N-th epoch, side by side and animated; 1 or more.

    Returns:
        The files.

    Raises:
        RunError: the source cannot be read, or a file cannot be written.
        SettingsError: `every` is given and the source is no search, or it is below 1.
    """
    if every is None:
        return draw_cells(genotype_of(source)[0], path_of(out))
    folder = folder_of(source)
    if folder is None:
        raise SettingsError(
            f"every = {every}: {source} is no run folder of a search, so it has no epochs: leave it out"
        )
    if every < 1:
        raise SettingsError(f"every = {every}; expected 1 or more")
    searched_settings(folder)
    return draw_strip(folder, every, path_of(out))


def report(run: PathLike, *, watch: bool = False) -> Path:
    """Write `report.html` into the folder of a run again, for example after its `diagnosis.json` has come to it.

    Args:
        run: a search, a retraining, a fit or a comparison: its result or its folder.
        watch: write it again every ten seconds, until the run has finished or Ctrl-C; a browser that shows the page
            loads it again by itself.

    Returns:
        The file.

    Raises:
        RunError: the folder does not exist or has a damaged file, or the page cannot be written.
    """
    return watch_report(path_of(run)) if watch else write_report(path_of(run))
