"""Fits, searches, retrainings and tests in a loop, in one process: what grows that should not."""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch

import zarts
from benchmarks.faults.jobs import THEIRS
from benchmarks.report import environment

__all__ = ["grown", "main"]

_NETWORK: dict[str, Any] = {"data": "digits", "subset": 200, "channels": 4, "cells": 3, "batch_size": 16, "epochs": 2}
_SEARCH: dict[str, Any] = {**_NETWORK, "method": "zarts-mgs", "warmup_epochs": 1, "inner_steps": 1, "samples": 2}
_TRAIN: dict[str, Any] = {**_NETWORK, "auxiliary_weight": 0.0, "drop_path": 0.0, "cutout": 0}
_MEMORY = 0.05
"""Share by which memory may grow from the first to the last third of the rounds: other seeds have other networks."""
_WARM = 2
"""Rounds that do not count, in which libraries are loaded and caches are filled."""
_COUNTED = ("handles", "processes", "threads", "temporary")


def usage(temporary: Path) -> dict[str, int]:
    """What this process holds: memory in bytes, open files, processes it has started, threads, temporary files."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return {
        "memory": pages * os.sysconf("SC_PAGE_SIZE"),
        "handles": len(list(Path("/proc/self/fd").iterdir())),
        "processes": len(children),
        "threads": threading.active_count(),
        "temporary": sum(not file.name.startswith(THEIRS) for file in temporary.iterdir()),
    }


def one_round(folder: Path, seed: int) -> dict[str, float]:
    """One of everything; its accuracies."""
    fit = zarts.fit(out=folder / "fit", quiet=True, data="digits", time=30, max_params="3k", processes=1, seed=seed)
    found = zarts.search(out=folder / "search", quiet=True, seed=seed, **_SEARCH)
    trained = found.retrain(out=folder / "retrain", quiet=True, seed=seed, **_TRAIN)
    return {"fit": zarts.evaluate(fit.run), "retrain": zarts.evaluate(trained.run)}


def grown(rounds: Sequence[dict[str, Any]]) -> list[str]:
    """What has grown from the first third of the rounds to the last one; see `_MEMORY`."""
    third = max(1, len(rounds) // 3)
    first, last = ({key: median(one[key] for one in part) for key in ("memory", *_COUNTED)} for part in (
        rounds[:third],
        rounds[-third:],
    ))  # fmt: skip
    found = [f"{key}: {first[key]:g} to {last[key]:g}" for key in _COUNTED if last[key] > first[key]]
    if last["memory"] > (1 + _MEMORY) * first["memory"]:
        found.append(f"memory: {first['memory'] / 1e6:.0f} to {last['memory'] / 1e6:.0f} MB")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if something has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=45.0, help="how long (default: %(default)g)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/soak.json"), help="file for the figures")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rounds: list[dict[str, Any]] = []
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        temporary = Path(name) / "tmp"
        temporary.mkdir()
        tempfile.tempdir, os.environ["TMPDIR"] = str(temporary), str(temporary)
        while time.monotonic() - begun < 60 * args.minutes or len(rounds) < _WARM + 2:
            runs, start = Path(name) / "runs", time.monotonic()
            accuracies = one_round(runs, len(rounds))
            shutil.rmtree(runs)
            rounds.append({**usage(temporary), "seconds": time.monotonic() - start, "accuracy": accuracies})
            print(f"{len(rounds)}: {rounds[-1]}", flush=True)
        tempfile.tempdir = None
    found = grown(rounds[_WARM:])
    facts = {**environment(), "minutes": (time.monotonic() - begun) / 60}
    args.json.write_text(json.dumps({"facts": facts, "grown": found, "rounds": rounds}, indent=2) + "\n")
    print("; ".join(found) or f"nothing has grown in {len(rounds)} rounds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
