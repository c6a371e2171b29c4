"""Weight step with the settings `precision` and `compile` against the step without them, timed in turn in one process.

The base is the step in float32 on the CPU with the native kernels. Compiling takes minutes to half an hour.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.cases import Size, Step, architecture, data, fast_problem
from benchmarks.measure import in_turn, timed
from benchmarks.report import Report, environment, options
from zarts.bilevel import Batch, BatchLoss
from zarts.config import SearchSettings
from zarts.relax import softmax
from zarts.runtime.precision import Passes
from zarts.spaces import get_space

__all__ = ["SMALL", "main", "step", "table"]

SMALL = Size("darts", channels=4, cells=5, batch=32, side=16)
FORMS: dict[str, dict[str, Any]] = {
    "float32": {},
    "bf16-mixed": {"precision": "bf16-mixed"},
    "compiled": {"compile": True},
}
COLUMNS = ["passes", "first step, s", "step, s", "step / base step"]


def step(size: Size, settings: dict[str, Any]) -> Step:
    """The weight step of the zarts supernet with these settings."""
    space = get_space(size.space)
    passes = Passes(SearchSettings(**settings), torch.device("cpu"), draws=False)
    problem = fast_problem(size)

    def forward(alpha: Tensor, batch: Batch) -> BatchLoss:
        images, labels = batch
        logits = passes(problem.model, images, softmax(space.split(alpha))).float()
        return BatchLoss(functional.cross_entropy(logits, labels), (logits.detach().argmax(1) == labels).sum())

    return partial(replace(problem, forward=forward).weight_step, architecture(size.space), data(size))


def table(size: Size, forms: dict[str, dict[str, Any]], pairs: int) -> Report:
    """Each form against the base step."""
    rows, raw = [], {}
    for name, settings in forms.items():
        form = step(size, settings)
        first = timed(form)
        raw[name] = {"first": first, "pairs": in_turn(step(size, {}), form, pairs)}
        median = statistics.median(other.wall for _, other in raw[name]["pairs"])
        ratio = statistics.median(other.cpu / base.cpu for base, other in raw[name]["pairs"])
        rows.append([name, f"{first.wall:.3g}", f"{median:.3g}", f"{ratio:.2f}"])
    return Report(COLUMNS, rows, f"{size}. Median of {pairs} pairs in turn; ratios of CPU time.", environment(), raw)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", action="append", choices=FORMS, metavar="FORM", help=f"of {', '.join(FORMS)}")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    table(SMALL, {name: FORMS[name] for name in args.only or FORMS}, pairs=5).publish(args.json)


if __name__ == "__main__":
    main()
