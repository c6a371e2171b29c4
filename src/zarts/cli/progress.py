"""What a long command shows while it works, and how long it has taken in the end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Annotated, Any

import typer

from zarts.callbacks.pace import span
from zarts.callbacks.progress import shown_progress
from zarts.cli.distributed import command_began, is_rank_zero
from zarts.errors import SettingsError
from zarts.runtime.paths import printable

__all__ = ["Display", "Quiet", "Verbose", "waited"]

Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="no progress and no notes: only warnings, errors and the result")
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="also say how long each phase took and, in a terminal, keep a line of each epoch"
    ),
]


class Display:
    """What a command shows on standard error while it works; only rank 0 shows anything.

    Args:
        quiet: warnings only.
        verbose: more, see `Verbose`.

    Raises:
        SettingsError: both.
    """

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        if quiet and verbose:
            raise SettingsError("--quiet and --verbose: leave one of them out")
        self._quiet, self._verbose = quiet, verbose

    def progress(self) -> AbstractContextManager[Callable[[Mapping[str, Any]], None]]:
        """A callback that shows the events of a run while the block lasts."""
        if not is_rank_zero():
            return nullcontext(lambda event: None)
        return shown_progress(begun=command_began(), quiet=self._quiet, verbose=self._verbose)

    def load(self, module: str) -> None:
        """Import a module that needs PyTorch, which takes seconds; that is said before."""
        if "torch" not in sys.modules:
            with self.progress() as callback:
                processes = f" in {os.environ['WORLD_SIZE']} processes" if "RANK" in os.environ else ""
                callback({"event": "doing", "text": f"loading PyTorch{processes}"})
                import_module(module)

    def notes(self, notes: Sequence[str]) -> None:
        """Print notes; with --quiet none."""
        for text in notes if is_rank_zero() and not self._quiet else ():
            print(printable(text), file=sys.stderr)


def waited() -> str:
    """The time since the command began, in words: what its user has waited."""
    return span(time.perf_counter() - command_began())
