"""A search in a run folder, new or begun, ready to run, with what follows its run; and its dry run."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from zarts.api._data import given_again
from zarts.api._ranks import joined
from zarts.api._results import SearchResult
from zarts.api._tensorboard import logged
from zarts.bench import Table, Truth, find_table, read_table
from zarts.config import FUNCTIONS, CommonSettings, SearchSettings, dump, search_settings
from zarts.data import PythonData
from zarts.reports import draw_cells, guesses, write_report
from zarts.runs import Run
from zarts.runs.afterwards import afterwards
from zarts.runs.new_run import anchored, new_run, place_of, resumed_run
from zarts.runs.user_files import UserFiles, use_operations, use_space
from zarts.runs.user_functions import keep_functions, load_functions, same_functions
from zarts.runtime.device import torch_threads
from zarts.runtime.distributed import Ranks
from zarts.runtime.leftovers import temporary_folder
from zarts.runtime.paths import PathLike, path_of
from zarts.searcher import Runnable, measure_search, prepare_search
from zarts.spaces import Architecture, Chain, Genotype
from zarts.training.dry_run import DryRun, Forecast
from zarts.training.trainer import Callback

__all__ = [
    "NOT_RESTORED",
    "begun_search",
    "draw_run",
    "dry_run_in",
    "dry_run_search",
    "new_search",
    "note_writer",
    "notes_only",
    "resume_search",
    "run_path",
    "searched_settings",
    "start_search",
]

NOT_RESTORED = ("devices", "operations", "logger")
"""Settings that a resumed run does not take from its folder: they must be given again."""


def run_path(settings: SearchSettings) -> Path:
    """The run folder of a search that names none; `-2` and so on is appended where it exists."""
    label = Path(settings.data).name or "images"
    return Path("runs/search") / f"{label}-{settings.space}-{settings.method}-seed{settings.seed}"


def start_search(
    settings: SearchSettings,
    out: PathLike | None,
    callback: Callback | None,
    *,
    images: PythonData | None = None,
    loaded: Table | None = None,
    trust: bool = False,
) -> SearchResult:
    """Search with resolved settings; see `search`, and `new_search` for the arguments."""
    with new_search(settings, out, callback, images=images, loaded=loaded, trust=trust) as searcher:
        record = searcher.run()
    return SearchResult.of(replace(record, images=images))


@contextmanager
def new_search(
    settings: SearchSettings,
    out: PathLike | None,
    callback: Callback | None,
    *,
    images: PythonData | None = None,
    loaded: Table | None = None,
    trust: bool = False,
) -> Iterator[Runnable]:
    """A search in a new run folder, ready to run; when it has run, its cells are drawn and its report is written.

    Args:
        settings: resolved settings.
        out: see `search`.
        callback: called with every event.
        images: the images, if they are Python objects and the setting `data` is `python`.
        loaded: a benchmark table that has been read already.
        trust: see `search`.

    Raises:
        ZartsError: see `search`.
    """
    given, settings = settings, anchored(settings, images)
    path = run_path(settings) if out is None else path_of(out)
    with joined(settings) as ranks:
        note = note_writer(callback if ranks.lead else None)
        own, settings = UserFiles.of(given, note), load_functions(settings, note)
        table = loaded or (_table_of(settings, trust) if ranks.lead else None)
        with new_run(path, settings.data, "search", numbered=out is None, images=images, ranks=ranks) as run:
            own.keep(run)
            keep_functions(settings, run)
            run.begin(dump(settings), "search")
            if callback is not None and ranks.lead:
                callback(place_of(run))
            with _reported(settings, run, callback, table, ranks) as heard:
                yield prepare_search(settings, run, heard, ranks)


def dry_run_search(
    settings: SearchSettings,
    callback: Callback | None = None,
    *,
    images: PythonData | None = None,
    trust: bool = False,
    before_seconds: float = 0.0,
) -> Forecast:
    """Predict the time and memory of a search with these settings; leaves no files behind.

    Args:
        settings: resolved settings, see `zarts.config.search_settings`.
        callback: called with events of the kind `note`.
        images: see `new_search`.
        trust: see `search`.
        before_seconds: seconds since the command began; the search itself will take them again.

    Raises:
        ZartsError: the errors that the search itself would raise.
    """
    given, settings = settings, anchored(settings, images)
    with joined(settings) as ranks:
        note = note_writer(callback if ranks.lead else None)
        UserFiles.of(given, note)
        settings = load_functions(settings, note)
        table = _table_of(settings, trust) if ranks.lead else None
        with dry_run_in(settings, "search", before_seconds, ranks, images) as (run, dry_run):
            with _reported(settings, run, notes_only(callback), table, ranks) as heard:
                measure_search(settings, run, dry_run.run, heard, ranks)
            return dry_run.forecast()


def resume_search(
    path: PathLike,
    callback: Callback | None = None,
    *,
    data: Any = None,
    loaded: Table | None = None,
    trust: bool = False,
    **resumable: Any,
) -> SearchResult:
    """Go on with an interrupted search; a finished one only returns its result; see `begun_search`."""
    with begun_search(path, callback, data=data, loaded=loaded, trust=trust, **resumable) as searcher:
        record = searcher.run(resume=True)
    return SearchResult.of(replace(record, images=searcher.folder.images))


@contextmanager
def begun_search(
    path: PathLike,
    callback: Callback | None = None,
    *,
    data: Any = None,
    loaded: Table | None = None,
    trust: bool = False,
    **resumable: Any,
) -> Iterator[Runnable]:
    """A search that has begun, ready to go on by `run(resume=True)`; afterwards see `new_search`.

    Args:
        path: the run folder, or the result.
        callback: called with every event.
        data: the images again, if they are Python objects, or the path where they are now.
        loaded: a benchmark table that has been read already, instead of the one that the settings name.
        trust: see `search`.
        resumable: new values of resumable settings, see `setting` in `zarts.config.base`. A run with user-defined
            operations needs `operations`, their file, again; likewise a user-defined `criterion` or `objective`.

    Raises:
        RunError: the folder or its checkpoint cannot be used, or its images are not given.
        DataError: its benchmark table cannot be read, or `data` are other images.
        SettingsError: the run needs no `data`.
    """
    path, images = path_of(path), None
    settings = searched_settings(path, **resumable)
    if data is not None or not Run(path).finished:
        settings, images = given_again(data, settings, path, "zarts.search(resume=RUN, data=...)")
    with joined(settings) as ranks:
        note = note_writer(callback if ranks.lead else None)
        use_operations(Run(path), settings.operations, note)
        settings = load_functions(settings, note, Run(path))
        table = loaded or (_table_of(settings, trust) if ranks.lead else None)
        run = Run(path, writes=ranks.lead, images=images)
        with resumed_run(run, "search"), _reported(settings, run, callback, table, ranks) as heard:
            yield prepare_search(settings, run, heard, ranks)


def searched_settings(path: PathLike, **resumable: Any) -> SearchSettings:
    """The settings of a search that has begun, with the resumable ones that are given.

    Raises:
        RunError: the folder is not that of a search.
        SettingsError: a criterion or objective is given that the run did not begin with.
    """
    run = Run.open(path_of(path), "search")
    use_space(run)
    begun = {key: value for key, value in run.settings("search").items() if key not in NOT_RESTORED}
    functions = {key: resumable.pop(key) for key in FUNCTIONS if key in resumable}
    return same_functions(run, search_settings({**begun, **resumable}, where=str(run.path / "config.yaml")), functions)


@contextmanager
def _reported(
    settings: SearchSettings, run: Run, callback: Callback | None, table: Table | None, ranks: Ranks
) -> Iterator[Callback | None]:
    """The callback for the search inside; afterwards true accuracies are looked up and the report is written.

    Only the first rank calls the callback, looks up and draws.
    """
    with torch_threads(settings.threads):
        if not ranks.lead:
            yield None
            return
        with logged(settings, run, callback) as heard:
            truth = None if table is None else Truth(table, run, heard)
            yield truth or heard
            genotype = Genotype.load(run.path / "genotype.json")
            if truth is not None:
                with afterwards("its true accuracy is not in its log", f"zarts lookup {_quoted(run.path)}", heard):
                    truth.finish(genotype)
    draw_run(genotype, run.path, callback)


def _table_of(settings: SearchSettings, trust: bool) -> Table | None:
    """Read the benchmark table that the settings name.

    Raises:
        DataError: the table does not exist or cannot be read.
    """
    if settings.benchmark_table is None:
        return None
    return read_table(find_table(None if settings.benchmark_table == "auto" else settings.benchmark_table), trust=trust)


@contextmanager
def dry_run_in(
    settings: CommonSettings,
    command: str,
    before_seconds: float,
    ranks: Ranks | None = None,
    images: PythonData | None = None,
) -> Iterator[tuple[Run, DryRun]]:
    """A temporary run folder, removed afterwards, and the dry run in it."""
    dry_run = DryRun(before_seconds, ranks)
    with temporary_folder() as folder:
        run = Run.create(folder / command, dump(settings), command)
        yield Run(run.path, images=images), dry_run


def draw_run(architecture: Architecture, folder: Path, callback: Callback | None = None) -> None:
    """Draw the cells that a run ended with and write its report, both into its folder; what fails is a warning.

    A warning, too, if a trained network may only guess.
    """
    if callback is not None:
        callback({"event": "doing", "text": "drawing the report"})
    if isinstance(architecture, Chain):
        return _write_report(folder, callback)
    with afterwards("cells/ is missing", f"zarts draw {_quoted(folder)} --out {_quoted(folder / 'cells')}", callback):
        draw_cells(architecture, folder / "cells")
    return _write_report(folder, callback)


def _write_report(folder: Path, callback: Callback | None) -> None:
    with afterwards("report.html is missing", f"zarts report {_quoted(folder)}", callback):
        write_report(folder)
        for text in guesses(folder):
            if callback is not None:
                callback({"event": "warning", "text": text})


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def notes_only(callback: Callback | None) -> Callback:
    """A callback that passes on the events `note` and `doing` only: no steps."""
    return lambda event: callback(event) if callback is not None and event["event"] in ("note", "doing") else None


def note_writer(callback: Callback | None) -> Callable[[str], None]:
    """A function that sends a line of text to the callback, as an event `note`."""
    return lambda text: None if callback is None else callback({"event": "note", "text": text})
