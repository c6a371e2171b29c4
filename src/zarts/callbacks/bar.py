"""The bar of a terminal of any width: bar and time left stay, the rest gives way."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import timedelta

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.progress_bar import ProgressBar
from rich.table import Column
from rich.text import Text
from typing_extensions import override

from zarts.callbacks.pace import words_left

__all__ = ["bar_of", "fitting"]

_WIDE = 60
"""Columns from which the time so far stands beside the time left."""
_BAR_COLUMNS = (8, 20)
"""Least and most columns of the bar; between, a fifth of the terminal."""


def bar_of(console: Console) -> Progress:
    """A bar that redraws itself while its block lasts, and is gone afterwards.

    A task has the fields `begun`, when the command began, and `until`, when all will be done or None, both by
    `time.perf_counter`. What the process prints
    meanwhile stands above the bar, unless standard output is a file or a pipe.
    """
    return Progress(
        _Description(table_column=Column(ratio=1, no_wrap=True)),
        _Bar(console),
        _Times(console, table_column=Column(no_wrap=True, justify="right")),
        console=console,
        transient=True,
        expand=True,
        redirect_stdout=sys.stdout.isatty(),
    )


def fitting(text: str, columns: int) -> str:
    """As many of the parts of a text, which two spaces separate, as fit; a first one that is too long is cut: `…`."""
    parts = text.split("  ")
    while len(parts) > 1 and cell_len("  ".join(parts)) > columns:
        parts.pop()
    line = Text("  ".join(parts))
    line.truncate(columns, overflow="ellipsis")
    return line.plain


class _Fitting:
    """A text that renders as much of itself as there is room for."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text(fitting(self._text, options.max_width), no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)


class _Description(ProgressColumn):
    max_refresh = 0.1

    @override
    def render(self, task: Task) -> _Fitting:
        return _Fitting(task.description)


class _Bar(BarColumn):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    @override
    def render(self, task: Task) -> ProgressBar:
        least, most = _BAR_COLUMNS
        self.bar_width = max(least, min(most, self._console.width // 5))
        return super().render(task)


class _Times(ProgressColumn):
    def __init__(self, console: Console, table_column: Column) -> None:
        super().__init__(table_column)
        self._console = console

    @override
    def render(self, task: Task) -> Text:
        passed = str(timedelta(seconds=int(time.perf_counter() - task.fields["begun"])))
        left = words_left(task.fields["until"])
        both = f"{passed}  {left}" if left and self._console.width >= _WIDE else left or passed
        return Text(both, style="progress.remaining")
