"""Progress for people: a bar in a terminal or a notebook, or lines elsewhere; all are functions of an event."""

from __future__ import annotations

import html
import importlib
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import Progress
from typing_extensions import override

from zarts.callbacks.bar import bar_of
from zarts.callbacks.pace import Pace, span, words_left
from zarts.reports.collapse import COLLAPSE, GROWTH
from zarts.runtime.paths import encodable, printable
from zarts.wording import worded

__all__ = ["progress", "shown_progress"]

_REDRAW_SECONDS = 0.2
"""Shortest time between two pictures of a notebook's bar."""
_LINE_SECONDS = 30.0
"""Time after which work that has brought no line gets one."""
_SHORT = 0.05
"""Seconds of a phase that are worth no line."""


class _Watcher(ABC):
    """Reads events: phase, epoch, loss, accuracy, N_e, signs of a collapse; subclasses show them.

    Args:
        begun: when the command began, by `time.perf_counter`; None: now.
        verbose: say how long each phase took, and keep a line of each epoch.
    """

    def __init__(self, begun: float | None = None, *, verbose: bool = False) -> None:
        self._extra: dict[str, str] = {}
        self._least = float("inf")
        self._means: Mapping[str, Any] = {}
        self._start = time.perf_counter() if begun is None else begun
        self._verbose = verbose
        self._pace = Pace()
        self._phase, self._since = "", self._start
        self._text = ""
        self._until: float | None = None  # when all will be done, as far as that is known

    @abstractmethod
    def show(self, done: int, total: int | None) -> None:
        """Show the present line, `_text`, the time left, and how much is done; total None: not known."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Show a note or a warning, which stays."""

    @abstractmethod
    def begin(self, phase: str) -> None:
        """Show that a phase of the work begins."""

    @abstractmethod
    def end_epoch(self, line: str) -> None:
        """Show the line of an epoch that is over, unless it is shown already."""

    def __call__(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        if kind == "doing":
            self.enter(event["text"])
        elif kind == "alpha_step" and "ess" in event:
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
            text = f"{event['over']} of {event['trials']} searches  {where}{event['row']}, seed {event['seed']}"
            self._show(text, event["over"], event["trials"])
            self.end_epoch(self._with_times(text))
        elif kind == "part":
            if event["text"] != self._phase:
                self.enter(event["text"])
            self._show(event["text"], event["done"], event["of"], event.get("left"))
        elif kind == "stopped":
            self.say(f"ended after epoch {event['epoch']}: {event['text']}")
        elif kind in ("note", "warning"):
            self.say(worded(event["text"]))
        elif kind == "step":
            done = (event["epoch"] - 1) * event["steps"] + event["step"]
            self._show(self._line(event, event), done, event["epochs"] * event["steps"])
        elif kind == "epoch":
            self.end_epoch(self._with_times(self._line(event, self._means)))
        if kind in ("weight_epoch", "train_epoch"):
            self._means = event

    def enter(self, phase: str) -> None:
        """Go on to another phase of the work; an empty one ends the last one."""
        now = time.perf_counter()
        if self._verbose and self._phase and now - self._since >= _SHORT:
            self.say(f"{self._phase}: {now - self._since:.1f} s")
        self._phase, self._since, self._text, self._until, self._pace = phase, now, phase, None, Pace()
        if phase:
            self.begin(phase)

    def _show(self, text: str, done: int, total: int, left: float | None = None) -> None:
        self._pace.mark(done)
        left = self._pace.left(total) if left is None else left
        self._text, self._until = text, None if left is None or done >= total else time.perf_counter() + left
        self.show(done, total)

    def _with_times(self, text: str) -> str:
        """The text with the time so far and the time left."""
        so_far = span(time.perf_counter() - self._start)
        return f"{text}  {', '.join(filter(None, (so_far, words_left(self._until))))}"

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

    def __init__(self, bar: Progress, begun: float | None = None, *, verbose: bool = False) -> None:
        super().__init__(begun, verbose=verbose)
        self._bar = bar
        self._task = bar.add_task("starting", total=None, until=None, begun=self._start)

    @override
    def show(self, done: int, total: int | None) -> None:
        text = self._shown(self._text)
        self._bar.update(self._task, completed=done, total=total, description=text, until=self._until)

    @override
    def begin(self, phase: str) -> None:
        (task,) = (task for task in self._bar.tasks if task.id == self._task)
        task.total = None  # which `update` takes for no change
        self._bar.update(self._task, completed=0, description=self._shown(phase), until=None)

    @override
    def say(self, text: str) -> None:
        self._bar.console.print(self._shown(text), markup=False, highlight=False, soft_wrap=True)

    @override
    def end_epoch(self, line: str) -> None:
        if self._verbose:
            self.say(line)

    def _shown(self, text: str) -> str:
        return encodable(printable(text), self._bar.console.file)


class _Lines(_Watcher):
    """Lines on standard error: of each phase, epoch and trial, and what is done where 30 seconds bring none of them."""

    def __init__(self, begun: float | None = None, *, verbose: bool = False) -> None:
        super().__init__(begun, verbose=verbose)
        self._last = time.perf_counter()

    @override
    def show(self, done: int, total: int | None) -> None:
        self.tick()

    def tick(self) -> None:
        """Write the present line if the last one is old; called now and then."""
        if self._text and time.perf_counter() - self._last >= _LINE_SECONDS:
            self.report(self._with_times(self._text))

    def report(self, line: str) -> None:
        """Write a line of progress."""
        self._last = time.perf_counter()
        _write(line)

    @override
    def say(self, text: str) -> None:
        _write(text)

    @override
    def begin(self, phase: str) -> None:
        self.report(phase)

    @override
    def end_epoch(self, line: str) -> None:
        self.report(line)


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
    def show(self, done: int, total: int | None) -> None:
        now = time.perf_counter()
        if done == total or now - self._drawn > _REDRAW_SECONDS:
            self._drawn = now
            text = printable("  ".join(filter(None, (self._text, words_left(self._until)))))
            known = "" if total is None else f' value="{done}" max="{total}"'
            share = f" ({100 * done // total} %)" if total else ""
            page = f"<progress{known}></progress> {html.escape(text)}"
            self._handle.update({"text/html": page, "text/plain": f"{text}{share}"}, raw=True)

    @override
    def begin(self, phase: str) -> None:
        self._drawn = 0.0
        self.show(0, None)

    @override
    def say(self, text: str) -> None:
        _write(text)

    @override
    def end_epoch(self, line: str) -> None:
        """Do nothing: the bar has it."""


def _write(text: str) -> None:
    sys.stderr.write(encodable(f"{printable(text)}\n", sys.stderr))
    sys.stderr.flush()


def _warnings_only(event: Mapping[str, Any]) -> None:
    """Print a warning, and nothing else."""
    if event["event"] == "warning":
        _write(worded(event["text"]))


@contextmanager
def shown_progress(
    *, begun: float | None = None, quiet: bool = False, verbose: bool = False
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A callback that shows the progress of a command on standard error while the block lasts.

    In a terminal that is a bar; elsewhere lines, one at least every 30 seconds, also where no event comes.

    Args:
        begun: when the command began, by `time.perf_counter`; None: now.
        quiet: show warnings only.
        verbose: also say how long each phase took and, in a terminal, keep a line of each epoch.
    """
    console = Console(stderr=True)
    if quiet:
        yield _warnings_only
    elif sys.stderr.isatty() and not console.is_dumb_terminal:  # rich takes FORCE_COLOR for a terminal
        with bar_of(console) as bar:
            hear = _Bar(bar, begun, verbose=verbose)
            yield hear
            hear.enter("")
    else:
        lines = _Lines(begun, verbose=verbose)
        with _ticking(lines):
            yield lines
            lines.enter("")


@contextmanager
def _ticking(lines: _Lines) -> Iterator[None]:
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(1.0):
            lines.tick()

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def progress(*, quiet: bool) -> Callable[[Mapping[str, Any]], None]:
    """The progress of a call from Python: a bar in a notebook, else lines; with `quiet` nothing."""
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
