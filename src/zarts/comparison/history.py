"""Numbers of a search or retraining at the end of each epoch, from the files of its run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from zarts.reports.series import alpha_steps
from zarts.runtime.io import epoch_files, read_events
from zarts.spaces import PARAMETERLESS, Genotype

__all__ = ["cells_of", "identities", "parameterless", "sampling", "test_accuracies"]

_IDENTITY = frozenset({"skip_connect"})


def cells_of(run: Path) -> list[Genotype]:
    """The genotypes that would be derived after each epoch."""
    return [Genotype.load(file) for file in epoch_files(run / "genotypes").values()]


def parameterless(cells: Sequence[Genotype]) -> list[float]:
    """Number of parameterless operations in the normal cell."""
    return [float(cell.count("normal", PARAMETERLESS)) for cell in cells]


def identities(cells: Sequence[Genotype]) -> list[float]:
    """Number of identities in the normal cell."""
    return [float(cell.count("normal", _IDENTITY)) for cell in cells]


def test_accuracies(run: Path) -> list[float | None]:
    """Test accuracy of a retraining, in percent; None after an epoch without a test.

    Raises:
        RunError: the events cannot be read.
    """
    tests = {
        event["epoch"]: event["test_accuracy"]
        for event in read_events(run / "metrics.jsonl")
        if "test_accuracy" in event
    }
    return [tests.get(epoch) for epoch in range(1, max(tests, default=0) + 1)]


def sampling(run: Path) -> dict[str, list[float | None]]:
    """`ess` and `esr`: means over an epoch of N_e = 1 / sum c_i^2 and R_e = N_e / N (eq. 9); None without an update.

    Empty for a search that does not weight candidates.

    Raises:
        RunError: the events cannot be read.
    """
    file = run / "metrics.jsonl"
    events = read_events(file) if file.exists() else []
    steps = [step for step in alpha_steps(events) if "esr" in step]
    if not steps:
        return {}
    last = max(event["epoch"] for event in events if event.get("event") == "weight_epoch")
    by_epoch = [[step for step in steps if step["epoch"] == epoch] for epoch in range(1, last + 1)]
    return {key: [fmean(step[key] for step in part) if part else None for part in by_epoch] for key in ("ess", "esr")}
