"""Readers of the official files of NATS-Bench and NAS-Bench-201, which are pickled Python objects."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch

from zarts.bench.table import Column, Table
from zarts.errors import DataError

__all__ = ["read_nasbench201", "read_natsbench"]

# Data set and split of a column: the benchmark's training run and evaluation set. CIFAR-10's validation accuracy is
# that of a network trained on half of the training images, its test accuracy that of one trained on all of them.
_SETS = {
    ("cifar10", "valid"): ("cifar10-valid", "x-valid"),
    ("cifar10", "test"): ("cifar10", "ori-test"),
    ("cifar100", "valid"): ("cifar100", "x-valid"),
    ("cifar100", "test"): ("cifar100", "x-test"),
    ("imagenet16-120", "valid"): ("ImageNet16-120", "x-valid"),
    ("imagenet16-120", "test"): ("ImageNet16-120", "x-test"),
}
_LENGTHS = {12: "less", 200: "full"}
_TIMED = Column("cifar10", "valid", 12)
_ADVICE = "needs to be unpickled, which can run any code that it contains: add --trust if you trust its source"
_BROKEN = (OSError, EOFError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError)


class _Found(NamedTuple):
    """The accuracies of an architecture, and the seconds of the training of `_TIMED`."""

    accuracies: dict[Column, float]
    seconds: float | None


def read_natsbench(path: Path, trust: bool) -> Table:
    """The topology space of NATS-Bench: the directory `…-simple`, or the file `….pickle.pbz2`.

    Accuracies are means over the benchmark's seeds. The package `nats-bench` reads all files of the
    directory, which takes minutes.

    Raises:
        DataError: not trusted, the package is not installed, or the files are not those of NATS-Bench.
    """
    if not trust:
        raise DataError(f"{path} {_ADVICE}")
    try:
        from nats_bench import NATStopology
    except ImportError:
        raise DataError(f"{path}: needs the package nats-bench: pip install 'zarts[bench]'") from None
    try:
        api = NATStopology(str(path), fast_mode=path.is_dir(), verbose=False)
        names = list(api.meta_archs)
        found = {index: _of_natsbench(api, index) for index in range(len(names))}
        return _build(path, names, found)
    except (AssertionError, pickle.UnpicklingError, *_BROKEN) as error:
        raise _not_official(path, "NATS-Bench", error) from error


def _of_natsbench(api: Any, index: int) -> _Found:
    found: dict[Column, float] = {}
    seconds = None
    for (data, split), epochs in product(_SETS, _LENGTHS):
        try:
            info = api.get_more_info(index, _SETS[data, split][0], hp=str(epochs), is_random=False)
            found[Column(data, split, epochs)] = float(info[f"{split}-accuracy"])
        except KeyError:
            continue
        if Column(data, split, epochs) == _TIMED:
            seconds = info["train-all-time"]
    api.arch2infos_dict.pop(index, None)  # read once; all of them together would fill the memory
    return _Found(found, seconds)


def read_nasbench201(path: Path, trust: bool) -> Table:
    """The `.pth` file of NAS-Bench-201 (v1.0 or v1.1); accuracies are means over its seeds.

    Read here, because the package `nas-bench-201` is no longer maintained and cannot open its file with today's torch.

    Raises:
        DataError: not trusted, or not the file of NAS-Bench-201.
    """
    try:
        data = torch.load(path, map_location="cpu", weights_only=not trust)
        names = list(data["meta_archs"])
        return _build(path, names, {int(i): _of_nasbench201(info) for i, info in data["arch2infos"].items()})
    except pickle.UnpicklingError as error:
        if not trust:
            raise DataError(f"{path} {_ADVICE}") from None
        raise _not_official(path, "NAS-Bench-201", error) from error
    except (RuntimeError, *_BROKEN) as error:
        raise _not_official(path, "NAS-Bench-201", error) from error


def _of_nasbench201(info: Mapping[str, Any]) -> _Found:
    found: dict[Column, float] = {}
    seconds = None
    for (data, split), epochs in product(_SETS, _LENGTHS):
        trained, evaluated = _SETS[data, split]
        runs = [run for (name, _seed), run in info[_LENGTHS[epochs]]["all_results"].items() if name == trained]
        key = f"{evaluated}@{epochs - 1}"
        accuracies = [float(run["eval_acc1es"][key]) for run in runs if key in run["eval_acc1es"]]
        if accuracies:
            found[Column(data, split, epochs)] = fmean(accuracies)
        if Column(data, split, epochs) == _TIMED:
            times = [sum(run["train_times"].values()) for run in runs if run["train_times"]]
            seconds = fmean(times) if times else None
    return _Found(found, seconds)


def _build(path: Path, names: list[str], found: Mapping[int, _Found]) -> Table:
    columns = [column for column in Column.every() if any(column in row.accuracies for row in found.values())]
    nan = float("nan")
    accuracies = {column: [row.accuracies.get(column, nan) for row in found.values()] for column in columns}
    times = [nan if row.seconds is None else row.seconds for row in found.values()]
    timed = any(row.seconds is not None for row in found.values())
    return Table.build(str(path), list(found), [names[index] for index in found], accuracies, times if timed else None)


def _not_official(path: Path, what: str, error: Exception) -> DataError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
    return DataError(f"{path}: not a file of {what}, or cut short ({reason})")
