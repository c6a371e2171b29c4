"""What the order, number and kind of layers matter in a short training: networks of equal multiply-adds, once each.

Only validation images are looked at. The first network is trained twice; the second time tells what chance does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import Report, environment
from benchmarks.widths import trained
from zarts.planner.chain_counts import chain_counts
from zarts.planner.chain_words import short_name
from zarts.spaces import Chain, ChainStem, Stage, handmade

__all__ = ["main"]

RESULT = Path(__file__).parent / "results" / "fit-structures.json"
SECONDS, SEED, WARMUP, WIDTH = 200.0, 101, 8.0, 1.5


def _residual(width: int, stride: int = 1, depth: int = 1, **more: Any) -> Stage:
    return Stage("residual", width, depth, stride, **more)


def _conv(width: int, stride: int = 1, depth: int = 1, **more: Any) -> Stage:
    return Stage("conv", width, depth, stride, **more)


_POOLED: dict[str, Any] = {"downsampling": "max-pool"}
_THREE = (_residual(16), _residual(32, 2), _residual(64, 2))
STRUCTURES: dict[str, Chain] = {
    "ResNet-8": Chain(ChainStem(16, 2), _THREE),
    "ResNet-8, again": Chain(ChainStem(16, 2), _THREE),
    "smaller by max pools": Chain(
        ChainStem(16, 2), (_residual(16), _residual(32, 2, **_POOLED), _residual(64, 2, **_POOLED))
    ),
    "stem with a max pool": Chain(ChainStem(16, 1, pool=True), _THREE),
    "one convolution first": Chain(ChainStem(16, 2), (_conv(16), *_THREE[1:])),
    "no first pair": Chain(ChainStem(16, 2), _THREE[1:]),
    "a fourth pair": Chain(ChainStem(16, 2), (*_THREE, _residual(128, 2))),
    "flatter": Chain(ChainStem(32, 2), (_residual(32), _residual(48, 2), _residual(64, 2))),
    "steeper": Chain(ChainStem(12, 2), (_residual(12), _residual(36, 2), _residual(108, 2))),
    "two pairs in the middle": Chain(ChainStem(16, 2), (_residual(16), _residual(32, 2, 2), _residual(64, 2))),
    "two pairs in the end": Chain(ChainStem(16, 2), (_residual(16), _residual(32, 2), _residual(64, 2, 2))),
    "a head": Chain(ChainStem(16, 2), _THREE, head=256),
    "convolutions and two pairs": Chain(
        ChainStem(16, 2), (_conv(32), _residual(32), _conv(64, 2, **_POOLED), _conv(128, 2, **_POOLED), _residual(128))
    ),
    "VGG": handmade("vgg", 1.0, 2),
}


def scaled(chain: Chain) -> Chain:
    """The network at the largest width with no more multiply-adds than ResNet-8 of width 1.5 with stem stride 2."""
    most, low, high = chain_counts(handmade("resnet8", WIDTH, 2), 32)[1], 0.05, 20.0
    for _ in range(40):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if chain_counts(chain.scaled(middle), 32)[1] <= most else (low, middle)
    return chain.scaled(low)


def measure(data: str, name: str) -> dict[str, Any]:
    """A network after its training."""
    torch.set_num_threads(1)
    chain = scaled(STRUCTURES[name])
    with tempfile.TemporaryDirectory() as folder:
        (found,) = trained(name, chain, data, [SECONDS], SEED, WARMUP, Path(folder))
    parameters, macs = chain_counts(chain, 32)
    return {**found, "code": short_name(chain), "parameters": parameters, "macs": macs}


def table(raw: list[dict[str, Any]]) -> Report:
    """A network a row."""
    rows = [
        [one["network"], one["code"], f"{one['parameters']:,}", f"{one['epochs']:.1f}", f"{one['accuracy']:.2f}"]
        for one in raw
    ]
    note = (
        f"CIFAR-10, {SECONDS:g} CPU seconds each, two side by side, seed {SEED}, accuracy on 5,000 validation images."
    )
    columns = ["network", "code", "parameters", "epochs", "accuracy, %"]
    return Report(columns, rows, note, {**environment(), "command": "python -m benchmarks.structures"}, raw)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar", default="cifar10", help="CIFAR-10: its name, or a folder of its images")
    args = parser.parse_args(arguments)
    raw = json.loads(RESULT.read_text())["raw"] if RESULT.exists() else []
    wanted = [name for name in STRUCTURES if name not in [one["network"] for one in raw]]
    with ProcessPoolExecutor(2) as pool:
        for found in pool.map(partial(measure, args.cifar), wanted):
            raw.append(found)
            table(raw).publish(RESULT)


if __name__ == "__main__":
    main()
