"""The progress bar: a callback for the events of a run, silent when standard error is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from zarts.cli.distributed import is_rank_zero
from zarts.reports.collapse import COLLAPSE, GROWTH

__all__ = ["progress"]


class _Bar:
    """Callback that shows events as one line: epoch, loss, accuracy, N_e of the last update, signs of a collapse."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("loading", total=None)
        self._extra: dict[str, str] = {}
        self._least = float("inf")

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
            self._bar.update(self._task, completed=event["over"], total=event["trials"], description=text)
        elif kind == "part":
            self._bar.update(self._task, completed=event["done"], total=event["of"], description=event["text"])
        elif kind in ("note", "warning"):
            self._bar.console.print(event["text"], markup=False, highlight=False, soft_wrap=True)
        elif kind == "step":
            done = (event["epoch"] - 1) * event["steps"] + event["step"]
            text = f"epoch {event['epoch']}/{event['epochs']}  loss {event['train_loss']:.3f}"
            text = "  ".join([text, f"acc {event['train_accuracy']:.1f} %", *self._extra.values()])
            self._bar.update(self._task, completed=done, total=event["epochs"] * event["steps"], description=text)

    def _sharpness(self, value: float) -> str:
        """The dominant eigenvalue and, if it has grown, its ratio to the lowest one before."""
        least = self._least = min(value, self._least)
        grown = f" (x {value / least:.1f}: sharper)" if least > 0 and value >= GROWTH * least else ""
        return f"eigenvalue {value:.2g}{grown}"


@contextmanager
def progress() -> Iterator[_Bar]:
    """A callback that draws a bar on standard error while the block lasts."""
    console = Console(stderr=True)
    shown = console.is_terminal and is_rank_zero()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        yield _Bar(bar)
