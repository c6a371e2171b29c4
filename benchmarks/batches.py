"""Making a batch of images in memory against the weight step that uses it, timed in turn in one process.

A batch is taken from uint8 images, cropped, flipped, normalised and cut out, as a whole. The step is that of ResNet-8
in float32 in torch's channels-last layout: forward, backward and SGD.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from itertools import count

import torch
from torch import Tensor, nn

from benchmarks.measure import Seconds, in_turn
from benchmarks.report import Report, environment, options
from zarts.data import Augment, Batches, ImageSet
from zarts.networks import create_chain
from zarts.spaces import handmade

__all__ = ["CASES", "batches", "main", "table", "weight_step"]

CASES = [(batch, side, channels) for side, channels in ((28, 1), (32, 3)) for batch in (32, 128)]
"""Images of a batch, their side in pixels, their channels."""
COLUMNS = ["images", "batch", "making it, ms", "weight step, ms", "share of both"]
IMAGES = 4096


def batches(batch: int, side: int, channels: int, images: int = IMAGES) -> Batches:
    """Batches of random images with crop, flip and cutout."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, channels, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.arange(images) % 10
    return Batches(
        ImageSet(pixels, labels),
        batch_size=batch,
        seed=0,
        stream="benchmark",
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        augment=Augment.scaled(side, flip=True),
    )


def weight_step(channels: int, width: float = 1.0) -> Callable[[Tensor, Tensor], None]:
    """The weight step of ResNet-8 on a batch."""
    network = create_chain(handmade("resnet8", width), num_classes=10, in_channels=channels)
    network = network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=3e-4)

    def step(images: Tensor, labels: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


def table(cases: Sequence[tuple[int, int, int]], pairs: int, width: float = 1.0) -> Report:
    """Each case: the batch, the step, and the share of the batch in the CPU time of both."""
    rows, raw = [], {}
    for batch, side, channels in cases:
        times = _times(batches(batch, side, channels), weight_step(channels, width), pairs)
        name = f"{side}×{side}×{channels}"
        raw[f"{name}, batch {batch}"] = times
        making, passing = (statistics.median(pair[i].cpu for pair in times) for i in (0, 1))
        share = statistics.median(one.cpu / (one.cpu + other.cpu) for one, other in times)
        rows.append([name, str(batch), f"{1e3 * making:.2f}", f"{1e3 * passing:.1f}", f"{100 * share:.1f} %"])
    note = f"ResNet-8, crop, flip and cutout. Median of {pairs} pairs in turn; CPU time."
    return Report(COLUMNS, rows, note, environment(), raw)


def _times(made: Batches, step: Callable[[Tensor, Tensor], None], pairs: int) -> list[tuple[Seconds, Seconds]]:
    numbers, last = count(), [made[0]]

    def make() -> None:
        last[0] = made[next(numbers)]

    return in_turn(make, lambda: step(*last[0]), pairs)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    args = options(__doc__ or "").parse_args(arguments)
    torch.set_num_threads(args.threads)
    table(CASES, pairs=20).publish(args.json)


if __name__ == "__main__":
    main()
