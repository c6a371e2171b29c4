"""Landscape and diagnosis of a search, from its run folder."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zarts.analysis import Diagnosis, Landscape, make_landscape
from zarts.analysis import diagnose as compute_diagnosis
from zarts.api._data import given_again
from zarts.api._new_search import note_writer, searched_settings
from zarts.api._ranks import joined, launch_ranks
from zarts.callbacks import Callbacks, Follower, progress
from zarts.reports import draw_landscape, write_report
from zarts.runs import Run
from zarts.runs.afterwards import afterwards
from zarts.runs.user_files import use_operations
from zarts.runs.user_functions import load_functions, without_functions
from zarts.runtime.paths import PathLike, path_of
from zarts.searcher import restore_search

__all__ = ["diagnose", "landscape", "launch_landscape_ranks"]


_RESUME_HINT = "all but the last seconds of its work is kept: go on with the same command"


def landscape(
    run: PathLike,
    *,
    grid: int = 41,
    data: Any = None,
    operations: PathLike | None = None,
    criterion: Any = None,
    callbacks: Sequence[Follower] = (),
    quiet: bool = False,
    **options: Any,
) -> Landscape:
    """Compute the validation loss over a plane through a search's alpha, for several numbers of weight steps.

    The run folder gets the losses as `landscape.json` and the pictures `landscape.svg` and `landscape.png`. With the
    same options, an interrupted landscape is continued and a finished one is only drawn again. A call starts no
    processes: it is a single rank, or one of the ranks that torchrun has started.

    Args:
        run: the search, finished or interrupted: its folder or its result.
        grid: number of points on each side, odd.
        data: the images again, if the search was given Python objects.
        operations: the file of user-defined operations, if the run has such.
        criterion: the user-defined criterion, if the run has one. Whatever the objective, the landscape is the loss's.
        callbacks: objects of `zarts.callbacks.Callback`, or functions that are called with every event.
        quiet: print nothing.
        options: see `zarts.analysis.make_landscape`; for example `inner_steps=[0, 10], radius=2.0`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    settings = searched_settings(run, **({} if criterion is None else {"criterion": criterion}))
    settings, images = given_again(data, settings, path_of(run), "zarts.landscape(RUN, data=...)")
    with joined(settings, _pieces(grid)) as ranks:
        on_event = Callbacks([progress(quiet=quiet), *callbacks] if ranks.lead else [])
        folder = Run(path_of(run), writes=ranks.lead, images=images)
        use_operations(folder, None if operations is None else path_of(operations), note_writer(on_event))
        settings = load_functions(without_functions(settings, "objective"), note_writer(on_event), folder)
        with folder.lock(), restore_search(settings, folder, on_event, ranks) as restored:
            made = make_landscape(restored, folder, on_event, grid=grid, **options)
        if ranks.lead:
            on_event({"event": "doing", "text": "drawing the report"})
            again = f"zarts landscape {shlex.quote(str(folder.path))}"
            with afterwards("its picture is missing", again, on_event):
                draw_landscape(folder.path)
            _report(folder.path, on_event)
    return made


def _report(folder: Path, callback: Callbacks) -> None:
    with afterwards("report.html is not up to date", f"zarts report {shlex.quote(str(folder))}", callback):
        write_report(folder)


def launch_landscape_ranks(run: PathLike, argv: list[str], *, grid: int, devices: int | None) -> int | None:
    """Start `devices` ranks for a landscape, or as many as suit this machine; see `launch_ranks`."""
    settings = searched_settings(run).model_copy(update={"devices": devices or "auto"})
    return launch_ranks(settings, argv, _pieces(grid), _RESUME_HINT)


def _pieces(grid: int) -> int:
    """Number of points of a surface, which the ranks share."""
    return max(1, grid) ** 2


def diagnose(
    run: PathLike,
    *,
    data: Any = None,
    operations: PathLike | None = None,
    criterion: Any = None,
    objective: Any = None,
    callbacks: Sequence[Follower] = (),
    quiet: bool = False,
    **options: Any,
) -> Diagnosis:
    """Measure how much of the candidates' values is signal and how much noise, at the checkpoint of a search.

    The run folder gets the numbers as `diagnosis.json`, and a section in its report.

    Args:
        run: the search, finished or interrupted: its folder or its result.
        data: the images again, if the search was given Python objects.
        operations: the file of user-defined operations, if the run has such.
        criterion: the user-defined criterion, if the run has one.
        objective: the user-defined objective, if the run has one.
        callbacks: objects of `zarts.callbacks.Callback`, or functions that are called with every event.
        quiet: print nothing.
        options: see `zarts.analysis.diagnose`; for example `sigmas=[0.2, 1.0], draws=16`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    callback = Callbacks([progress(quiet=quiet), *callbacks])
    given = {"criterion": criterion, "objective": objective}
    settings = searched_settings(run, **{key: value for key, value in given.items() if value is not None})
    settings, images = given_again(data, settings, path_of(run), "zarts.diagnose(RUN, data=...)")
    folder = Run(path_of(run), images=images)
    use_operations(folder, None if operations is None else path_of(operations), note_writer(callback))
    settings = load_functions(settings, note_writer(callback), folder)
    with restore_search(settings, folder, callback) as restored:
        diagnosis = compute_diagnosis(restored, callback, **options)
    callback({"event": "doing", "text": "drawing the report"})
    folder.write_json("diagnosis.json", {"run": folder.path.resolve().name, **diagnosis.to_dict()})
    _report(folder.path, callback)
    return diagnosis
