"""Forecast of `--dry-run` against the search itself: time and memory of whole searches, on the ranks of `auto`."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import search_command
from benchmarks.report import Report, environment, options
from zarts.runtime.io import read_mapping

__all__ = ["SEARCHES", "compare", "main"]

_COMMON = {"data": "digits", "method": "zarts-mgs", "samples": 4, "val-batches": 2, "warmup-epochs": 1} | {
    "arch-update-interval": 10,
    "cutout": 0,
}
SEARCHES = {
    "paper": {"channels": 16, "cells": 8, "batch-size": 64, "image-size": 32, "subset": 1280, "epochs": 2}
    | {"inner-steps": 4},
    "small": {"channels": 4, "cells": 5, "batch-size": 32, "image-size": 16, "subset": 1280, "epochs": 6}
    | {"inner-steps": 10},
    "nasbench201": {"channels": 16, "cells": 5, "batch-size": 64, "image-size": 32, "subset": 1280, "epochs": 2}
    | {"inner-steps": 4, "space": "nasbench201"},
}
_MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small process in between, because the system counts the memory of a process from that of its parent."""

COLUMNS = ["search", "ranks", "predicted, s", "taken, s", "predicted / taken", "predicted, MB", "used, MB", "ratio"]


def compare(settings: dict[str, object]) -> dict[str, float]:
    """Seconds and megabytes of a search, predicted and measured."""
    command = search_command(settings)
    output = subprocess.run([*command, "--dry-run"], check=True, capture_output=True, text=True).stdout
    predicted = re.search(r"\(([\d,]+) s\) +memory: ([\d,]+) MB", output)
    assert predicted is not None, output
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        start = time.perf_counter()
        measured = [sys.executable, "-c", _MEASURED, *command, "--out", str(run)]
        largest = int(subprocess.run(measured, check=True, stdout=subprocess.PIPE).stdout)
        seconds = time.perf_counter() - start
        ranks = read_mapping(run / "env.json")["ranks"]
    return {
        "ranks": ranks,
        "predicted_seconds": float(predicted[1].replace(",", "")),
        "seconds": seconds,
        "predicted_megabytes": float(predicted[2].replace(",", "")),
        "megabytes": ranks * largest * (1 if sys.platform == "darwin" else 1024) / 1e6,  # the ranks are alike
    }


def _row(name: str, seen: dict[str, float]) -> list[str]:
    time_ratio = seen["predicted_seconds"] / seen["seconds"]
    memory_ratio = seen["predicted_megabytes"] / seen["megabytes"]
    times = [f"{seen['predicted_seconds']:.0f}", f"{seen['seconds']:.0f}", f"{time_ratio:.2f}"]
    memory = [f"{seen['predicted_megabytes']:.0f}", f"{seen['megabytes']:.0f}", f"{memory_ratio:.2f}"]
    return [name, f"{seen['ranks']:.0f}", *times, *memory]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", action="append", choices=SEARCHES, metavar="SEARCH", help=f"of {', '.join(SEARCHES)}")
    args = parser.parse_args(arguments)
    seen = {name: compare({**_COMMON, **SEARCHES[name]}) for name in args.only or SEARCHES}
    note = "Digits; MGS, N = 4, one alpha step every ten weight steps after a first epoch without."
    Report(COLUMNS, [_row(*item) for item in seen.items()], note, environment(), seen).publish(args.json)


if __name__ == "__main__":
    main()
