"""Cost of whole searches of the papers: from the measured step here, and as a lower bound on GPUs.

CALCULATED: nobody ran these searches for this table. A search is its weight steps and its alpha steps; an alpha step
costs as much as N (M + 1/3) + 1 weight steps. R GPUs split the batch of a weight step and share the N candidates of an
alpha step; communication is left out. The bound of a step on a GPU is that of `benchmarks.roofline`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.cases import PAPER, Size, fast_step
from benchmarks.measure import timed
from benchmarks.report import Report, environment, options
from benchmarks.roofline import blocks

__all__ = ["SEARCHES", "Search", "main"]

GPU, GPU_FLOPS, GPU_BANDWIDTH = "A100 (data sheet: 19.5 TFLOP/s, 1,555 GB/s)", 19.5e12, 1555e9
COLUMNS = [
    "search",
    "weight steps",
    "alpha steps",
    "all, in weight steps",
    "a step here, s",
    "days here",
    "1 GPU, hours at least",
    "8 GPUs, hours at least",
]


@dataclass(frozen=True)
class Search:
    """A published search: N = 4 candidates of M = 10 steps, an alpha step every M weight steps after the warm-up.

    Args:
        size: the supernet and its batch.
        images: images of the half that trains the weights.
        epochs: all epochs.
        warmup: epochs before the first alpha step.
    """

    size: Size
    images: int
    epochs: int
    warmup: int

    @property
    def weight_steps(self) -> int:
        """Steps of the weights themselves."""
        return self.epochs * math.ceil(self.images / self.size.batch)

    @property
    def alpha_steps(self) -> int:
        """Updates of alpha."""
        return (self.epochs - self.warmup) * math.ceil(self.images / self.size.batch / 10)

    def steps(self, ranks: int = 1) -> float:
        """The time of the search in units of a weight step on one rank."""
        return self.weight_steps / ranks + self.alpha_steps * (math.ceil(4 / ranks) * (10 + 1 / 3) + 1 / ranks)


SEARCHES = {
    "CIFAR-10, ZARTS": Search(PAPER, images=25_000, epochs=50, warmup=10),
    "ImageNet, a quarter of the images, ZARTS": Search(
        Size("darts", channels=16, cells=8, batch=128, side=224, stem="imagenet"), images=160_146, epochs=50, warmup=20
    ),
}


def row(name: str, search: Search, seconds: float) -> list[str]:
    """The table row of a search whose weight step takes `seconds` here."""
    bound = max(blocks(search.size).seconds(GPU_FLOPS, GPU_BANDWIDTH))
    counts = (search.weight_steps, search.alpha_steps, search.steps())
    hours = (f"{search.steps(ranks) * bound / 3600:.2g}" for ranks in (1, 8))
    return [
        f"{name}: {search.size}",
        *(f"{count:,.0f}" for count in counts),
        f"{seconds:.3g}",
        f"{search.steps() * seconds / 86400:.1f}",
        *hours,
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    args = options(__doc__ or "").parse_args(arguments)
    torch.set_num_threads(args.threads)
    seconds = {}
    for name, search in SEARCHES.items():
        step = fast_step(search.size)
        step()
        seconds[name] = statistics.median(timed(step).wall for _ in range(3))
    rows = [row(name, search, seconds[name]) for name, search in SEARCHES.items()]
    note = f"CALCULATED from the median of three steps here, and for GPUs from the data sheet of an {GPU}."
    Report(COLUMNS, rows, note, environment(), seconds).publish(args.json)


if __name__ == "__main__":
    main()
