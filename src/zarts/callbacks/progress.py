"""Progress for people: a bar in a terminal or a notebook, or one line an epoch; all are functions of an event."""

from __future__ import annotations

import html
import importlib
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from typing_extensions import override

from zarts.reports.collapse import COLLAPSE, GROWTH
from zarts.runtime.paths import encodable, printable
from zarts.wording import worded

__all__ = ["progress", "progress_bar"]

_REDRAW_SECONDS = 0.2
"""Shortest time between two pictures of a notebook's bar."""


class _Watcher(ABC):
    """Reads events: epoch, loss, accuracy, N_e of the last update, signs of a collapse; subclasses show them."""

    def __init__(self) -> None:
        self._extra: dict[str, str] = {}
        self._least = float("inf")
        self._means: Mapping[str, Any] = {}
        self._start = time.perf_counter()

    @abstractmethod
    def show(self, text: str, done: int, total: int) -> None:
        """Show the present line, and how much of the work is done."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Show a note or a warning, which stays."""

    @abstractmethod
    def end_epoch(self, line: str) -> None:
        """Show the line of an epoch that is over, unless it is shown already."""

    def __call__(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "alpha_step" and "ess" in event:
            self._extra["ess"] = f"N_e {event['ess']:.1f} of {len(event['weights'])}"
        elif kind == "genotype":
            count = event["parameterless"].get("normal", 0)
            self._extra["cell"] = f"parameterless {count}{': collapse?' if count > COLLAPSE else ''}"
        elif kind == "eigenvalue":
            self._extra["eigenvalue"] = self._sharpness(event["eigenvalue"])
        elif kind == "train_epoch" and "test_accuracy" in event:
            self._extra["test"] = f"test {event['test_accuracy']:.1f} %"
        elif kind == "trial":
            where = f"{event['group']}: " if event["group"] else ""
            text = f"{where}{event['row']}, seed {event['seed']}: {event['over']} of {event['trials']} searches"
            self.show(text, event["over"], event["trials"])
        elif kind == "part":
            self.show(event["text"], event["done"], event["of"])
        elif kind == "stopped":
            self.say(f"ended after epoch {event['epoch']}: {event['text']}")
        elif kind in ("note", "warning"):
            self.say(worded(event["text"]))
        elif kind == "step":
            done = (event["epoch"] - 1) * event["steps"] + event["step"]
            self.show(self._line(event, event), done, event["epochs"] * event["steps"])
        elif kind == "epoch":
            self.end_epoch(f"{self._line(event, self._means)}  {time.perf_counter() - self._start:.0f} s")
        if kind in ("weight_epoch", "train_epoch"):
            self._means = event

    def _line(self, at: Mapping[str, Any], means: Mapping[str, Any]) -> str:
        text = f"epoch {at['epoch']}/{at['epochs']}"
        if "train_loss" in means:
            text += f"  loss {means['train_loss']:.3f}  acc {means['train_accuracy']:.1f} %"
        return "  ".join([text, *self._extra.values()])

    def _sharpness(self, value: float) -> str:
        """The dominant eigenvalue and, if it has grown, its ratio to the lowest one before."""
        least = self._least = min(value, self._least)
        grown = f" (x {value / least:.1f}: sharper)" if least > 0 and value >= GROWTH * least else ""
        return f"eigenvalue {value:.2g}{grown}"


class _Bar(_Watcher):
    """A bar of rich."""

    def __init__(self, bar: Progress) -> None:
        super().__init__()
        self._bar = bar
        self._task = bar.add_task("loading", total=None)

    @override
    def show(self, text: str, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total, description=self._shown(text))

    @override
    def say(self, text: str) -> None:
        self._bar.console.print(self._shown(text), markup=False, highlight=False, soft_wrap=True)

    @override
    def end_epoch(self, line: str) -> None:
        """Do nothing: the bar has it."""

    def _shown(self, text: str) -> str:
        return encodable(printable(text), self._bar.console.file)


class _Lines(_Watcher):
    """A line on standard error for each epoch, each trial and each kind of work."""

    def __init__(self) -> None:
        super().__init__()
        self._work = ""

    @override
    def show(self, text: str, done: int, total: int) -> None:
        if not text.startswith("epoch ") and text != self._work:
            self._work = text
            self.say(text)

    @override
    def say(self, text: str) -> None:
        _write(text)

    @override
    def end_epoch(self, line: str) -> None:
        self.say(line)


class _NotebookBar(_Watcher):
    """A bar below the cell of a notebook.

    Args:
        display: `IPython.display.display`.
    """

    def __init__(self, display: Callable[..., Any]) -> None:
        super().__init__()
        self._handle = display({"text/plain": "loading"}, raw=True, display_id=True)
        self._drawn = 0.0

    @override
    def show(self, text: str, done: int, total: int) -> None:
        now = time.perf_counter()
        if done == total or now - self._drawn > _REDRAW_SECONDS:
            self._drawn = now
            text = printable(text)
            bar = f'<progress value="{done}" max="{total}"></progress> {html.escape(text)}'
            self._handle.update({"text/html": bar, "text/plain": f"{text} ({100 * done // total} %)"}, raw=True)

    @override
    def say(self, text: str) -> None:
        _write(text)

    @override
    def end_epoch(self, line: str) -> None:
        """Do nothing: the bar has it."""


def _write(text: str) -> None:
    sys.stderr.write(encodable(f"{printable(text)}\n", sys.stderr))
    sys.stderr.flush()


@contextmanager
def progress_bar(*, shown: bool = True) -> Iterator[_Watcher]:
    """A callback that draws a bar on standard error while the block lasts, if that is a terminal.

    Args:
        shown: whether this process may draw.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    hidden = not (shown and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        yield _Bar(bar)


def progress(*, quiet: bool) -> Callable[[Mapping[str, Any]], None]:
    """The progress of a call from Python: a bar in a notebook, else one line an epoch; with `quiet` nothing."""
    if quiet:
        return lambda event: None
    display = _notebook_display()
    return _Lines() if display is None else _NotebookBar(display)


def _notebook_display() -> Callable[..., Any] | None:
    """The function that shows something below the cell of a notebook; None outside of notebooks."""
    python = sys.modules.get("IPython")
    if python is None or not hasattr(python.get_ipython(), "kernel"):
        return None
    shown: Callable[..., Any] = importlib.import_module("IPython.display").display
    return shown
