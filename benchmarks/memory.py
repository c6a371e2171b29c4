"""Memory of steps, forecast from a few images and then measured, with and without activation checkpointing."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.measure import in_turn
from benchmarks.report import Report, environment, options
from zarts.config import retrain_settings, search_settings
from zarts.networks import checkpoint_cells
from zarts.runs import Run
from zarts.runtime.measure import peak_bytes
from zarts.runtime.system_memory import keep_freed_memory
from zarts.searcher import measure_search
from zarts.spaces import published
from zarts.training import retrain as run_retrain
from zarts.training.memory_forecast import needs
from zarts.training.trainer import Job

__all__ = ["CASES", "main", "measured"]

_COMMON = {"data": "digits", "epochs": 2, "memory_limit": "none"}
_SEARCH = {**_COMMON, "method": "darts", "subset": 256}
_PAPER = {**_SEARCH, "channels": 16, "cells": 8, "image_size": 32}
_TRAIN = {**_COMMON, "subset": 64, "image_size": 32}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "small": (
        "supernet, 4 channels, 5 cells, batch 32, 16×16",
        {**_SEARCH, "channels": 4, "cells": 5, "batch_size": 32, "image_size": 16},
    ),
    "paper": ("supernet, 16 channels, 8 cells, batch 64, 32×32", {**_PAPER, "batch_size": 64}),
    "paper-16": ("the same, batch 16", {**_PAPER, "batch_size": 16}),
    "paper-torch": ("the same, batch 16, torch's kernels", {**_PAPER, "batch_size": 16, "kernels": "torch"}),
    "imagenet-search": (
        "the same, batch 8, 224×224, ImageNet stem",
        {**_PAPER, "batch_size": 8, "image_size": 224, "stem": "imagenet", "subset": 64},
    ),
    "retrain-8": ("DARTS_V2, 36 channels, 20 cells, batch 8, 32×32", {**_TRAIN, "batch_size": 8}),
    "retrain-32": ("the same, batch 32", {**_TRAIN, "batch_size": 32}),
    "imagenet": (
        "DARTS_V2, 48 channels, 14 cells, batch 4, 224×224, ImageNet stem",
        {**_TRAIN, "batch_size": 4, "image_size": 224, "stem": "imagenet", "channels": 48, "cells": 14},
    ),
}
"""Description and settings of each case: a search if they name a method, else a retraining."""

COLUMNS = ["step", "forecast, MB", "used, MB", "ratio", "checkpointed: forecast, MB", "used, MB", "ratio"]
COLUMNS += ["memory, checkpointed / not", "time, checkpointed / not"]


class _EnoughError(Exception):
    """Ends a job after `look`."""


def measured(settings: Mapping[str, Any], threads: int, pairs: int) -> dict[str, Any]:
    """Bytes forecast and used, without and with checkpointing, and pairs of seconds; each in a process of its own."""

    def apart(look: Callable[[Job], Any], on: bool) -> Any:
        return _apart({**settings, "checkpoint_activations": on}, look, threads)

    forecast, used = ([apart(look, on) for on in (False, True)] for look in (_forecast, _used))
    return {"said": forecast, "used": used, "seconds": apart(partial(_timed, pairs=pairs), False)}


def _with_job(settings: Mapping[str, Any], look: Callable[[Job], Any], threads: int) -> Any:
    """The result of `look` for the job of a search or of a retraining."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    found = []

    def drive(job: Job) -> None:
        found.append(look(job))
        raise _EnoughError

    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", {}, "search" if "method" in settings else "retrain")
        try:
            if "method" in settings:
                measure_search(search_settings(settings), run, drive)
            else:
                run_retrain(retrain_settings(settings), published("DARTS_V2"), run, drive=drive)
        except _EnoughError:
            pass
    return found[0]


def _apart(settings: Mapping[str, Any], look: Callable[[Job], Any], threads: int) -> Any:
    """`_with_job` in a process of its own, which has no freed memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_with_job, settings, look, threads).result()


def _forecast(job: Any) -> float:
    """Bytes that the memory check predicts for the steps."""
    settings = job.settings
    return max(line.whole for line in needs(job, settings.batch_size, checkpointing=settings.checkpoint_activations))


def _used(job: Job) -> int:
    """Peak bytes of the first step of the last epoch."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = peak_bytes(job.device)
    job.begin_epoch(1)
    job.step(1, 0)
    return peak_bytes(job.device) - before


def _timed(job: Any, pairs: int) -> list[tuple[float, float]]:
    """Processor seconds of a step without and with checkpointing, in turn."""
    network = job.supernet if hasattr(job, "supernet") else job.network
    job.begin_epoch(0)

    def step(on: bool) -> None:
        checkpoint_cells(network, [], on=on)
        job.step(0, 0)

    return [(plain.cpu, other.cpu) for plain, other in in_turn(partial(step, False), partial(step, True), pairs)]


def _row(name: str, seen: Mapping[str, Any]) -> list[str]:
    texts = [CASES[name][0]]
    for forecast, used in zip(seen["said"], seen["used"], strict=True):
        texts += [f"{forecast / 1e6:.0f}", f"{used / 1e6:.0f}", f"{forecast / used:.2f}"]
    ratios = [other / plain for plain, other in seen["seconds"]]
    time = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
    return [*texts, f"{seen['used'][1] / seen['used'][0]:.2f}", time]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", action="append", choices=CASES, metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--pairs", type=int, default=3, help="pairs of timed steps (default: %(default)s)")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    seen = {name: measured(CASES[name][1], args.threads, args.pairs) for name in args.only or CASES}
    note = (
        "Beyond the memory in use before the first step; used: the peak of a process of its own. Searches: "
        f"`darts`, an alpha step and a weight step. Time: of processors, median of {args.pairs} pairs in turn."
    )
    Report(COLUMNS, [_row(*item) for item in seen.items()], note, environment(), seen).publish(args.json)


if __name__ == "__main__":
    main()
