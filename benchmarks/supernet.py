"""Weight step of the zarts supernet against that of the textbook supernet, timed in turn in one process.

A step is forward pass, loss, backward pass, clipping of the gradient and SGD, on the same batch. The script needs about
ten minutes and 8 GB of memory.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.cases import CASES, Case
from benchmarks.measure import in_turn, matrix_peak, peak_memory
from benchmarks.report import Report, environment, options

__all__ = ["main", "measure", "row"]

_PASSES = 3  # forward, gradient of the inputs, gradient of the weights: each as many MACs
COLUMNS = [
    "case",
    "plain, s",
    "fast, s",
    "plain / fast",
    "the same, CPU time",
    "plain, GFLOP/s (of peak)",
    "fast, GFLOP/s (of peak)",
    "memory of a step, plain → fast",
]


def measure(case: Case, *, pairs: int, memory: Mapping[str, int]) -> dict[str, Any]:
    """All numbers of a case, in seconds, bytes and floating-point operations.

    Args:
        case: the case.
        pairs: number of pairs of steps.
        memory: results of `peak_memory`.
    """
    flops = dict(zip(("plain", "fast"), (_PASSES * forward for forward in case.flops()), strict=True))
    times = in_turn(case.plain(), case.fast(), pairs)
    return {"what": case.what, "seconds": times, "flops": flops, "memory": dict(memory)}


def row(numbers: Mapping[str, Any], peak: float) -> list[str]:
    """A row of the table."""
    plain, fast = zip(*numbers["seconds"], strict=True)

    def ratio(clock: int) -> str:
        ratios = [p[clock] / f[clock] for p, f in zip(plain, fast, strict=True)]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"

    def speed(side: str, seconds: float) -> str:
        reached = numbers["flops"][side] / seconds
        return f"{reached / 1e9:.1f} ({reached / peak:.0%})"

    plain_seconds, fast_seconds = (statistics.median(wall for wall, _ in times) for times in (plain, fast))
    return [
        numbers["what"],
        f"{plain_seconds:.3g}",
        f"{fast_seconds:.3g}",
        ratio(0),
        ratio(1),
        speed("plain", plain_seconds),
        speed("fast", fast_seconds),
        " → ".join(f"{numbers['memory'][side] / 2**20:.0f} MiB" for side in ("plain", "fast")),
    ]


def benchmark(cases: Mapping[str, Case], *, pairs: int, threads: int) -> Report:
    """Measure the cases: first the memory of all, in processes of their own, then the times."""
    torch.set_num_threads(threads)
    memory = {
        name: {side: peak_memory(getattr(case, side), threads) for side in ("plain", "fast")}
        for name, case in cases.items()
    }
    peak, raw = 0.0, {}
    for name, case in cases.items():
        peak = max(peak, matrix_peak())
        raw[name] = measure(case, pairs=pairs, memory=memory[name])
        print(f"{name}: {row(raw[name], peak)[3]}", file=sys.stderr)
    note = (
        f"Median of {pairs} pairs in turn (smallest–largest); peak: {peak / 1e9:.0f} GFLOP/s, the best product of "
        "2048×2048 matrices in single precision in the same process; memory: beyond that of the built supernet."
    )
    rows = [row(numbers, peak) for numbers in raw.values()]
    return Report(COLUMNS, rows, note, environment(), {"matrix_peak": peak, "cases": raw})


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", action="append", choices=CASES, metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="two pairs instead of five: to look, not to publish")
    args = parser.parse_args(arguments)
    cases = {name: CASES[name] for name in args.only or CASES}
    report = benchmark(cases, pairs=2 if args.quick else 5, threads=args.threads)
    if args.quick:
        report.note = f"QUICK, not to be published. {report.note}"
    report.publish(args.json)


if __name__ == "__main__":
    main()
