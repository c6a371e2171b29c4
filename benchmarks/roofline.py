"""Roofline of a weight step: its least time on this machine, from its arithmetic and its memory traffic.

Counted over the textbook supernet, in single precision. A kind of work takes the longer of two times: its operations
at the machine's matrix peak, and its bytes at the machine's bandwidth. Bytes are counted in two ways: every layer reads
and writes memory once, or every block (ReLU, convolutions, norm, weighted sum) does. Caches make both smaller for
tensors that fit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cases import PAPER, Size, data, mixed_weights, plain_net
from benchmarks.measure import bandwidth, matrix_peak
from benchmarks.report import Report, environment, options
from benchmarks.textbook import DepthwiseBlock, FactorizedReduce, MixedEdge, PointwiseBlock

__all__ = ["Work", "blocks", "count", "main"]

_BYTES = 4
COLUMNS = ["work", "GFLOP", "GB", "arithmetic, s", "memory, s", "at least, s"]


@dataclass(frozen=True)
class Pass:
    """Passes over memory of a layer, forward and backward together.

    Args:
        inputs: number of reads and writes of tensors of the size of the input.
        outputs: number of reads and writes of tensors of the size of the output.
        flops: operations for each number of the output, without those of convolutions.
    """

    inputs: int
    outputs: int
    flops: int = 0


LAYERS = {
    # forward: read x, write y; backward: read dy, x, write dx
    nn.Conv2d: Pass(3, 2),
    nn.ReLU: Pass(3, 2, 2),
    nn.MaxPool2d: Pass(3, 2, 18),
    nn.AvgPool2d: Pass(3, 2, 18),
    # forward: read x for the statistics, read x, write y; backward: read dy and x for the sums, read both, write dx
    nn.BatchNorm2d: Pass(5, 3, 14),
    # of each operation, forward: read it, read and write the sum; backward: read the sum's gradient, write its own
    MixedEdge: Pass(0, 5, 4),
}
BLOCKS = {
    # forward: read x, write y, read y into the weighted sum; backward: read dy, y, x, write dx; statistics go along
    DepthwiseBlock: Pass(3, 4),
    PointwiseBlock: Pass(3, 4),
    FactorizedReduce: Pass(3, 4),
    nn.MaxPool2d: Pass(3, 3),
    nn.AvgPool2d: Pass(3, 3),
}


@dataclass
class Work:
    """Floating-point operations and bytes."""

    flops: float = 0
    bytes: float = 0

    def seconds(self, peak: float, width: float) -> tuple[float, float]:
        """Seconds of the operations at `peak`, and of the bytes at bandwidth `width`."""
        return self.flops / peak, self.bytes / width


def count(size: Size, passes: Mapping[type[nn.Module], Pass]) -> dict[str, Work]:
    """Work of one step by kind of layer.

    Args:
        size: the supernet and its batch.
        passes: the counted layers, each with its passes over memory.
    """
    few = replace(size, batch=2)
    scale = size.batch / few.batch
    net, (images, _) = plain_net(few), data(few)
    found: dict[str, Work] = defaultdict(Work)

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        rule = passes[type(layer)]
        repeats = len(layer.ops) if isinstance(layer, MixedEdge) else 1
        work = found[_name(layer)]
        numbers = rule.inputs * inputs[0].numel() + rule.outputs * output.numel() * repeats
        work.bytes += scale * _BYTES * numbers
        work.flops += scale * (rule.flops * output.numel() * repeats + _convolution_flops(layer, output))

    hooks = [layer.register_forward_hook(note) for layer in net.modules() if type(layer) in passes]
    with torch.no_grad():
        net(images, mixed_weights(size.space))
    for hook in hooks:
        hook.remove()
    return found


def _convolution_flops(layer: nn.Module, output: Tensor) -> int:
    """Forward, gradient of the input, gradient of the weight: one multiplication and one addition each."""
    return 6 * output.numel() * layer.weight[0].numel() if isinstance(layer, nn.Conv2d) else 0


def _name(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d):
        return f"{'depthwise ' if layer.groups > 1 else ''}convolution {layer.kernel_size[0]}×{layer.kernel_size[1]}"
    return {MixedEdge: "weighted sum"}.get(type(layer), type(layer).__name__)


def blocks(size: Size) -> Work:
    """All work of one step, with every block as one pass over memory."""
    flops = sum(work.flops for work in count(size, LAYERS).values())
    return Work(flops, sum(work.bytes for work in count(size, BLOCKS).values()))


def table(size: Size) -> Report:
    """A row for each kind of layer, for all layers, and for all blocks."""
    peak, width = matrix_peak(), bandwidth()
    layers, least_traffic = count(size, LAYERS), blocks(size)
    total = Work(least_traffic.flops, sum(work.bytes for work in layers.values()))
    rows = [_row(name, work, peak, width) for name, work in sorted(layers.items(), key=lambda item: -item[1].bytes)]
    least = sum(max(work.seconds(peak, width)) for work in layers.values())
    rows.append([*_row("a layer at a time", total, peak, width)[:-1], f"{least:.3g}"])
    rows.append(_row("a block at a time", least_traffic, peak, width))
    note = f"Matrix peak {peak / 1e9:.0f} GFLOP/s, bandwidth {width / 1e9:.1f} GB/s. {size}."
    raw: dict[str, Any] = {"matrix_peak": peak, "bandwidth": width}
    raw |= {name: vars(work) for name, work in {**layers, "blocks": least_traffic}.items()}
    return Report(COLUMNS, rows, note, environment(), raw)


def _row(name: str, work: Work, peak: float, width: float) -> list[str]:
    arithmetic, memory = work.seconds(peak, width)
    numbers = (work.flops / 1e9, work.bytes / 1e9, arithmetic, memory, max(arithmetic, memory))
    return [name, *(f"{number:.3g}" for number in numbers)]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    args = options(__doc__ or "").parse_args(arguments)
    torch.set_num_threads(args.threads)
    table(PAPER).publish(args.json)


if __name__ == "__main__":
    main()
