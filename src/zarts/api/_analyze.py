"""The landscape and the diagnosis of a search that is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zarts.analysis import Diagnosis, Landscape, make_landscape
from zarts.analysis import diagnose as analyse
from zarts.api._ranks import joined
from zarts.api._search import launch_ranks, searched_settings, told
from zarts.reports import draw_landscape, write_report
from zarts.runs import Run
from zarts.runs.user_files import use_operations
from zarts.searcher import restore_search
from zarts.training.trainer import Callback

__all__ = ["diagnose", "landscape", "launch_landscape_ranks"]


_RESUME_HINT = "what was known some seconds before is kept; go on with the same command"


def landscape(
    run: Path | str,
    *,
    grid: int = 41,
    operations: Path | str | None = None,
    callback: Callback | None = None,
    **options: Any,
) -> Landscape:
    """The validation loss around a search's alpha, over a plane, for several numbers of weight steps.

    Kept as `landscape.json`, drawn as `landscape.svg` and `landscape.png` in the run's folder; one that was interrupted
    or killed goes on where it was, with the same options, and one that is there is only drawn again. A call starts no
    processes: it is one rank, or one of those that torchrun has started.

    Args:
        run: the folder of the search, finished or interrupted.
        grid: points a side, an odd number.
        operations: of a run with operations of its own their file again.
        callback: called with every event.
        options: see `zarts.analysis.make_landscape`; for example `inner_steps=[0, 10], radius=2.0`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    settings = searched_settings(run)
    with joined(settings, _pieces(grid)) as ranks:
        heard = callback if callback is not None and ranks.lead else lambda event: None
        folder = Run(Path(run), writes=ranks.lead)
        use_operations(folder, None if operations is None else Path(operations), told(heard))
        with folder.lock(), restore_search(settings, folder, heard, ranks) as found:
            made = make_landscape(found, folder, heard, grid=grid, **options)
        if ranks.lead:
            draw_landscape(folder.path)
            write_report(folder.path)
    return made


def launch_landscape_ranks(run: Path | str, argv: list[str], *, grid: int, devices: int | None) -> int | None:
    """Run `zarts ARGV` as so many ranks as are asked for, or as suit this machine; see `launch_ranks`."""
    settings = searched_settings(run).model_copy(update={"devices": devices or "auto"})
    return launch_ranks(settings, argv, _pieces(grid), _RESUME_HINT)


def _pieces(grid: int) -> int:
    """Points of a surface: what ranks share."""
    return max(1, grid) ** 2


def diagnose(
    run: Path | str, *, operations: Path | str | None = None, callback: Callback | None = None, **options: Any
) -> Diagnosis:
    """Whether a search listens to signal or to noise where its checkpoint left it; written into `diagnosis.json`.

    Args:
        run: the folder of the search, finished or interrupted.
        operations: of a run with operations of its own their file again.
        callback: called with every event.
        options: see `zarts.analysis.diagnose`; for example `sigmas=[0.2, 1.0], draws=16`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    callback = callback or (lambda event: None)
    settings, folder = searched_settings(run), Run(Path(run))
    use_operations(folder, None if operations is None else Path(operations), told(callback))
    with restore_search(settings, folder, callback) as found:
        diagnosis = analyse(found, callback, **options)
    folder.write_json("diagnosis.json", {"run": folder.path.resolve().name, **diagnosis.to_dict()})
    write_report(folder.path)
    return diagnosis
