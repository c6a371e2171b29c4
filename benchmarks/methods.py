"""Cost of an epoch of each method relative to `darts`, measured in turn in one run, in the table of methods.

The searches use enlarged digits and the defaults of each method, but update alpha from the first epoch on. What a
selection evaluates once at the end is not included.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.report import Report, environment, options
from zarts.config import dump, members, search_settings, used
from zarts.methods import AXES, METHODS
from zarts.runs import Run
from zarts.runtime.system_memory import keep_freed_memory
from zarts.searcher import prepare_search

__all__ = ["SIZE", "epoch_seconds", "main", "table"]

SIZE = {
    "data": "digits",
    "image_size": 16,
    "subset": 320,
    "space": "darts",
    "channels": 8,
    "cells": 5,
    "batch_size": 16,
    "epochs": 5,
    "warmup_epochs": 0,
    "phase_warmup": 0.0,
    "threads": 1,
}
NOTE = (
    "Preset: `zarts search --preset NAME` shows the method on the digits. An epoch: processor time of an epoch "
    "relative to `darts` in the same round, median (smallest to largest) of the rounds; 10 weight steps "
    "of 16 images of 16×16 pixels an epoch, 8 channels, 5 cells, space darts."
)


def epoch_seconds(method: str, size: Mapping[str, Any]) -> float:
    """Processor seconds of an epoch: the mean of all but the first, which warms up."""
    ends: list[float] = []

    def callback(event: Mapping[str, Any]) -> None:
        if event["event"] == "weight_epoch":
            ends.append(time.process_time())

    names = members(search_settings({"method": method}))
    idle = {"warmup_epochs"} if "restart" in names else set()
    settings = search_settings(
        {"method": method, **{k: v for k, v in size.items() if used(k, names) and k not in idle}}
    )
    gc.collect()
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", dump(settings), "search")
        prepare_search(settings, run, callback).run()
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def table(size: Mapping[str, Any], rounds: int, methods: Sequence[str] = tuple(METHODS)) -> Report:
    """Measure the methods in turn, in several rounds."""
    trained = [name for name in methods if METHODS[name].supernet != "none"]
    raw = [{name: epoch_seconds(name, size) for name in dict.fromkeys(("darts", *trained))} for _ in range(rounds)]
    ratios = {name: sorted(one[name] / one["darts"] for one in raw) for name in trained}
    rows = [
        [
            f"`{name}`",
            METHODS[name].paper,
            *METHODS[name].axes.values(),
            _ratio(ratios.get(name)),
            f"`digits/{name}`",
        ]
        for name in methods
    ]
    columns = ["method", "paper", *(axis.replace("_", " ") for axis in AXES), "an epoch, `darts` = 1", "preset"]
    return Report(columns, rows, NOTE, environment(), raw)


def _ratio(found: Sequence[float] | None) -> str:
    if found is None:
        return "–"
    spread = f" ({found[0]:.2f}–{found[-1]:.2f})" if len(found) > 1 else ""
    return f"{median(found):.2f}{spread}"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.set_defaults(threads=1)
    parser.add_argument("--rounds", type=int, default=1, help="rounds over all methods (default: %(default)s)")
    args = parser.parse_args(arguments)
    keep_freed_memory()  # as the command line does
    torch.set_num_threads(args.threads)
    table({**SIZE, "threads": args.threads}, args.rounds).publish(args.json)


if __name__ == "__main__":
    main()
