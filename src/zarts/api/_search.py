"""The search, from settings to a finished run folder, on one rank or several."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from zarts.api._ranks import joined, launch, ranks_here
from zarts.api.callbacks import logged
from zarts.bench import Table, Truth, find_table, read_table
from zarts.config import CommonSettings, RetrainSettings, SearchSettings, dump, search_settings
from zarts.errors import SettingsError
from zarts.reports import draw_cells, write_report
from zarts.runs import Run
from zarts.runs.new_run import anchored, discarded_unless_begun, new_run
from zarts.runs.user_files import UserFiles, use_operations, use_space
from zarts.runtime.distributed import Ranks, started
from zarts.searcher import SearchResult
from zarts.searcher import search as run_search
from zarts.training import RetrainResult
from zarts.training.dry_run import DryRun, Forecast
from zarts.training.trainer import Callback, Driver

__all__ = [
    "NOT_RESTORED",
    "draw_result",
    "dry_run_in",
    "dry_run_search",
    "launch_ranks",
    "note_writer",
    "notes_only",
    "resume_search",
    "search",
    "searched_settings",
    "start_search",
]

NOT_RESTORED = ("devices", "operations", "logger")
"""Settings that a resumed run does not take from its folder: they must be given again."""

_RESUME_HINT = "the run has ended; its last checkpoint is intact, go on with `zarts {} --resume RUN`"

_R = TypeVar("_R", SearchResult, RetrainResult)


def search(
    *,
    out: Path | str | None = None,
    preset: str | None = None,
    config: Path | str | None = None,
    callback: Callback | None = None,
    trust: bool = False,
    **options: Any,
) -> SearchResult:
    """Search an architecture.

    A call starts no processes. It is a single rank, or one of the ranks that torchrun has started, each of which
    makes the same call.

    Args:
        out: the run folder; None: a new one in `runs/search`.
        preset: name of a preset, for example `quick`.
        config: a YAML file with settings.
        callback: called with every event.
        trust: whether the file of the setting `benchmark_table` may be unpickled; see `lookup`.
        options: settings, see `zarts.config.SearchSettings`; for example `space="s2", method="zarts-gld"`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    settings = search_settings(options, preset=preset, config=None if config is None else Path(config))
    if settings.devices not in ("auto", started()):
        raise SettingsError(
            f"devices = {settings.devices}: a call from Python starts no processes: run "
            f"`torchrun --standalone --nproc-per-node {settings.devices} SCRIPT`, or `zarts search`"
        )
    return start_search(settings, out, callback, trust=trust)


def start_search(
    settings: SearchSettings,
    out: Path | str | None,
    callback: Callback | None,
    *,
    loaded: Table | None = None,
    trust: bool = False,
) -> SearchResult:
    """Search with resolved settings; `loaded` is a benchmark table that has been read already. See `search`."""
    given, settings = settings, anchored(settings)
    label = Path(settings.data).name or "images"
    name = f"{label}-{settings.space}-{settings.method}-seed{settings.seed}"
    path = Path("runs/search") / name if out is None else Path(out)
    with joined(settings) as ranks:
        own = UserFiles.of(given, note_writer(callback if ranks.lead else None))
        table = loaded or (_table_of(settings, trust) if ranks.lead else None)
        made = new_run(path, settings, "search", numbered=out is None).path if ranks.lead else path
        run = Run(ranks.broadcast(made), writes=ranks.lead)
        with discarded_unless_begun(run):
            own.keep(run)
            return _search_and_draw(settings, run, callback, table, ranks)


def dry_run_search(
    settings: SearchSettings,
    callback: Callback | None = None,
    *,
    trust: bool = False,
    before_seconds: float = 0.0,
) -> Forecast:
    """Predict the time and memory of a search with these settings; leaves no files behind.

    Args:
        settings: resolved settings, see `zarts.config.search_settings`.
        callback: called with events of the kind `note`.
        trust: see `search`.
        before_seconds: seconds that the process has taken until now; the search itself will take them again.

    Raises:
        ZartsError: the errors that the search itself would raise.
    """
    given, settings = settings, anchored(settings)
    with joined(settings) as ranks:
        UserFiles.of(given, note_writer(callback if ranks.lead else None))
        table = _table_of(settings, trust) if ranks.lead else None
        before_seconds *= min(2, ranks.count)  # the process that starts the ranks takes as long
        with dry_run_in(settings, "search", before_seconds, ranks) as (run, dry_run):
            _search_and_draw(settings, run, notes_only(callback), table, ranks, drive=dry_run.run)
            return dry_run.forecast()


def resume_search(
    path: Path | str,
    callback: Callback | None = None,
    *,
    loaded: Table | None = None,
    trust: bool = False,
    **resumable: Any,
) -> SearchResult:
    """Go on with an interrupted search; a finished one only returns its result.

    Args:
        path: the run folder.
        callback: called with every event.
        loaded: a benchmark table that has been read already, instead of the one that the settings name.
        trust: see `search`.
        resumable: new values of resumable settings, see `setting` in `zarts.config.base`. A run with user-defined
            operations needs `operations`, their file, again.

    Raises:
        RunError: the folder or its checkpoint cannot be used.
        DataError: its benchmark table cannot be read.
    """
    settings = searched_settings(path, **resumable)
    with joined(settings) as ranks:
        use_operations(Run(Path(path)), settings.operations, note_writer(callback if ranks.lead else None))
        table = loaded or (_table_of(settings, trust) if ranks.lead else None)
        return _search_and_draw(settings, Run(Path(path), writes=ranks.lead), callback, table, ranks, resume=True)


def searched_settings(path: Path | str, **resumable: Any) -> SearchSettings:
    """The settings of a search that has begun, with the resumable ones that are given.

    Raises:
        RunError: the folder is not that of a search.
    """
    run = Run.open(Path(path), "search")
    use_space(run)
    begun = {key: value for key, value in run.settings("search").items() if key not in NOT_RESTORED}
    return search_settings({**begun, **resumable}, where=str(run.path / "config.yaml"))


def launch_ranks(
    settings: SearchSettings | RetrainSettings,
    argv: Sequence[str],
    pieces: int | None = None,
    resume_hint: str | None = None,
) -> int | None:
    """Start as many ranks as the settings ask for, each of which runs `zarts ARGV`.

    Args:
        settings: of the search or retraining.
        argv: the arguments of the command.
        pieces: number of pieces of work that the ranks share; None: the candidates of an update.
        resume_hint: the way out in the message when a rank was killed; None: resume the run.

    Returns:
        The exit code of the command; None where nothing was started, because this process is a rank already or the
        settings ask for a single one.

    Raises:
        SettingsError: the method cannot use that many ranks, or torchrun has started another number here.
        RankError: a rank was killed.
    """
    if started() > 1:
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        if settings.devices not in ("auto", here):
            raise SettingsError(f"devices = {settings.devices}, but torchrun has started {here} here: leave it out")
        return None
    count = ranks_here(settings, pieces)
    command = "retrain" if isinstance(settings, RetrainSettings) else "search"
    return launch(count, argv, resume_hint or _RESUME_HINT.format(command)) if count > 1 else None


def _search_and_draw(
    settings: SearchSettings,
    run: Run,
    callback: Callback | None,
    table: Table | None,
    ranks: Ranks,
    *,
    resume: bool = False,
    drive: Driver | None = None,
) -> SearchResult:
    """Search. Only the first rank calls the callback, looks up true accuracies and draws."""
    if not ranks.lead:
        return run_search(settings, run, resume=resume, drive=drive, ranks=ranks)
    with logged(settings, run, callback) as callback:
        truth = None if table is None else Truth(table, run, callback)
        result = run_search(settings, run, resume=resume, drive=drive, callback=truth or callback, ranks=ranks)
        if truth is not None:
            truth.finish(result.genotype)
    return draw_result(result)


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
    settings: CommonSettings, command: str, before_seconds: float, ranks: Ranks | None = None
) -> Iterator[tuple[Run, DryRun]]:
    """A temporary run folder, removed afterwards, and the dry run in it."""
    dry_run = DryRun(before_seconds, ranks)
    with TemporaryDirectory(prefix="zarts-") as folder:
        yield Run.create(Path(folder) / command, dump(settings), command), dry_run


def draw_result(result: _R) -> _R:
    """Draw the cells of a result and write the report, both into its run folder; the result itself."""
    draw_cells(result.genotype, result.run / "cells")
    write_report(result.run)
    return result


def notes_only(callback: Callback | None) -> Callback:
    """A callback that passes on the events `note` only: no progress."""
    return lambda event: callback(event) if callback is not None and event["event"] == "note" else None


def note_writer(callback: Callback | None) -> Callable[[str], None]:
    """A function that sends a line of text to the callback, as an event `note`."""
    return lambda text: None if callback is None else callback({"event": "note", "text": text})
