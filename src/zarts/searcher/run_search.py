"""One search, from settings to a result in its run folder."""

from __future__ import annotations

import time

import torch

from zarts.config import SearchSettings
from zarts.limits import Costs
from zarts.runs import Run
from zarts.runtime.device import torch_threads
from zarts.runtime.distributed import Ranks
from zarts.runtime.environment import environment
from zarts.runtime.seed import keyed_generator
from zarts.searcher.build import build_searcher
from zarts.searcher.result import SearchRecord, read_result, write_result
from zarts.spaces import get_space
from zarts.training.memory_check import check_memory
from zarts.training.setup import load_images
from zarts.training.trainer import Callback, Driver, no_callback

__all__ = ["draw", "search"]


def search(
    settings: SearchSettings,
    run: Run,
    *,
    resume: bool = False,
    callback: Callback | None = None,
    drive: Driver | None = None,
    ranks: Ranks | None = None,
) -> SearchRecord:
    """Search, from the start or from the run's checkpoint, and write the results into the run folder.

    Args:
        settings: the settings.
        run: the run folder.
        resume: go on from the run's checkpoint if it has one.
        callback: called with every event.
        drive: takes some steps of the search in the place of `Searcher.run`, as `DryRun.run`.
        ranks: the processes that share the candidates; alone by default.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved and the run can be resumed.
        DivergedError: no loss is finite; the last checkpoint is intact.
        RankError: another rank is gone; the last checkpoint is intact.
        DataError, RunError, SettingsError: the message names the cause.
    """
    ranks = ranks or Ranks()
    if ranks.broadcast(run.finished):
        return read_result(settings, run)
    with torch_threads(settings.threads):
        if settings.supernet == "none":
            return draw(settings, run, callback or no_callback)
        searcher = build_searcher(settings, run, callback or no_callback, ranks)
        searcher.fit = check_memory(searcher, settings, ranks, always=drive is not None)
        if drive is None:
            return searcher.run(resume=resume)
        drive(searcher)
        return searcher.write_result()


def draw(settings: SearchSettings, run: Run, callback: Callback) -> SearchRecord:
    """Method `random`: one draw without a network; images are loaded only for limits, which depend on them."""
    start = time.perf_counter()
    space, generator = get_space(settings.space), keyed_generator(settings.seed, "random")
    genotype, costs = space.random(generator), {}
    if settings.max_params is None and settings.max_macs is None:
        run.write_json("env.json", environment(torch.device("cpu")))
    else:
        known = Costs(settings, space, load_images(settings, run, torch.device("cpu"), callback))
        genotype = known.constraints.draw(generator)
        costs = known.of(genotype)
    return write_result(settings, run, genotype, {}, time.perf_counter() - start, costs)
