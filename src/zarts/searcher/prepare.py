"""A search that is ready to run: built, drawn at random, or finished already."""

from __future__ import annotations

import shlex
import time
from typing import Protocol, runtime_checkable

import torch

from zarts.config import SearchSettings
from zarts.limits import Costs
from zarts.runs import Run
from zarts.runs.checksum import code_checksums
from zarts.runtime.distributed import Ranks
from zarts.runtime.environment import environment
from zarts.runtime.seed import keyed_generator
from zarts.searcher.build import build_searcher
from zarts.searcher.result import SearchRecord, read_result, write_result
from zarts.searcher.searcher import Searcher
from zarts.spaces import get_space
from zarts.training.memory_check import check_memory
from zarts.training.memory_forecast import undisturbed
from zarts.training.setup import load_images
from zarts.training.trainer import Callback, Driver, no_callback

__all__ = ["Runnable", "measure_search", "prepare_search"]

_MANY = 500_000
"""Images that weights are trained on in all, from which on a search may take a day."""
_DAY = 86_400.0


@runtime_checkable
class Runnable(Protocol):
    """A search in a run folder."""

    folder: Run

    def run(self, *, resume: bool = False) -> SearchRecord:
        """Search, from the start or from the run's checkpoint, and write the result into the run folder."""


def prepare_search(
    settings: SearchSettings, folder: Run, callback: Callback | None = None, ranks: Ranks | None = None
) -> Runnable:
    """A search that is ready to run: a `Searcher` whose steps fit into memory, in most cases.

    Args:
        settings: the settings.
        folder: the run folder; if the run has finished, running it again only reads its result.
        callback: called with every event.
        ranks: the processes that share the candidates; alone by default.

    Raises:
        DataError, RunError, SettingsError: the message names the cause.
    """
    ranks, callback = ranks or Ranks(), callback or no_callback
    if ranks.broadcast(folder.finished):
        return FinishedSearch(settings, folder)
    if settings.supernet == "none":
        return RandomDraw(settings, folder, callback)
    searcher = build_searcher(settings, folder, callback, ranks)
    searcher.fit = check_memory(searcher, settings, ranks)
    if not ranks.broadcast(folder.started) and settings.epochs * len(searcher.train) * settings.batch_size >= _MANY:
        seconds = _seconds_ahead(searcher)
        if seconds > _DAY:
            callback({"event": "note", "text": _long(seconds, settings.data)})
    return searcher


def _seconds_ahead(searcher: Searcher) -> float:
    """About the time of all steps of a search, from two of each kind; the search is as before."""
    seconds = 0.0
    with undisturbed(searcher):
        for found in searcher.occurrences().values():
            searcher.begin_epoch(found.first[0])
            for _ in range(2):  # the first one warms up
                begun = time.perf_counter()
                searcher.step(*found.first)
            seconds += found.number * (time.perf_counter() - begun)
    return seconds


def _long(seconds: float, data: str) -> str:
    days, hours = divmod(round(seconds / 3600), 24)
    time_words = f"{days} day{'' if days == 1 else 's'}" + (f" {hours} h" if hours else "")
    return (
        f"this search takes about {time_words} here; `zarts fit {shlex.quote(data)} --time 2h` finds a small network "
        "for the same images in a time that you give, `zarts search --preset quick` searches in minutes"
    )


def measure_search(
    settings: SearchSettings, folder: Run, drive: Driver, callback: Callback | None = None, ranks: Ranks | None = None
) -> SearchRecord:
    """Let `drive` take some steps of a search in the place of `Searcher.run`, as `DryRun.run` does; its result.

    Raises:
        DataError, RunError, SettingsError: see `prepare_search`.
    """
    ranks, callback = ranks or Ranks(), callback or no_callback
    if settings.supernet == "none":
        return RandomDraw(settings, folder, callback).run()
    searcher = build_searcher(settings, folder, callback, ranks)
    searcher.fit = check_memory(searcher, settings, ranks, always=True)
    drive(searcher)
    return searcher.write_result()


class FinishedSearch:
    """A search whose result is in its run folder."""

    def __init__(self, settings: SearchSettings, folder: Run) -> None:
        self._settings, self.folder = settings, folder

    def run(self, *, resume: bool = False) -> SearchRecord:
        """Read the result."""
        return read_result(self._settings, self.folder)


class RandomDraw:
    """Method `random`: one draw without a network; images are loaded only for limits, which depend on them."""

    def __init__(self, settings: SearchSettings, folder: Run, callback: Callback) -> None:
        self._settings, self.folder, self._callback = settings, folder, callback

    def run(self, *, resume: bool = False) -> SearchRecord:
        """Draw a genotype, and write it into the run folder; there is nothing to resume."""
        with self.folder.lock():
            return self._draw()

    def _draw(self) -> SearchRecord:
        start, settings = time.perf_counter(), self._settings
        space, generator = get_space(settings.space), keyed_generator(settings.seed, "random")
        genotype, costs = space.random(generator), {}
        if settings.max_params is None and settings.max_macs is None:
            begun = environment(torch.device("cpu")) | code_checksums(self.folder.path)
            self.folder.write_json("env.json", begun)
        else:
            images = load_images(settings, self.folder, torch.device("cpu"), self._callback)
            known = Costs(settings, space, images)
            genotype = known.constraints.draw(generator)
            costs = known.of(genotype)
        return write_result(settings, self.folder, genotype, {}, time.perf_counter() - start, costs)
