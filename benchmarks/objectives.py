"""Loss and balanced error as the objective of the same search, on an uneven subset of Fashion-MNIST.

Of each seed: a long-tailed training set (the order of the classes is drawn), a search by each objective with the same
budget, and two baselines without a search. All networks are trained on the same images by the same recipe; their
balanced accuracy is that of a test set with as many images of every class. Seeds that the file has are not repeated.
"""

from __future__ import annotations

import gzip
import json
import math
import multiprocessing
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.stats import t

import zarts
from benchmarks.report import Report, environment, options

__all__ = ["SIZE", "counts", "main", "one_seed", "read_idx", "summary"]

DATA = Path("/usr/share/datasets/fashion-mnist")
HAND = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|"
"""A residual block of two convolutions: the hand-made cell of NAS-Bench-201's space."""

SIZE: dict[str, Any] = {
    "most": 400,
    "ratio": 50,
    "test_images": 200,
    "search": {
        "space": "nasbench201",
        "image_size": 16,
        "channels": 8,
        "cells": 1,
        "batch_size": 32,
        "epochs": 14,
        "warmup_epochs": 4,
        "arch_update_interval": 4,
        "inner_steps": 2,
        "samples": 8,
        "val_batches": 4,
        "val_batch_size": 128,
        "mixture_lambda": 1.0,
    },
    "retrain": {"channels": 16, "cells": 1, "batch_size": 32, "epochs": 20, "test_every": 20},
}
QUICK: dict[str, Any] = {
    **{"most": 60, "ratio": 6, "test_images": 10},
    "search": {
        **SIZE["search"],
        **{"epochs": 2, "warmup_epochs": 1, "val_batch_size": 32, "channels": 2, "batch_size": 16, "samples": 2},
    },
    "retrain": {**SIZE["retrain"], "channels": 2, "epochs": 2},
}
ARMS = {
    "balanced error": {"objective": "balanced-error"},
    "loss, no gradient": {"objective": "loss"},
    "loss, with its gradient": {"objective": "loss", "mixture_lambda": 1e-3},
    "random cell": {},
    "hand-made cell": {},
}
NOTE = (
    "Balanced accuracy on the test images, %, mean ± standard deviation over the seeds; difference: to `loss, no "
    "gradient`, which differs in nothing but the objective, paired by seed, with its 95 % interval. Search: MGS around "
    "alpha, 8 candidates an update; `with its gradient` is the method's default for the loss."
)


def read_idx(file: Path) -> np.ndarray:
    """The array of bytes in a gzipped IDX file."""
    with gzip.open(file) as stream:
        content = stream.read()
    sides = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(content[3])]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sides)).reshape(sides)


def counts(most: int, ratio: float, classes: int = 10) -> list[int]:
    """Images of each class, from `most` to the `ratio`-th part, in geometric progression."""
    return [round(most * ratio ** (-i / (classes - 1))) for i in range(classes)]


def write_images(source: Path, folder: Path, size: Mapping[str, Any], seed: int) -> None:
    """Write the training images of a seed, and the test images, as a folder of images."""
    random = np.random.default_rng(seed)
    wanted = random.permutation(counts(size["most"], size["ratio"]))
    for part, name, numbers in (("train", "train", wanted), ("test", "t10k", [size["test_images"]] * 10)):
        images = read_idx(source / f"{name}-images-idx3-ubyte.gz")
        labels = read_idx(source / f"{name}-labels-idx1-ubyte.gz")
        for label, number in enumerate(numbers):
            (folder / part / str(label)).mkdir(parents=True)
            of_class = np.flatnonzero(labels == label)
            for i in random.permutation(of_class)[:number] if part == "train" else of_class[:number]:
                Image.fromarray(images[i]).save(folder / part / str(label) / f"{i:05}.png")


def one_seed(task: tuple[int, Path, Mapping[str, Any]]) -> dict[str, Any]:
    """All networks of a seed: cells, balanced accuracies and seconds."""
    seed, source, size = task
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write_images(source, root / "images", size, seed)
        shared = {"data": str(root / "images"), "seed": seed, "threads": 1}
        images = {"image_size": size["search"]["image_size"]}
        for name, own in ARMS.items():
            searched, cell = 0.0, HAND
            if name == "random cell":
                space = size["search"]["space"]
                cell = zarts.search(method="random", out=root / name, data=shared["data"], seed=seed, space=space).run
            elif name != "hand-made cell":
                options_ = {key: v for key, v in size["search"].items() if not (key == "mixture_lambda" and key in own)}
                if own["objective"] != "loss":
                    options_.pop("mixture_lambda")  # without a gradient there is nothing to mix
                result = zarts.search(method="zarts-mgs", out=root / name, **shared, **options_, **own)
                searched, cell = result.seconds, result.run
            trained = zarts.retrain(cell, out=root / f"{name}, trained", **shared, **images, **size["retrain"])
            details = json.loads((trained.run / "genotype.json").read_text())
            found[name] = {
                "balanced_accuracy": trained.test_accuracy,
                "genotype": details,
                "search_seconds": searched,
                "retrain_seconds": trained.seconds,
            }
    return {"seed": seed, "networks": found}


def summary(seeds: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """The rows of the table."""
    accuracy = {name: [one["networks"][name]["balanced_accuracy"] for one in seeds] for name in ARMS}
    base, rows = accuracy["loss, no gradient"], []
    for name, values in accuracy.items():
        apart = [a - b for a, b in zip(values, base, strict=True)]
        difference = "–"
        if values is not base and len(seeds) > 1:
            half = float(t.ppf(0.975, len(seeds) - 1)) * stdev(apart) / math.sqrt(len(seeds))
            difference = f"{mean(apart):+.2f} ({mean(apart) - half:+.2f} to {mean(apart) + half:+.2f})"
        spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
        seconds = mean(one["networks"][name]["search_seconds"] for one in seeds)
        rows.append([name, f"{mean(values):.2f}{spread}", difference, f"{seconds:.0f}"])
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.set_defaults(threads=1, json=Path("benchmarks/results/objectives.json"))
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the IDX files (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="seeds at a time (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="tiny settings: a try of the script, not a result")
    args = parser.parse_args(arguments)
    size = QUICK if args.quick else SIZE
    known = json.loads(args.json.read_text())["raw"] if args.json.exists() else {"size": size, "seeds": []}
    if known["size"] != json.loads(json.dumps(size)):
        parser.error(f"{args.json} has results of other settings: name another file, or remove it")
    done = {one["seed"] for one in known["seeds"]}
    tasks = [(seed, args.data, size) for seed in range(args.seeds) if seed not in done]
    with multiprocessing.get_context("spawn").Pool(args.processes) as pool:
        for one in pool.imap_unordered(one_seed, tasks):
            known["seeds"] = sorted([*known["seeds"], one], key=lambda entry: int(entry["seed"]))
            _report(known).write(args.json)
    if known["seeds"]:
        print(_report(known).markdown())


def _report(known: dict[str, Any]) -> Report:
    columns = ["cell", "balanced accuracy", "difference", "search, s"]
    return Report(columns, summary(known["seeds"]), NOTE, environment(), known)


if __name__ == "__main__":
    main()
