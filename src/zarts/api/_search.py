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
    "UNKEPT",
    "drawn",
    "dry_run_search",
    "dry_running",
    "launch_ranks",
    "notes",
    "resume_search",
    "search",
    "searched_settings",
    "start_search",
    "told",
]


UNKEPT = ("devices", "operations", "logger")
"""Settings that a run goes on with only if they are said again."""

_R = TypeVar("_R", SearchResult, RetrainResult)


@contextmanager
def dry_running(
    settings: CommonSettings, command: str, before_seconds: float, ranks: Ranks | None = None
) -> Iterator[tuple[Run, DryRun]]:
    """A run folder that is gone afterwards, and a rehearsal that has begun."""
    dry_run = DryRun(before_seconds, ranks)
    with TemporaryDirectory(prefix="zarts-") as folder:
        yield Run.create(Path(folder) / command, dump(settings), command), dry_run


def notes(callback: Callback | None) -> Callback:
    """Hears what it should be told of a run, and not how far the run is."""
    return lambda event: callback(event) if callback is not None and event["event"] == "note" else None


def told(callback: Callback | None) -> Callable[[str], None]:
    """Tells the callback a line."""
    return lambda text: None if callback is None else callback({"event": "note", "text": text})


def drawn(result: _R) -> _R:
    """The result, with the pictures of its cells and the report in its folder."""
    draw_cells(result.genotype, result.run / "cells")
    write_report(result.run)
    return result


_RESUME_HINT = "the run has ended; its last checkpoint is intact, go on with `zarts {} --resume RUN`"


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

    A call starts no processes: it is one rank, or one of those that torchrun has started, each of which makes the
    same call.

    Args:
        out: the run folder; None makes a new one in `runs/search`.
        preset: name of a preset, for example `quick`.
        config: a YAML file with settings.
        callback: called with every event.
        trust: whether the file of the setting `table` may be unpickled; see `lookup`.
        options: settings, see `zarts.config.SearchSettings`; for example `space="s2", method="zarts-gld"`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    settings = search_settings(options, preset=preset, config=None if config is None else Path(config))
    if settings.devices not in ("auto", started()):
        raise SettingsError(
            f"devices = {settings.devices}: a call from Python starts no processes; run "
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
    """Search with settings that are resolved already, and perhaps a table that has been read; see `search`."""
    given, settings = settings, anchored(settings)
    label = Path(settings.data).name or "images"
    name = f"{label}-{settings.space}-{settings.method}-seed{settings.seed}"
    path = Path("runs/search") / name if out is None else Path(out)
    with joined(settings) as ranks:
        own = UserFiles.of(given, told(callback if ranks.lead else None))
        table = loaded or (_table_of(settings, trust) if ranks.lead else None)
        made = new_run(path, settings, "search", numbered=out is None).path if ranks.lead else path
        run = Run(ranks.broadcast(made), writes=ranks.lead)
        with discarded_unless_begun(run):
            own.keep(run)
            return _searched(settings, run, callback, table, ranks)


def dry_run_search(
    settings: SearchSettings,
    callback: Callback | None = None,
    *,
    trust: bool = False,
    before_seconds: float = 0.0,
) -> Forecast:
    """What a search with these settings will cost in time and memory; leaves nothing behind.

    Args:
        settings: resolved settings, see `zarts.config.search_settings`.
        callback: called with events of the kind `note`.
        trust: see `search`.
        before_seconds: what the process has taken until now, which the command will take again.

    Raises:
        ZartsError: what the search itself would raise.
    """
    given, settings = settings, anchored(settings)
    with joined(settings) as ranks:
        UserFiles.of(given, told(callback if ranks.lead else None))
        table = _table_of(settings, trust) if ranks.lead else None
        before_seconds *= min(2, ranks.count)  # the process that starts the ranks takes as long
        with dry_running(settings, "search", before_seconds, ranks) as (run, dry_run):
            _searched(settings, run, notes(callback), table, ranks, drive=dry_run.run)
            return dry_run.forecast()


def resume_search(
    path: Path | str,
    callback: Callback | None = None,
    *,
    loaded: Table | None = None,
    trust: bool = False,
    **resumable: Any,
) -> SearchResult:
    """Go on with an interrupted search; a finished one only gives its result.

    Args:
        path: the run folder.
        callback: called with every event.
        loaded: a table that has been read already, in the place of the setting's.
        trust: see `search`.
        resumable: settings that no result depends on, with other values than it was begun with: see `setting` in
            `zarts.config.base`; of a run with operations of its own their file `operations` again.

    Raises:
        RunError: the folder or its checkpoint cannot be used.
        DataError: its table cannot be read.
    """
    settings = searched_settings(path, **resumable)
    with joined(settings) as ranks:
        use_operations(Run(Path(path)), settings.operations, told(callback if ranks.lead else None))
        table = loaded or (_table_of(settings, trust) if ranks.lead else None)
        return _searched(settings, Run(Path(path), writes=ranks.lead), callback, table, ranks, resume=True)


def _searched(
    settings: SearchSettings,
    run: Run,
    callback: Callback | None,
    table: Table | None,
    ranks: Ranks,
    *,
    resume: bool = False,
    drive: Driver | None = None,
) -> SearchResult:
    """Search; what is heard, looked up and drawn is so on the first rank only."""
    if not ranks.lead:
        return run_search(settings, run, resume=resume, drive=drive, ranks=ranks)
    with logged(settings, run, callback) as heard:
        truth = None if table is None else Truth(table, run, heard)
        result = run_search(settings, run, resume=resume, drive=drive, callback=truth or heard, ranks=ranks)
        if truth is not None:
            truth.finish(result.genotype)
    return drawn(result)


def _table_of(settings: SearchSettings, trust: bool) -> Table | None:
    """The table that the settings name, read.

    Raises:
        DataError: it is not there, or cannot be read.
    """
    if settings.benchmark_table is None:
        return None
    return read_table(find_table(None if settings.benchmark_table == "auto" else settings.benchmark_table), trust=trust)


def searched_settings(path: Path | str, **resumable: Any) -> SearchSettings:
    """The settings of a search that was begun; with what of the resumable ones is given.

    Raises:
        RunError: it is no folder of one.
    """
    run = Run.open(Path(path), "search")
    use_space(run)
    begun = {key: value for key, value in run.settings("search").items() if key not in UNKEPT}
    return search_settings({**begun, **resumable}, where=str(run.path / "config.yaml"))


def launch_ranks(
    settings: SearchSettings | RetrainSettings,
    argv: Sequence[str],
    pieces: int | None = None,
    resume_hint: str | None = None,
) -> int | None:
    """Run `zarts ARGV` as so many ranks as the settings ask for; its exit code.

    None: nothing was run, because this process is a rank already, or the only one there is to be.

    Args:
        settings: of the search or retraining.
        argv: of the command.
        pieces: of work that the ranks share; None: the candidates of an update.
        resume_hint: what to do when a rank was killed, for the message; None: to resume the run.

    Raises:
        SettingsError: a number of ranks that the method cannot use, or another one than torchrun has started here.
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
