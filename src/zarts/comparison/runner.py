"""Doing the searches of a comparison that are left, in parallel and one comparison at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from zarts.api import resume_search, start_search
from zarts.bench import Table
from zarts.comparison.engines import Engine, Room
from zarts.comparison.scorer import Scorer
from zarts.comparison.trials import Trial
from zarts.config import SearchSettings, resumable, takes_part
from zarts.errors import Interrupted, RunError, ZartsError
from zarts.runtime.io import locked, remove_empty
from zarts.training.trainer import Callback

__all__ = ["alone_in", "search_all", "search_cell"]


def search_cell(cell: Trial, scorer: Scorer, base: Path) -> None:
    """Do one search, or the rest of it, and what it is judged by; in a process of its own.

    Args:
        cell: which.
        scorer: what it is judged by.
        base: what a relative folder of it is in.
    """
    cell = replace(cell, folder=base / cell.folder)
    if not cell.searched:
        _search(cell, scorer.table)
    if not scorer.ready(cell):
        scorer.prepare(cell)


def _search(cell: Trial, table: Table | None) -> None:
    if (cell.folder / "config.yaml").exists():
        free = [key for key in resumable(SearchSettings) if takes_part(key, cell.settings)]
        resume_search(cell.folder, loaded=table, **{key: getattr(cell.settings, key) for key in free})
        return
    remove_empty(cell.folder)
    start_search(cell.settings, cell.folder, None, loaded=table)


def search_all(
    cells: Sequence[Trial], scorer: Scorer, run_tasks: Engine, jobs: int | None, callback: Callback
) -> dict[Trial, str]:
    """Do all searches that are left, seed by seed, so that there is early something of every row.

    Args:
        cells: all searches of the comparison.
        scorer: what each is judged by.
        run_tasks: what does them.
        jobs: how many at a time; None: as many as there are processors for.
        callback: hears an event `cell` as each ends.

    Returns:
        Those that failed, each with the line that says why.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; what ran has been saved.
    """

    def finished() -> int:
        return sum(map(scorer.done, cells))

    left = sorted((cell for cell in cells if not scorer.done(cell)), key=lambda cell: cell.seed)
    failed: dict[Trial, str] = {}

    def done(cell: Trial, error: BaseException | None) -> None:
        if error is not None:
            failed[cell] = str(error) if isinstance(error, ZartsError) else f"{type(error).__name__}: {error}"
        over = finished() + len(failed)
        which = {"row": cell.row, "group": cell.group.title, "seed": cell.seed}
        callback({"event": "cell", **which, "over": over, "cells": len(cells)})

    try:
        run_tasks(partial(search_cell, scorer=scorer, base=Path.cwd()), left, _room(cells, jobs), done)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: {finished()} of {len(cells)} searches are finished, those that ran are saved; "
            "the same command goes on"
        ) from None
    for cell in left:
        if cell not in failed and not scorer.done(cell):
            failed[cell] = f"{cell.folder}: was done elsewhere, and is not here: all machines have to share this folder"
    return failed


def _room(cells: Sequence[Trial], jobs: int | None) -> Room:
    threads = max(cell.settings.threads or 1 for cell in cells)
    return Room(jobs, threads, gpus=any(cell.settings.device in ("auto", "cuda") for cell in cells))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """No two comparisons work in a folder at the same time.

    Raises:
        RunError: another one does, or the folder cannot be made.
    """
    lock = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.touch()
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror})") from error
    with locked(lock, f"{folder}: another comparison is at work there: wait for it, or choose another --out"):
        yield
