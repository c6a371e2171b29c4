"""The progress bar of a command: a callback for the events of a run, silent when standard error is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from zarts.callbacks.progress import progress_bar
from zarts.cli.distributed import is_rank_zero
from zarts.runtime.paths import printable

__all__ = ["print_notes", "progress"]


def progress() -> AbstractContextManager[Callable[[Mapping[str, Any]], None]]:
    """A callback that draws a bar while the block lasts; only rank 0 draws."""
    return progress_bar(shown=is_rank_zero())


def print_notes(notes: Sequence[str]) -> None:
    """Print notes on standard error; only rank 0 prints."""
    for text in notes if is_rank_zero() else ():
        print(printable(text), file=sys.stderr)
