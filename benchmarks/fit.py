"""Whether a fit finds a better network than the best hand-made one, and how good it is: whole commands, several seeds.

Every result is kept in `benchmarks/results/fit-ROW.json` as it comes; what a file has is not measured again. Each fit
is the command `zarts fit` in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from benchmarks.recipe import spread, widest
from benchmarks.report import Report, environment
from zarts.exports.chain_graph import chain_graph
from zarts.limits.latency import measure_latency
from zarts.networks import create_chain
from zarts.planner.promises import Progress, common_slope, promised
from zarts.planner.records import NO_VALUE
from zarts.spaces import handmade
from zarts.training import ModelCard

__all__ = ["ROWS", "main", "resnet8_latency"]

RESULTS = Path(__file__).parent / "results"
CIFAR = "CIFAR"
"""Stands for the folder of CIFAR-10's images."""

_CIFAR_20M = {"data": CIFAR, "time": "20m", "first": 50, "options": ["--image-size", "32"]}
"""A row begins at the first seed that was not measured before Muon; see docs/fit.md."""
_6KB = ["--image-size", "32", "--max-ram", "6KB", "--max-flash", "64KB", "--int8"]
ROWS: dict[str, dict[str, Any]] = {
    "fashion-40m": {
        "data": "fashion-mnist",
        "time": "40m",
        "first": 10,
        "seeds": 4,
        "options": ["--max-params", "100k"],
    },
    "fashion-2h": {
        "data": "fashion-mnist",
        "time": "2h",
        "seeds": 1,
        "options": ["--max-params", "100k"],
        "processes": 2,
    },
    "fashion-resnet8": {"data": "fashion-mnist", "time": "40m", "seeds": 4, "alone": True},
    "cifar-20m": {**_CIFAR_20M, "seeds": 4, "latency": 1.1},
    "cifar-20m-random": {
        **{**_CIFAR_20M, "seeds": 4, "latency": 1.1},
        "options": ["--image-size", "32", "--optimizer", "random"],
    },
    "cifar-20m-half": {**_CIFAR_20M, "seeds": 2, "latency": 0.55},
    "digits-2m": {"data": "digits", "time": "2m", "seeds": 5, "options": []},
    "fashion-8kb": {
        "data": "fashion-mnist",
        "time": "20m",
        "seeds": 2,
        "options": ["--max-ram", "8KB", "--max-flash", "32KB", "--int8"],
    },
    "cifar-6kb": {"data": CIFAR, "time": "20m", "first": 10, "seeds": 4, "options": _6KB},
    "cifar-6kb-random": {
        "data": CIFAR,
        "time": "20m",
        "first": 10,
        "seeds": 2,
        "options": [*_6KB, "--optimizer", "random"],
    },
    "fashion-int8": {"data": "fashion-mnist", "time": "10m", "seeds": 2, "options": ["--max-params", "100k", "--int8"]},
}
"""What is measured: images, time, number of seeds, the first of them, and options; `latency`: the limit as a multiple
of ResNet-8's; `alone`: one hand-made network is trained for the whole time instead."""


def resnet8_latency() -> float:
    """Milliseconds of ResNet-8 (16-32-64) on colour images of 32×32, as fits measure it."""
    card = ModelCard(handmade("resnet8"), 0, 0, "", tuple("0123456789"), 32, (0.5,) * 3, (0.25,) * 3)
    network = create_chain(card.architecture, num_classes=10).eval()
    return measure_latency(chain_graph(network, card)).ms


def measure(row: str, seed: int, cifar: str, limit: float | None, keep: Path | None) -> dict[str, Any]:
    """A fit, or a training of ResNet-8, and what came of it; its folder goes into `keep`, if that is given."""
    what = ROWS[row]
    data = cifar if what["data"] == CIFAR else what["data"]
    with tempfile.TemporaryDirectory() as folder:
        out, begun = (Path(folder) if keep is None else keep) / f"{row}-seed{seed}", time.perf_counter()
        if what.get("alone"):
            size = ["--width", f"{widest('resnet8', 2, 1):g}", "--stem-stride", "2", "--threads", "1"]
            words = ["retrain", "resnet8", "--data", data, "--recipe", "fast", *size]
        else:
            words = ["fit", data, "--processes", str(what.get("processes", 1)), *what["options"]]
            words += [] if limit is None else ["--max-latency", f"{limit:.6f}ms"]
        words += ["--time", what["time"], "--seed", str(seed), "--out", str(out)]
        subprocess.run([sys.executable, "-m", "zarts", *words], check=True)
        result = json.loads((out / "result.json").read_text())
    found: dict[str, Any] = {"seed": seed, "seconds": time.perf_counter() - begun, "limit_ms": limit}
    if what.get("alone"):
        return {**found, "test": result["test_accuracy"]}
    by_number = {one["number"]: one for one in result["candidates"]}
    finals = [{**one, **{k: by_number[one["candidate"]][k] for k in ("name", "origin")}} for one in result["finals"]]
    tried = {one: sum(c["origin"] == one for c in result["candidates"]) for one in ("hand-made", "found", "random")}
    kept = ("verdict", "details", "better", "difference", "test_accuracy", "delivered", "lengths", "int8", "time")
    of_each = ("number", "name", "origin", "parameters", "macs", "scores")
    candidates = [{key: one[key] for key in of_each} for one in result["candidates"]]
    return {**found, "finals": finals, "tried": tried, "candidates": candidates, **{key: result[key] for key in kept}}


def table(found: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: a fit a line, and their means."""
    if "finals" not in found[0]:
        rows = [[str(one["seed"]), f"{one['test']:.2f}", f"{one['seconds']:.0f}"] for one in found]
        return ["seed", "test accuracy, %", "s"], [*rows, ["mean", spread([one["test"] for one in found]), ""]]
    rows, apart = [], []
    for one in found:
        searched = [f for f in one["finals"] if f["origin"] in ("found", "random")]
        known = [f for f in one["finals"] if f["origin"] == "hand-made"]
        both = [" · ".join(f"{f['name']}: {f['test_accuracy']:.2f}" for f in part) or "–" for part in (searched, known)]
        difference = one["difference"]
        words = "–"
        if difference is not None:
            apart.append(difference["mean"])
            words = f"{difference['mean']:+.2f} ({difference['low']:+.2f} to {difference['high']:+.2f})"
        number = sum(one["tried"].values())
        accuracy = f"{one['test_accuracy']:.2f}"
        rows.append([str(one["seed"]), *both, words, accuracy, str(number), f"{one['seconds']:.0f}"])
    means = [spread(apart) if apart else "–", spread([one["test_accuracy"] for one in found])]
    rows.append(["mean", "", "", *means, "", f"{mean(one['seconds'] for one in found):.0f}"])
    columns = ["seed", "searched, test %", "hand-made, test %", "difference", "delivered, test %", "networks", "s"]
    if found[0]["int8"] is not None:
        lost = [one["int8"]["accuracy"] - one["int8"]["fp32"] for one in found]
        columns.append("8 bits minus 32, points")
        for row, text in zip(rows, [*(f"{one:+.2f}" for one in lost), spread(lost)], strict=True):
            row.append(text)
    return columns, rows


def promises() -> Report:
    """What finalists had after T/3 and in the end, the slope between, and what they would have promised."""
    rows = []
    for file in sorted(RESULTS.glob("fit-*.json")):
        for one in (one for one in json.loads(file.read_text())["raw"] if "candidates" in one):
            scores = {
                (candidate["number"], score["length"]): (Progress(1 - score["accuracy"] / 100, score["steps"]), score)
                for candidate in one["candidates"]
                for score in candidate["scores"]
                if score["length"] == "T" or (score["seed"] == one["seed"] and score["value"] < NO_VALUE)
            }
            twice = [number for number, length in scores if length == "T/9" and (number, "T/3") in scores]
            pairs = [(scores[number, "T/9"][0], scores[number, "T/3"][0]) for number in twice]
            for final in one["finals"]:
                if (final["candidate"], "T/3") not in scores:
                    continue
                (short, before), (long, after) = (scores[final["candidate"], length] for length in ("T/3", "T"))
                times = after["seconds"] / before["seconds"]
                later = 100 * (1 - promised(short, common_slope(pairs), times)) if len(pairs) > 1 else math.nan
                where = [file.stem.removeprefix("fit-"), str(one["seed"]), final["name"]]
                had = [f"{before['accuracy']:.2f} ({before['steps']})", f"{after['accuracy']:.2f} ({after['steps']})"]
                slope = f"{common_slope([(short, long)]):.0f}"
                rows.append([*where, *had, slope, "–" if math.isnan(later) else f"{later:.2f}"])
    columns = ["row", "seed", "finalist", "T/3: validation % (steps)", "final", "slope *a*", "promised"]
    note = "Computed from the files of the rows."
    return Report(columns, rows, note, {**environment(), "command": "python -m benchmarks.fit --promises"}, [])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=ROWS, action="append", help="a row; more than once for several")
    parser.add_argument("--cifar", default="cifar10", help="CIFAR-10: its name, or a folder of its images")
    parser.add_argument("--at-once", type=int, default=1, help="fits side by side (default: %(default)s)")
    parser.add_argument("--seeds", type=int, help="stop when a row has this many seeds (default: all of the row)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the folders of the fits there")
    parser.add_argument("--promises", action="store_true", help="only compare what was promised with what came of it")
    args = parser.parse_args(arguments)
    if args.promises:
        compared = promises()
        compared.write(RESULTS / "fit-promises.json")
        print(compared.markdown())
        return
    torch.set_num_threads(1)
    for row in args.only or ROWS:
        file = RESULTS / f"fit-{row}.json"
        found = json.loads(file.read_text())["raw"] if file.exists() else []
        share = ROWS[row].get("latency")
        limit = None if share is None else share * resnet8_latency()
        wanted = [ROWS[row].get("first", 0) + number for number in range(ROWS[row]["seeds"])][: args.seeds]
        seeds = [seed for seed in wanted if seed not in [one["seed"] for one in found]]
        with ThreadPoolExecutor(args.at_once) as pool:
            measured = partial(measure, row, cifar=args.cifar, limit=limit, keep=args.keep)
            for one in pool.map(measured, seeds):
                found.append(one)
                columns, rows = table(found)
                note = f"Seeds {', '.join(str(one['seed']) for one in found)}; {args.at_once} side by side."
                command = f"python -m benchmarks.fit --only {row}"  # without the place of the images
                Report(columns, rows, note, {**environment(), "command": command}, found).write(file)
        if found:
            print(Report.load(file).markdown())


if __name__ == "__main__":
    main()
