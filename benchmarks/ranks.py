"""How much sooner is alpha moved by as many ranks as processors than by one rank with as many threads?

Whole searches, as a user would start them, in turn; timed is each move of alpha but the first, by the search's own log.
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

N, M, MOVES = 4, 10, 4
SIZES = {
    "small": {"channels": 4, "cells": 5, "batch-size": 32, "image-size": 16},
    "medium": {"channels": 8, "cells": 5, "batch-size": 32, "image-size": 32},
}
COLUMNS = ["size", "one rank of all threads, s", "a rank a thread, s", "ratio", "smallest", "largest"]


def move_seconds(size: dict[str, int], ranks: int, threads: int) -> float:
    """Median seconds of a move of alpha in a search of one epoch."""
    settings = {
        **size,
        "samples": N,
        "inner-steps": M,
        "subset": 2 * MOVES * size["batch-size"],  # one half trains the weights
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
    pairs = [(move_seconds(size, 1, threads), move_seconds(size, threads, 1)) for _ in range(args.pairs)]
    one, two = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = [one / two for one, two in pairs]
    cells = [one, two, statistics.median(ratios), min(ratios), max(ratios)]
    network = ", ".join(f"{key.replace('-', ' ')} {value}" for key, value in size.items())
    note = f"Median of {args.pairs} pairs; digits, space darts, MGS, N = {N}, M = {M}, {network}; {threads} processors."
    Report(COLUMNS, [[args.size, *(f"{cell:.3g}" for cell in cells)]], note, environment(), pairs).publish(args.json)


if __name__ == "__main__":
    main()
