"""Time of an alpha step with as many ranks as processors, against one rank with as many threads.

The script runs whole searches in turn, as a user starts them. The times are those of the searches' own logs, without
the first alpha step.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import search_command
from benchmarks.report import Report, environment, options
from zarts.runtime.io import read_events

__all__ = ["main"]

N, M, ALPHA_STEPS = 4, 10, 4
SIZES = {
    "small": {"channels": 4, "cells": 5, "batch-size": 32, "image-size": 16},
    "medium": {"channels": 8, "cells": 5, "batch-size": 32, "image-size": 32},
}
COLUMNS = ["size", "one rank of all threads, s", "a rank a thread, s", "ratio", "smallest", "largest"]


def alpha_step_seconds(size: dict[str, int], ranks: int, threads: int) -> float:
    """Median seconds of an alpha step in a search of one epoch."""
    settings = {
        **size,
        "data": "digits",
        "method": "zarts-mgs",
        "samples": N,
        "inner-steps": M,
        "subset": 2 * ALPHA_STEPS * size["batch-size"],  # one half trains the weights
        "arch-update-interval": 1,
        "epochs": 1,
        "warmup-epochs": 0,
        "devices": ranks,
        "threads": threads,
    }
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run(
            [*search_command(settings), "--out", str(run)],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        events = read_events(run / "metrics.jsonl")
    return statistics.median([event["seconds"] for event in events if event["event"] == "alpha_step"][1:])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--pairs", type=int, default=5, help="searches of each side (default: %(default)s)")
    parser.add_argument("--size", choices=SIZES, default="small", help="of the supernet (default: %(default)s)")
    args = parser.parse_args(arguments)
    size, threads = SIZES[args.size], args.threads
    pairs = [(alpha_step_seconds(size, 1, threads), alpha_step_seconds(size, threads, 1)) for _ in range(args.pairs)]
    one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = [one / two for one, two in pairs]
    numbers = [one, two, statistics.median(ratios), min(ratios), max(ratios)]
    network = ", ".join(f"{key.replace('-', ' ')} {value}" for key, value in size.items())
    note = f"Median of {args.pairs} pairs; digits, space darts, MGS, N = {N}, M = {M}, {network}; {threads} processors."
    Report(COLUMNS, [[args.size, *(f"{number:.3g}" for number in numbers)]], note, environment(), pairs).publish(
        args.json
    )


if __name__ == "__main__":
    main()
