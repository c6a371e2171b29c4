"""Check of a machine with a GPU, in at most five minutes: `python -m benchmarks.gpu`.

Everything runs on the GPU and, where there is something to compare, on the CPU at the same weights in float32. Each
check is one line, `ok NAME: figures` or `FAILED NAME: reason`; the last line counts them, and the exit code is 1 if one
failed. Without a GPU there is one line that says so, and the exit code is 0. `--device cpu` runs the same checks on the
processor, where torch's own operations are compared with the native kernels.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import platform
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

import zarts
from benchmarks.cases import PAPER, Size, architecture, data, fast_problem
from zarts.errors import Interrupted
from zarts.networks import OPERATIONS, build_operation, seeded
from zarts.runtime.measure import peak_bytes
from zarts.spaces import get_space
from zarts.supernet import build_supernet

__all__ = ["CHECKS", "RETRAIN", "SEARCH", "STEPS", "SUPERNETS", "TOLERANCE", "Unequal", "main", "run"]

TOLERANCE = {"outputs": 1e-3, "gradients": 2e-2}
"""Largest difference from the CPU in float32: the norm of the difference over the norm of the CPU's tensor.

Sums in another order differ by 1e-5. A gradient differs more where rounding carries the input of a ReLU or a max pool
over its kink: by 3e-3 between the two ways of the CPU.
"""

STEPS = {"cuda": PAPER, "cpu": Size("darts", channels=4, cells=5, batch=32, side=16)}
"""The supernet whose weight step is timed, by kind of device."""

SUPERNETS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("darts", {}),
    ("s2", {}),
    ("darts-zero", {"supernet": "partial"}),
    ("darts", {"supernet": "merged"}),
    ("nasbench201", {}),
)
"""The spaces and forms of the supernets that are compared."""

SEARCH: dict[str, Any] = {"preset": "quick", "method": "zarts-mgs", "seed": 0, "subset": 400, "epochs": 4}
"""The search of the checks of whole runs."""

RETRAIN: dict[str, Any] = {"preset": "quick", "seed": 0, "epochs": 4}
"""The retraining of what it finds."""

_TIMED, _TIMED_SECONDS = 30, 20.0
_LOSS_TOLERANCE = 0.1
_ACCURACY = 20.0


class Unequal(Exception):
    """What a check computed differs from what it has to be."""


class _Worst:
    """The largest differences of outputs and of gradients from those on the CPU, and where they are."""

    def __init__(self) -> None:
        self._found = dict.fromkeys(TOLERANCE, (0.0, "nowhere"))

    def add(self, where: str, expected: Sequence[Tensor], found: Sequence[Tensor]) -> None:
        """Compare the output, which comes first, and gradients.

        Raises:
            Unequal: they differ by more than is allowed.
        """
        if [tensor.shape for tensor in expected] != [tensor.shape for tensor in found]:
            raise Unequal(f"{where}: outputs or gradients have other shapes than on the CPU")
        for number, (one, other) in enumerate(zip(expected, found, strict=True)):
            part = float((one - other).norm() / one.norm().clamp(min=1e-6))
            kind = "gradients" if number else "outputs"
            if not part <= TOLERANCE[kind]:  # so that nan is one
                raise Unequal(f"{where}: {kind} differ from the CPU's by {part:.1e}; allowed is {TOLERANCE[kind]:g}")
            self._found[kind] = max(self._found[kind], (part, where))

    def __str__(self) -> str:
        parts = [f"{kind} within {part:.1e} ({where})" for kind, (part, where) in self._found.items()]
        return f"{' and '.join(parts)} of the CPU's; allowed are {' and '.join(f'{t:g}' for t in TOLERANCE.values())}"


def imports(device: torch.device) -> str:
    """Import every module of the package, and compute once on the device."""
    names = [module.name for module in pkgutil.walk_packages(zarts.__path__, "zarts.") if "__main__" not in module.name]
    for name in names:
        importlib.import_module(name)
    total = float(torch.ones(1000, device=device).sum())
    if total != 1000:
        raise Unequal(f"the sum of 1000 ones is {total}")
    return f"{len(names)} modules, torch {torch.__version__}, CUDA {torch.version.cuda}, {_device_name(device)}"


def operations(device: torch.device) -> str:
    """Each operation with stride 1 and 2: its output and all gradients, against those on the CPU."""
    worst = _Worst()
    names = [name for name in OPERATIONS if name != "noise"]  # its numbers depend on the device
    for name in names:
        for stride in (1, 2):
            with seeded(0):
                here = build_operation(name, 16, stride, affine=True)
                images = torch.randn(8, 16, 16, 16)
            there = build_operation(name, 16, stride, affine=True)
            there.load_state_dict(here.state_dict())
            worst.add(f"{name}, stride {stride}", _pass(here, images), _pass(there.to(device), images.to(device)))
    return f"{2 * len(names)} operations, {worst}"


def supernets(device: torch.device) -> str:
    """Every kind of supernet: logits, gradients of the weights and of alpha, against those on the CPU."""
    worst = _Worst()
    for name, more in SUPERNETS:
        space = get_space(name)
        sizes = {"channels": 8, "cells": 1 if space.skeleton == "nasbench201" else 4, "num_classes": 10, **more}
        nets = []
        for native in (True, False):
            with seeded(0):
                nets.append(build_supernet(space, native=native, **sizes))
        here, there = nets[0], nets[1].to(device)
        with seeded(0):
            images = torch.randn(16, 3, 16, 16)
            flat = torch.rand(space.dimension)
        worst.add(
            " ".join([name, *map(str, more.values())]),
            _pass(here, images, space.split(flat.clone().requires_grad_())),
            _pass(there, images.to(device), space.split(flat.to(device).requires_grad_())),
        )
    return f"{len(SUPERNETS)} supernets, {worst}"


def search_and_retrain(device: torch.device) -> str:
    """A quick search for the digits and a retraining of what it found, from the images to the test accuracy."""
    with TemporaryDirectory() as folder:
        found = zarts.search(out=Path(folder) / "search", device=str(device), quiet=True, **SEARCH)
        trained = zarts.retrain(found.run, out=Path(folder) / "retrain", device=str(device), quiet=True, **RETRAIN)
    losses = _losses(found.history)
    if not losses[max(losses)] < losses[min(losses)]:
        raise Unequal(f"the training loss of the search does not fall: {losses}")
    if not trained.test_accuracy > _ACCURACY:
        raise Unequal(f"test accuracy {trained.test_accuracy:.1f} % is not above {_ACCURACY:g} %; chance is 10 %")
    return (
        f"search {found.seconds:.1f} s, loss {losses[min(losses)]:.2f} to {losses[max(losses)]:.2f}; "
        f"retraining {trained.seconds:.1f} s, test accuracy {trained.test_accuracy:.1f} %"
    )


def resumption(device: torch.device) -> str:
    """A search that is interrupted in its second epoch and resumed, against one that is not."""
    options = {**SEARCH, "device": str(device), "quiet": True}
    with TemporaryDirectory() as folder:
        straight = zarts.search(out=Path(folder) / "straight", **options)
        try:
            zarts.search(out=Path(folder) / "run", callbacks=[_interrupt_after_an_epoch], **options)
        except Interrupted:
            pass
        else:
            raise Unequal("the search was not interrupted")
        resumed = zarts.search(resume=Path(folder) / "run", quiet=True)
    ours, theirs = _losses(resumed.history), _losses(straight.history)
    logged = [event["epoch"] for event in resumed.history if event["event"] == "weight_epoch"]
    if logged != list(theirs):
        raise Unequal(f"epochs {logged} were logged, not {list(theirs)}")
    last = max(theirs)
    if not abs(ours[last] - theirs[last]) <= _LOSS_TOLERANCE * theirs[last]:
        raise Unequal(f"the last epoch's loss is {ours[last]}; that of a straight search is {theirs[last]}")
    apart = max(float((resumed.alphas[kind] - alpha).abs().max()) for kind, alpha in straight.alphas.items())
    same = "the same to the bit" if apart == 0 else f"at most {apart:.1e} apart"
    return f"last loss {ours[last]:.4f}, straight {theirs[last]:.4f}; alpha {same}"


def step_time(device: torch.device) -> str:
    """A weight step of the paper's supernet: the median of some, each waited for, and the peak of the memory."""
    size = STEPS[device.type]
    problem, alpha = fast_problem(size, device=device), architecture(size.space).to(device)
    images, labels = (tensor.to(device) for tensor in data(size))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds: list[float] = []
    begin = time.perf_counter()
    while len(seconds) < 3 or (len(seconds) < _TIMED and time.perf_counter() - begin < _TIMED_SECONDS):
        start = time.perf_counter()
        problem.weight_step(alpha, (images, labels))
        _wait(device)
        seconds.append(time.perf_counter() - start)
    counted = seconds[len(seconds) // 3 :]  # the first ones choose algorithms and reserve memory
    spread = f"{1e3 * min(counted):.1f} to {1e3 * max(counted):.1f}"
    return (
        f"{1e3 * statistics.median(counted):.1f} ms ({spread}, {len(counted)} steps), "
        f"peak {peak_bytes(device) / 2**20:.0f} MiB{'' if device.type == 'cuda' else ' of the process'}; {size}"
    )


CHECKS: dict[str, Callable[[torch.device], str]] = {
    "imports": imports,
    "operations": operations,
    "supernets": supernets,
    "search and retraining": search_and_retrain,
    "resumption": resumption,
    "step": step_time,
}
"""In the order in which they run: each returns its figures, or raises."""


def run(device: torch.device, checks: Mapping[str, Callable[[torch.device], str]]) -> int:
    """Run the checks on the device and print a line for each; returns the number of those that failed."""
    failed, begin = 0, time.perf_counter()
    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # 10 bits would hide a difference
    try:
        for name, check in checks.items():
            start = time.perf_counter()
            try:
                line = f"ok {name}: {check(device)}"
            except Exception as error:  # the other checks go on
                failed += 1
                line = f"FAILED {name}: {type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"
            print(f"{line} [{time.perf_counter() - start:.0f} s]", flush=True)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32
    good = len(checks) - failed
    print(f"{good} of {len(checks)} checks ok on {_device_name(device)}, {time.perf_counter() - begin:.0f} s")
    return failed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu to run the same checks on the processor")
    device = torch.device(parser.parse_args(arguments).device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("no GPU: torch finds no CUDA device here, nothing was checked (--device cpu runs the checks without one)")
        return 0
    return int(run(device, CHECKS) > 0)


def _interrupt_after_an_epoch(event: Mapping[str, Any]) -> None:
    if event["event"] == "weight_epoch" and event["epoch"] == 1:
        signal.raise_signal(signal.SIGINT)  # as Ctrl-C does


def _losses(history: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """The training loss of every epoch."""
    return {event["epoch"]: event["train_loss"] for event in history if event["event"] == "weight_epoch"}


def _pass(network: nn.Module, images: Tensor, weights: Mapping[str, Tensor] | None = None) -> list[Tensor]:
    """The output for the images; gradients of all parameters, of the images or of the operation weights; on the CPU."""
    images = images.detach().requires_grad_(weights is None)
    for matrix in (weights or {}).values():
        matrix.retain_grad()
    output = network(images) if weights is None else network(images, weights)
    if output.requires_grad:  # `none` depends on nothing
        # Not the squares: behind a batch norm their sum is constant.
        signs = torch.arange(output.numel(), dtype=torch.float32).sin().view_as(output)
        (output * signs.to(output.device)).sum().backward()
    inputs = [images] if weights is None else list(weights.values())
    found = [output, *(tensor.grad for tensor in (*inputs, *network.parameters()) if tensor.grad is not None)]
    return [tensor.detach().cpu() for tensor in found]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU {platform.machine()}"


if __name__ == "__main__":
    sys.exit(main())
