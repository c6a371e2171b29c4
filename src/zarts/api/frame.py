"""What goes around a search and a retraining alike: a rehearsal before, pictures and the report after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from zarts.config import CommonSettings, dump
from zarts.report import draw_cells, write_report
from zarts.runs import Run
from zarts.runtime.distributed import Ranks
from zarts.searcher import SearchResult
from zarts.training import RetrainResult
from zarts.training.dry_run import Rehearsal
from zarts.training.trainer import Listener

__all__ = ["UNKEPT", "drawn", "notes", "rehearsed", "told"]

UNKEPT = ("devices", "operations", "logger")
"""Settings that a run goes on with only if they are said again."""

_R = TypeVar("_R", SearchResult, RetrainResult)


@contextmanager
def rehearsed(
    settings: CommonSettings, command: str, before_seconds: float, ranks: Ranks | None = None
) -> Iterator[tuple[Run, Rehearsal]]:
    """A run folder that is gone afterwards, and a rehearsal that has begun."""
    rehearsal = Rehearsal(before_seconds, ranks)
    with TemporaryDirectory(prefix="zarts-") as folder:
        yield Run.create(Path(folder) / command, dump(settings), command), rehearsal


def notes(listener: Listener | None) -> Listener:
    """Hears what it should be told of a run, and not how far the run is."""
    return lambda event: listener(event) if listener is not None and event["event"] == "note" else None


def told(listener: Listener | None) -> Callable[[str], None]:
    """Tells the listener a line."""
    return lambda text: None if listener is None else listener({"event": "note", "text": text})


def drawn(result: _R) -> _R:
    """The result, with the pictures of its cells and the report in its folder."""
    draw_cells(result.genotype, result.run / "cells")
    write_report(result.run)
    return result
