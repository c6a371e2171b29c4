"""How wide a network should be for a time: hand-made networks at several widths, trained to each of some lengths.

Only validation images are looked at. Each length continues the one before, as in a fit.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import Report, environment
from zarts.config.fit import fit_settings
from zarts.data import load_data
from zarts.planner.pictures import Pictures
from zarts.planner.records import Candidate
from zarts.planner.training import Task, train_candidate
from zarts.spaces import Chain, handmade

__all__ = ["main", "trained"]

RESULT = Path(__file__).parent / "results" / "fit-widths.json"
NETWORKS = ("resnet8 1.74", "resnet8 1.23", "resnet8 0.87", "resnet14 0.8")
SECONDS = (58.0, 174.0, 260.0)
SEED = 77


def trained(
    name: str, chain: Chain, data: str, lengths: Sequence[float], seed: int, warmup: float, folder: Path
) -> list[dict[str, Any]]:
    """A network after each length: seconds, steps, epochs and accuracy on validation images.

    Args:
        name: of the network.
        chain: its layers.
        data: images, at 32 pixels.
        lengths: seconds, shortest first; each continues the one before.
        seed: of weights and batches.
        warmup: seconds in which the rate rises.
        folder: for the states between.
    """
    first = load_data(data, image_size=32)
    pictures = Pictures(lambda size: first, [32], 0, first)
    recipe = fit_settings({"data": data, "image_size": 32}).recipe(**pictures.batches)
    path = {"precision": "32-true", "layout": "channels-last", "kernels": "native", "threads": 1}
    recipe = recipe.model_copy(update=path)
    one = Candidate(1, name, "hand-made", chain.for_images(32), 32)
    found, before = [], None
    for seconds in lengths:
        state, model = folder / f"{seconds}.pt", folder / "model.safetensors"
        task = Task(one, "T", seed, seconds, None, warmup, recipe, None, None, before, state, model)
        done, before = train_candidate(task, pictures[32], lambda: False), state
        right = (done.logits.argmax(1) == pictures[32].val.labels).double().mean().item()
        epochs = done.schedule.steps * recipe.batch_size / pictures.train_count
        found.append({"network": name, "seconds": seconds, "epochs": epochs, "accuracy": 100 * right})
        print(found[-1], flush=True)
    return found


def measure(network: str, data: str, folder: Path) -> list[dict[str, Any]]:
    """A network of `NETWORKS` after each length."""
    name, width = network.split()
    warmup = fit_settings({"data": data}).recipe().warmup_share * SECONDS[0]
    return trained(network, handmade(name, float(width), 2), data, SECONDS, SEED, warmup, folder)


def table(raw: list[dict[str, Any]]) -> Report:
    """A network a row."""
    columns = ["network, stem stride 2", *(f"{seconds:g} s (epochs)" for seconds in SECONDS)]
    rows = [
        [name, *(f"{one['accuracy']:.2f} ({one['epochs']:.1f})" for one in raw if one["network"] == name)]
        for name in NETWORKS
    ]
    note = f"CIFAR-10, accuracy on validation images in percent, seed {SEED}, one training each."
    return Report(columns, rows, note, {**environment(), "command": "python -m benchmarks.widths"}, raw)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar", default="cifar10", help="CIFAR-10: its name, or a folder of its images")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    raw = json.loads(RESULT.read_text())["raw"] if RESULT.exists() else []
    for network in NETWORKS:
        if network not in [one["network"] for one in raw]:
            with tempfile.TemporaryDirectory() as folder:
                raw += measure(network, args.cifar, Path(folder))
    table(raw).publish(RESULT)


if __name__ == "__main__":
    main()
