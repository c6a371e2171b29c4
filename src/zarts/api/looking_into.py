"""Looking into a search where its checkpoint left it: what is found is kept in its folder, and in its report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zarts.analysis import Diagnosis
from zarts.analysis import diagnose as analyse
from zarts.api.frame import told
from zarts.api.searching import searched_settings
from zarts.report import write_report
from zarts.runs import Run
from zarts.runs.user_files import use_operations
from zarts.searcher import open_search
from zarts.training.trainer import Listener

__all__ = ["diagnose"]


def diagnose(
    run: Path | str, *, operations: Path | str | None = None, listener: Listener | None = None, **options: Any
) -> Diagnosis:
    """Whether a search listens to signal or to noise where its checkpoint left it; written into `diagnosis.json`.

    Args:
        run: the folder of the search, finished or interrupted.
        operations: of a run with operations of its own their file again.
        listener: called with every event.
        options: see `zarts.analysis.diagnose`; for example `sigmas=[0.2, 1.0], draws=16`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    listener = listener or (lambda event: None)
    settings, folder = searched_settings(run), Run(Path(run))
    use_operations(folder, None if operations is None else Path(operations), told(listener))
    with open_search(settings, folder, listener) as found:
        diagnosis = analyse(found, listener, **options)
    folder.write_json("diagnosis.json", {"run": folder.path.resolve().name, **diagnosis.to_dict()})
    write_report(folder.path)
    return diagnosis
