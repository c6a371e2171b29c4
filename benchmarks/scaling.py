"""Scaling of the cost of a weight step and of an alpha step with N, M, channels and batch.

One of them varies at a time, the others stay small. An alpha step computes one gradient and evaluates N candidates,
each by M weight steps and one forward pass (a third of a step): N (M + 1/3) + 1 weight steps, without any overhead.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch

from benchmarks.cases import Size, architecture, data, fast_problem
from benchmarks.measure import in_turn
from benchmarks.report import Report, environment, options
from zarts.arch_optim import ARCH_OPTIMIZERS
from zarts.config import SearchSettings

__all__ = ["main"]

BASE = Size("darts", channels=4, cells=5, batch=32, side=16)
N, M = 2, 2
GROWTH: dict[str, Sequence[int]] = {
    "N": (2, 4, 8, 16),
    "M": (1, 2, 5, 10),
    "channels": (4, 8, 16, 32),
    "batch": (16, 32, 64, 128),
}
COLUMNS = ["what grows", "weight step, s", "alpha step, s", "alpha step / weight step", "N (M + 1/3) + 1"]


def points(growth: dict[str, Sequence[int]]) -> Iterator[tuple[str, Size, int, int]]:
    """The varied quantity, the supernet, N and M of each point."""
    for name, values in growth.items():
        for value in values:
            size = dataclasses.replace(BASE, **{name: value}) if name in ("channels", "batch") else BASE
            yield f"{name} = {value}", size, value if name == "N" else N, value if name == "M" else M


def measure(size: Size, samples: int, inner_steps: int, repeats: int) -> list[Any]:
    """Pairs of a weight step and an alpha step, in seconds."""
    problem, alpha, batch = fast_problem(size), architecture(size.space), data(size)
    settings = SearchSettings(arch_optimizer="mgs", samples=samples, inner_steps=inner_steps)
    arch_optimizer = ARCH_OPTIMIZERS["mgs"](settings, alpha, torch.Generator().manual_seed(0))
    alpha_step = partial(arch_optimizer.step, problem, [batch] * inner_steps, [batch])
    return in_turn(partial(problem.weight_step, alpha, batch), alpha_step, repeats)


def table(growth: dict[str, Sequence[int]], repeats: int) -> Report:
    """Measure every point."""
    rows, raw = [], {}
    for name, size, samples, inner_steps in points(growth):
        raw[name] = measure(size, samples, inner_steps, repeats)
        step, alpha_step = (
            statistics.median(seconds.wall for seconds in side) for side in zip(*raw[name], strict=True)
        )
        ratio = statistics.median(alpha.wall / weight.wall for weight, alpha in raw[name])
        expected = samples * (inner_steps + 1 / 3) + 1
        rows.append([name, f"{step:.3g}", f"{alpha_step:.3g}", f"{ratio:.1f}", f"{expected:.1f}"])
    note = f"Median of {repeats}. Unless the row says otherwise: {BASE}, N = {N}, M = {M}, optimiser MGS."
    return Report(COLUMNS, rows, note, environment(), raw)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    args = options(__doc__ or "").parse_args(arguments)
    torch.set_num_threads(args.threads)
    table(GROWTH, repeats=3).publish(args.json)


if __name__ == "__main__":
    main()
