"""What the fast recipe and the fast paths bring: step times, time to an accuracy, accuracy in a time, and ablations.

Every result is kept in `benchmarks/results/recipe-ROW.json` as it comes; what a file has is not measured again. Each
measurement is a process with one thread. Accuracies are on test images, except in the rows `choose-…` and `ablation`,
which leave the test images alone.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import torch
from scipy.stats import t as student
from torch.nn import functional as F

import zarts
from benchmarks.measure import timed
from benchmarks.plain_training import PlainResNet8, batches
from benchmarks.report import Report, environment
from benchmarks.short_training import ShortTraining
from zarts.api import architecture_of
from zarts.config import RetrainSettings, retrain_settings
from zarts.config.retrain import FAST
from zarts.data import DataSet, load_data
from zarts.limits import count_parameters
from zarts.spaces import Architecture, Chain, handmade
from zarts.training.compute_path import computes_in_bfloat16

__all__ = ["PARTS", "ROWS", "main", "widest"]

RESULTS = Path(__file__).parent / "results"
LIMIT = 100_000  # parameters
FASHION = "fashion-mnist"

NETWORKS: dict[str, tuple[str, int]] = {
    "resnet8": ("resnet8", 1),
    "resnet8, stem stride 2": ("resnet8", 2),
    "resnet14, stem stride 2": ("resnet14", 2),
    "vgg": ("vgg", 1),
    "vgg, stem stride 2": ("vgg", 2),
    "ds_cnn, stem stride 2": ("ds_cnn", 2),
    "mobilenet_v2, stem stride 1": ("mobilenet_v2", 1),
}
"""Hand-made networks that the rows choose from, as wide as the limit of parameters allows."""

CELLS = "DARTS_V2, 5 cells of 12 channels"
"""What is trained beside them on Fashion-MNIST, to compare: 75,754 parameters."""

LENGTHS = {"zarts": (1, 2, 3, 4, 5), "OneCycle": (2, 4, 6, 8, 12)}
"""Epochs on Fashion-MNIST that may be tried to reach `REACHED`."""

REACHED, SEEDS = 92.0, 3
"""Mean test accuracy, in percent, of so many seeds."""

ONE_CYCLE: dict[str, Any] = {
    "recipe": "paper",
    "schedule": "one-cycle",
    "warmup_share": 0.3,
    "batch_size": 128,
    "learning_rate": 0.2,
    "nesterov": True,
    "weight_decay": 5e-4,
    "grad_clip": 0.0,
    "crop_padding": 4,
    "cutout": 0,
    "test_every": 0,
    "layout": "nchw",
}
"""The recipe of `plain_training.train_plain` in settings, in torch's own kernels, layout and precision."""

PRECISIONS = ("32-true", "bf16-mixed")
"""Those that are compared."""

PARTS: dict[str, dict[str, Any]] = {
    "all": {},
    "no Muon": {"muon_rate": 0.0},
    "Muon's rate / 2": {"muon_rate": 0.025},
    "Muon's rate x 2": {"muon_rate": 0.1},
    "one-cycle": {"schedule": "one-cycle", "warmup_share": 0.3},
    "cool-down over 0.4 of the steps": {"cooldown_share": 0.4},
    "no Nesterov momentum": {"nesterov": False},
    "no label smoothing": {"label_smoothing": 0.0},
    "decay of norms and biases": {"decay_norms": True},
    "alternating flips from the start": {"augment_after": 0},
    "random flips from the start": {"augment_after": 0, "alternating_flip": False},
    "crops from the start": {"augment_after": 0, "flip": False, "alternating_flip": False, "crop_padding": 2},
    "cutout from the start": {"augment_after": 0, "flip": False, "alternating_flip": False, "cutout": 8},
    "averaged weights": {"ema": 0.99},
    "small images in the first half": {"small_share": 0.5},
    "batch 64, rate / 2": {"batch_size": 64},
    "batch 256, rate x 2": {"batch_size": 256},
}
"""The fast recipe with one part changed each."""


def widest(name: str, stride: int, channels: int, limit: int = LIMIT, classes: int = 10) -> float:
    """The largest width, in hundredths, at which a hand-made network has at most so many parameters."""

    def parameters(hundredths: int) -> int:
        chain = handmade(name, hundredths / 100, stride)
        return count_parameters(zarts.create_model(chain, num_classes=classes, in_channels=channels))

    low, high = 1, 1000
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(middle) <= limit else (low, middle)
    return low / 100


@dataclass(frozen=True)
class Task:
    """A measurement: what it is, in words that the file keeps, and the function that measures it."""

    key: dict[str, Any]
    measure: Callable[[], dict[str, Any]]


def _images(data: str) -> tuple[DataSet, torch.Tensor, torch.Tensor]:
    """A data set, and the indices of nine tenths and a tenth of its training images."""
    found = load_data(data, image_size=None if data == FASHION else 32, data_dir=Path("~/.cache/zarts").expanduser())
    order = torch.randperm(len(found.train), generator=torch.Generator().manual_seed(7))
    tenth = len(order) // 10
    return found, order[tenth:].sort().values, order[:tenth]


def _settings(data: str, seed: int, options: Mapping[str, Any], *, handmade: bool = True) -> RetrainSettings:
    return retrain_settings({"recipe": "fast", "data": data, "seed": seed, **options}, handmade=handmade)


def _validated(
    data: str, chain: Architecture, seed: int, options: Mapping[str, Any], **length: float
) -> dict[str, Any]:
    """Validation accuracy of a training of some steps, or of some CPU seconds."""
    images, train, val = _images(data)
    settings = _settings(data, seed, options, handmade=isinstance(chain, Chain))
    make = partial(ShortTraining, settings, chain, images, train)
    if "seconds" in length:
        tried = make(steps=1000)
        tried.train(3)
        each = timed(lambda: tried.train(20)).cpu / 17
        length = {"steps": max(20, int(length["seconds"] / each))}
    begun = time.process_time()
    training = make(steps=int(length["steps"]))
    training.train()
    seconds = time.process_time() - begun
    return {"accuracy": training.accuracy(images.train.take(val)), "seconds": seconds, "steps": training.steps}


def _tested(source: str, data: str, seed: int, options: Mapping[str, Any], seconds: float | None) -> dict[str, Any]:
    """Test accuracy of `zarts retrain`, which may take so many seconds in all, and the CPU seconds of the process."""
    images: dict[str, Any] = {} if data == FASHION else {"image_size": 32}
    if seconds is not None:
        images["time"] = seconds - time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        result = zarts.retrain(
            source,
            data=data,
            out=Path(folder) / "run",
            seed=seed,
            threads=1,
            quiet=True,
            **{"recipe": "fast", **images, **options},
        )
        length = Path(folder) / "run" / "length.json"
        steps = json.loads(length.read_text())["corrections"][-1][1] if length.exists() else None
    return {"accuracy": result.test_accuracy, "seconds": time.process_time(), "steps": steps}


STEPS: dict[str, tuple[Any, dict[str, Any]]] = {
    "ResNet-8": (("resnet8", 1.0, 1), {}),
    "VGG": (("vgg", 0.29, 1), {}),
    "DS-CNN": (("ds_cnn", 1.0, 2), {}),
    "MobileNetV2": (("mobilenet_v2", 0.17, 1), {}),
    "DARTS_V2, 16 channels, 5 cells": ("DARTS_V2", {"channels": 16, "cells": 5}),
}
"""Networks whose steps are timed: a source, and its settings."""


def _steps(name: str, batch: int = 128, pairs: int = 9) -> dict[str, Any]:
    """Times of whole weight steps in turn: torch eager, fp32, NCHW, and the path that `zarts retrain` chooses."""
    torch.set_num_threads(1)
    source, form = STEPS[name]
    images, _, _ = _images(FASHION)
    chain = handmade(*source) if isinstance(source, tuple) else architecture_of(source)[0]
    paths = {
        "plain": {"precision": "32-true", "layout": "nchw", "kernels": "torch"},
        "fast": {"precision": "auto", "layout": "auto", "kernels": "auto"},
    }
    steps = {}
    for kind, path in paths.items():
        settings = retrain_settings(
            {"recipe": "fast", "data": FASHION, "batch_size": batch, "threads": 1, **form, **path},
            handmade=isinstance(chain, Chain),
        )
        training = ShortTraining(settings, chain, images, None, steps=10_000)
        steps[kind] = partial(_one_more, training)
    for step in steps.values():
        step()
    times = [tuple(timed(steps[kind]).cpu for kind in paths) for _ in range(pairs)]
    return {"times": times, "parameters": count_parameters(training.network), "path": str(training.path)}


def _one_more(training: ShortTraining) -> None:
    training.train(training.step + 1)


def _plain_step(pairs: int = 9) -> dict[str, Any]:
    """Times of a step of `plain_training` and of ResNet-8 by the fast recipe, in turn, their batches included."""
    torch.set_num_threads(1)
    images, _, _ = _images(FASHION)
    pixels = (images.train.images[:20_000].float() / 255 - images.mean[0]) / images.std[0]
    endless = batches(pixels, images.train.labels[:20_000], torch.Generator().manual_seed(0))
    network = PlainResNet8()
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    fast = ShortTraining(_settings(FASHION, 0, {"threads": 1}), handmade("resnet8"), images, None, steps=10_000)

    def plain() -> None:
        x, labels = next(endless)
        loss = F.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    plain(), _one_more(fast)
    times = [(timed(plain).cpu, timed(partial(_one_more, fast)).cpu) for _ in range(pairs)]
    return {"times": times, "batches": [128, fast.settings.batch_size], "path": str(fast.path)}


def _tasks(row: str, cifar: str) -> list[Task]:
    """The measurements of a row; later ones may read the results of earlier rows."""
    if row == "steps":
        one = [Task({"network": name}, partial(_steps, name)) for name in STEPS]
        return [*one, Task({"network": "plain training"}, _plain_step)]
    if row == "fashion-92":
        return [
            Task(
                {"recipe": recipe, "epochs": epochs, "seed": seed},
                partial(_tested, "resnet8", FASHION, seed, {**options, "epochs": epochs}, None),
            )
            for recipe, options in (("zarts", {}), ("OneCycle", ONE_CYCLE))
            for epochs in _next_lengths(recipe)
            for seed in range(SEEDS)
        ]
    if row == "ablation":
        return [
            Task(
                {"part": part, "seed": seed, "steps": _of(changes, steps)},
                partial(
                    _validated,
                    FASHION,
                    handmade("resnet8", stem_stride=2),
                    seed,
                    _scaled(changes),
                    steps=_of(changes, steps),
                ),
            )
            for part, changes in PARTS.items()
            for steps in (750,)
            for seed in range(5)
        ]
    if row == "muon":
        chain = handmade("resnet8", stem_stride=2)
        return [
            Task(
                {"steps": steps, "seed": seed, "muon_rate": rate},
                partial(_validated, cifar, chain, seed, {"muon_rate": rate}, steps=steps),
            )
            for steps, seeds in ((2000, 3), (9000, 2))
            for seed in range(seeds)
            for rate in (0.0, FAST["muon_rate"])
        ]
    if row == "bf16":
        options = {"threads": 1, "layout": "channels-last", "kernels": "native"}
        chain = handmade("resnet8", stem_stride=2)
        return [
            Task(
                {"data": Path(data).name, "seed": seed, "precision": precision},
                partial(_validated, data, chain, seed, {**options, "precision": precision}, steps=600),
            )
            for seed in range(5)
            for data in (FASHION, cifar)
            for precision in PRECISIONS
        ]
    kind, _, images = row.partition("-")
    data, seconds, seeds, channels = TIMED["fashion" if "fashion" in row else "cifar"]
    data = cifar if data == "cifar10" else data
    if kind == "choose":
        found = {name: widest(source, stride, channels) for name, (source, stride) in NETWORKS.items()}
        if images == "cifar":
            found = {name: width for name, width in found.items() if name in GOOD}
        tried = [(name, width, seconds / 3) for name, width in found.items()]
    elif kind == "confirm":
        known = [one for one in _known(f"choose-{images}") if one["network"] in NETWORKS]
        best = sorted(known, key=lambda one: -float(one["accuracy"]))[:3]
        tried = [(one["network"], one["width"], seconds) for one in best]
    else:
        known = _known(f"confirm-{kind}") or _known(f"choose-{kind}")
        chosen = max((one for one in known if one["network"] in NETWORKS), key=lambda one: float(one["accuracy"]))
        source, stride = NETWORKS[chosen["network"]]
        options = {"width": chosen["width"], "stem_stride": stride}
        key = {"network": chosen["network"], "width": chosen["width"]}
        return [
            Task({**key, "seed": seed}, partial(_tested, source, data, seed, options, seconds)) for seed in range(seeds)
        ]
    tasks = [
        Task(
            {"network": name, "width": width},
            partial(_validated, data, handmade(NETWORKS[name][0], width, NETWORKS[name][1]), 0, {}, seconds=length),
        )
        for name, width, length in tried
    ]
    if row == "choose-fashion":
        cells = partial(_validated, data, architecture_of("DARTS_V2")[0], 0, {"channels": 12, "cells": 5})
        tasks.append(Task({"network": CELLS, "width": 1}, partial(cells, seconds=seconds / 3)))
    return tasks


TIMED = {"fashion": (FASHION, 150.0, 5, 1), "cifar": ("cifar10", 900.0, 3, 3)}
"""Images, CPU seconds, seeds and channels of the rows with a time."""

GOOD = ("resnet8", "resnet8, stem stride 2", "resnet14, stem stride 2", "vgg, stem stride 2")
"""Networks that are tried on CIFAR-10: the better ones on Fashion-MNIST, and ResNet-8."""

ROWS = (
    "steps",
    "bf16",
    "muon",
    "fashion-92",
    "ablation",
    "choose-fashion",
    "confirm-fashion",
    "fashion-150s",
    "choose-cifar",
    "cifar-15m",
)


def _scaled(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, with a learning rate in proportion to the batch."""
    batch = changes.get("batch_size", FAST["batch_size"])
    return {**changes, "learning_rate": FAST["learning_rate"] * batch / FAST["batch_size"]}


def _of(changes: Mapping[str, Any], steps: int) -> int:
    """As many images as that many steps of the recipe's batch."""
    return steps * int(FAST["batch_size"]) // int(changes.get("batch_size", FAST["batch_size"]))


def _next_lengths(recipe: str) -> list[int]:
    """The length that halves those between the longest too short and the shortest long enough; none: it is found."""
    found: dict[int, list[float]] = {}
    for one in _known("fashion-92"):
        if one["recipe"] == recipe:
            found.setdefault(one["epochs"], []).append(one["accuracy"])
    reached = {epochs: mean(of) >= REACHED for epochs, of in found.items() if len(of) == SEEDS}
    low = max((epochs for epochs, enough in reached.items() if not enough), default=0)
    high = min((epochs for epochs, enough in reached.items() if enough), default=10**9)
    between = [epochs for epochs in LENGTHS[recipe] if low < epochs < high]
    return between[(len(between) - 1) // 2 :][:1]


def _known(row: str) -> list[dict[str, Any]]:
    file = RESULTS / f"recipe-{row}.json"
    return json.loads(file.read_text())["raw"] if file.exists() else []


def _left(row: str, cifar: str, found: Sequence[dict[str, Any]]) -> list[Task]:
    """What is still to be measured, as far as that is known yet."""
    return [task for task in _tasks(row, cifar) if not any(task.key.items() <= one.items() for one in found)]


def _measured(task: Task) -> dict[str, Any]:
    torch.set_num_threads(1)
    return {**task.key, **task.measure()}


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation."""
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def interval(apart: Sequence[float]) -> str:
    """Mean of paired differences with its 95 % interval (Student's t)."""
    half = (
        float(student.ppf(0.975, len(apart) - 1)) * stdev(apart) / math.sqrt(len(apart)) if len(apart) > 1 else math.inf
    )
    return f"{mean(apart):+.2f} ({mean(apart) - half:+.2f} to {mean(apart) + half:+.2f})"


def _paired(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]) -> list[str]:
    """Number of seeds that both have, accuracies of the first and of the second, and their difference."""
    one, other = ({each["seed"]: each["accuracy"] for each in of} for of in (first, second))
    apart = [other[seed] - value for seed, value in one.items() if seed in other]
    both = [spread(list(of.values())) if of else "–" for of in (one, other)]
    return [str(len(apart)), *both, interval(apart) if apart else "–"]


NOTES = {
    "steps": "CPU milliseconds of a weight step on 28×28 grey images, batch 128, medians of pairs in turn; *plain "
    "training*: a step of `benchmarks/plain_training.py` and one of the fast recipe, their batches included.",
    "ablation": "Validation accuracy on Fashion-MNIST after 750 steps of 128 images (as many images with other "
    "batches), ResNet-8 with stem stride 2; difference paired by seed, with its 95 % interval.",
    "bf16": "Validation accuracy after 600 steps of 128 images, ResNet-8 with stem stride 2, native kernels; "
    "difference paired by seed, with its 95 % interval.",
    "software": "This processor has no instructions for bf16: torch computes it in software, with the same roundings.",
    "fashion-92": "Test accuracy on Fashion-MNIST, ResNet-8 (77,562 parameters); CPU seconds of the whole process, "
    "start and test included. OneCycle is in plain torch: float32, NCHW, crops and flips. The shortest of 1, 2, 3, 4, "
    "5 (zarts) and 2, 4, 6, 8, 12 epochs that reaches 92.0 % is found by halving: the others were not trained.",
    "muon": "Validation accuracy on CIFAR-10, batches of 128, ResNet-8 with stem stride 2, and CPU seconds of a "
    "training; difference paired by seed, with its 95 % interval.",
    "choose": "A third of the time, one seed; one thread.",
    "confirm": "The best three in the whole time, one seed; one thread.",
    "time": "`zarts retrain --time`, one thread, start and test included; the network was chosen on validation.",
}


def _table(row: str, found: list[dict[str, Any]]) -> tuple[list[str], list[list[str]], str]:
    """Columns, rows and a note."""
    lines = []
    if row == "steps":
        for one in found:
            ratios = [plain / fast for plain, fast in one["times"]]
            plain, fast = (f"{1000 * median(times[i] for times in one['times']):.0f}" for i in (0, 1))
            size = f"{one['parameters']:,}" if "parameters" in one else f"batches of {one['batches']}"
            ratio = f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
            lines.append([one["network"], size, plain, fast, ratio, one["path"]])
        return ["network", "parameters", "torch, fp32, NCHW", "chosen path", "ratio", "path"], lines, NOTES[row]
    if row == "ablation":
        for part, steps in dict.fromkeys((one["part"], one["steps"]) for one in found):
            base = {one["seed"]: one["accuracy"] for one in found if one["part"] == "all"}
            of = {one["seed"]: one["accuracy"] for one in found if (one["part"], one["steps"]) == (part, steps)}
            apart = [value - base[seed] for seed, value in of.items() if seed in base]
            change = "–" if part == "all" or not apart else interval(apart)
            lines.append([part, str(steps), str(len(of)), spread(list(of.values())), change])
        return ["recipe", "steps", "seeds", "accuracy, %", "difference"], lines, NOTES[row]
    if row == "bf16":
        for data in dict.fromkeys(one["data"] for one in found):
            of_both = [[one for one in found if (one["data"], one["precision"]) == (data, each)] for each in PRECISIONS]
            lines.append([data, *_paired(*of_both)])
        note = NOTES[row] + ("" if computes_in_bfloat16(torch.device("cpu")) else f" {NOTES['software']}")
        return ["images", "seeds", "fp32, %", "bf16, %", "difference"], lines, note
    if row == "muon":
        for steps in dict.fromkeys(one["steps"] for one in found):
            of_both = [[one for one in found if (one["steps"], one["muon_rate"] > 0) == (steps, on)] for on in (0, 1)]
            seconds = [f"{mean(one['seconds'] for one in each):.0f}" if each else "–" for each in of_both]
            lines.append([str(steps), *_paired(*of_both), *seconds])
        return ["steps", "seeds", "SGD, %", "Muon, %", "difference", "SGD, s", "Muon, s"], lines, NOTES[row]
    if row == "fashion-92":
        for recipe, epochs in sorted({(one["recipe"], one["epochs"]) for one in found}, reverse=True):
            of_both = [one for one in found if (one["recipe"], one["epochs"]) == (recipe, epochs)]
            accuracy = spread([one["accuracy"] for one in of_both])
            seconds = f"{mean(one['seconds'] for one in of_both):.0f}"
            lines.append([recipe, str(epochs), str(len(of_both)), accuracy, seconds])
        return ["recipe", "epochs", "seeds", "test accuracy, %", "CPU s"], lines, NOTES[row]
    common = [[one["network"], f"{one['width']:g}", str(one["steps"]), f"{one['seconds']:.0f}"] for one in found]
    accuracies = [one["accuracy"] for one in found]
    if row.startswith(("choose", "confirm")):
        lines = [[*begin, f"{value:.2f}"] for begin, value in zip(common, accuracies, strict=True)]
        return ["network", "width", "steps", "CPU s", "validation accuracy, %"], lines, NOTES[row.partition("-")[0]]
    for begin, one in zip(common, found, strict=True):
        lines.append([*begin, str(one["seed"]), f"{one['accuracy']:.2f}"])
    lines.append(["mean", "", "", f"{mean(one['seconds'] for one in found):.0f}", "", spread(accuracies)])
    return ["network", "width", "steps", "CPU s", "seed", "test accuracy, %"], lines, NOTES["time"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", choices=ROWS, action="append", help="a row; more than once for several (default: all)"
    )
    parser.add_argument("--cifar", default="cifar10", help="CIFAR-10: its name, or a folder of its images")
    parser.add_argument("--processes", type=int, default=1, help="measurements at a time (default: %(default)s)")
    args = parser.parse_args(arguments)
    for row in args.only or ROWS:
        found, file = _known(row), RESULTS / f"recipe-{row}.json"
        while tasks := _left(row, args.cifar, found):
            with multiprocessing.get_context("spawn").Pool(args.processes, maxtasksperchild=1) as pool:
                for one in pool.imap_unordered(_measured, tasks):
                    found.append(one)
                    columns, lines, note = _table(row, found)
                    command = f"python -m benchmarks.recipe --only {row}"  # without the place of the images
                    Report(columns, lines, note, {**environment(), "command": command, "threads": 1}, found).write(file)
        if found:
            print(Report.load(file).markdown())


if __name__ == "__main__":
    main()
