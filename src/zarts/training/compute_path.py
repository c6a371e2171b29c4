"""The path on which a network trains: precision, layout, kernels and threads; the fastest is found by measuring."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch

from zarts.config import RetrainSettings

__all__ = ["ComputePath", "Cost", "Measured", "candidates", "computes_in_bfloat16", "fastest", "precisions_of"]

_PRECISIONS = {"32-true": "fp32", "bf16-mixed": "bf16", "16-mixed": "fp16"}
_LAYOUTS = {"channels-last": "channels last", "nchw": "NCHW"}
_SECONDS = 4.0
"""Steps are taken in turn until they took so long; the last ones to begin are finished."""
_ROUNDS = 5
_HOPELESS = 2.0
"""A candidate that takes so many times the fastest one's time is not measured again."""
_HOPELESS_FIRST, _SHORT = 4.0, 0.5
"""Likewise at its first step, which prepares the others, if that takes more than so many seconds."""
_WORTH = 0.9
"""A larger number of threads must take less than this share of the time of a smaller one: others want processors."""


class Cost(NamedTuple):
    """Seconds of a step: that pass, and those of all processors together."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class ComputePath:
    """How the steps of a training are computed. Paths differ in time, and in the last bits of their results.

    Args:
        precision: `32-true`, `bf16-mixed` or `16-mixed`.
        layout: `channels-last` or `nchw`.
        kernels: `torch` or `native`.
        threads: processor threads of torch.
    """

    precision: str
    layout: str
    kernels: str
    threads: int

    def __str__(self) -> str:
        """Its parts in words, all but torch's kernels: `fp32, channels last, 1 thread`."""
        kernels = [] if self.kernels == "torch" else [f"{self.kernels} kernels"]
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return ", ".join([_PRECISIONS[self.precision], _LAYOUTS[self.layout], *kernels, threads])

    def applied(self, settings: RetrainSettings) -> RetrainSettings:
        """The settings, with this path in the place of `auto`."""
        return settings.model_copy(update=asdict(self))


@dataclass(frozen=True)
class Measured:
    """A candidate and the seconds of its fastest step; `steps` is 0 for one that its first step ruled out."""

    path: ComputePath
    seconds: float
    steps: int


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; without, torch computes it many times slower."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    # oneDNN also says yes to AVX-512 without bf16 instructions, where it only converts
    has: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.9 has no such function
    return any(has.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def candidates(
    settings: RetrainSettings, device: torch.device, native: Collection[str], idle: int
) -> tuple[list[ComputePath], list[int]]:
    """The paths that the settings allow, all at torch's number of threads, and the numbers of threads, largest first.

    Args:
        settings: what is not `auto` in them is the same in all candidates.
        device: of the training.
        native: precisions in which this network has native kernels on this machine.
        idle: processors that nothing else uses; with more threads than those, steps would wait for each other.
    """
    most = torch.get_num_threads()
    precisions, layouts = precisions_of(settings, device), [settings.layout]
    if settings.layout == "auto":
        layouts = ["channels-last", "nchw"]
    threads = [most if settings.threads is None else int(settings.threads)] if settings.threads != "auto" else []
    if settings.threads == "auto":
        threads = _halved(most, max(1, idle)) if device.type == "cpu" else [most]
    asked = ["native", "torch"] if settings.kernels == "auto" else [settings.kernels]
    paths = [ComputePath(p, layout, k, threads[0]) for k in asked for p in precisions for layout in layouts]
    if settings.kernels == "auto" or native:  # the native kernels are for channels last
        paths = [p for p in paths if p.kernels == "torch" or (p.precision in native and p.layout == "channels-last")]
    return paths, threads


def precisions_of(settings: RetrainSettings, device: torch.device) -> list[str]:
    """The precision of the settings; where it is `auto`, those that the device computes in."""
    if settings.precision != "auto":
        return [settings.precision]
    return ["32-true", "bf16-mixed"] if computes_in_bfloat16(device) else ["32-true"]


def _halved(most: int, idle: int) -> list[int]:
    numbers = [most >> halved for halved in range(most.bit_length())]
    return [number for number in numbers if number <= idle]


def fastest(
    paths: Sequence[ComputePath],
    threads: Sequence[int],
    step: Callable[[ComputePath], Cost],
    most: float = math.inf,
) -> tuple[ComputePath, list[Measured]]:
    """The fastest path, and all that were measured, fastest first.

    The number of threads comes first, on the first path; then all paths are measured with it. Times are the least of
    steps in turn: of one thread the processor's, which other programs disturb least, else those that pass.

    Args:
        paths: candidates at any number of threads, at least one.
        threads: numbers of threads, largest first.
        step: takes a step on a path.
        most: seconds after which no other path is tried.
    """
    first = [_with(paths[0], count) for count in threads]
    spent = step(first[0]).wall  # the first step of all also starts torch's libraries
    if spent * (len(first) + len(paths)) > most:
        return first[0], []
    found = _in_turn(first, step, lambda path, cost: cost.wall) if len(first) > 1 else []
    count = threads[0]
    for one in sorted(found, key=lambda one: -one.path.threads):
        best = next(other for other in found if other.path.threads == count)
        count = one.path.threads if one.steps and best.seconds > _WORTH * one.seconds else count
    others = [_with(path, count) for path in paths]
    if len(others) > 1:
        again = _in_turn(others, step, lambda path, cost: cost.cpu if path.threads == 1 else cost.wall)
        found = again + [one for one in found if one.path != others[0]]
    winner = others[0] if len(others) == 1 else again[0].path
    return winner, sorted(found, key=lambda one: (one.path != winner, one.seconds))


def _with(path: ComputePath, threads: int) -> ComputePath:
    return ComputePath(path.precision, path.layout, path.kernels, threads)


def _in_turn(
    paths: Sequence[ComputePath], step: Callable[[ComputePath], Cost], value: Callable[[ComputePath, Cost], float]
) -> list[Measured]:
    """Seconds of each path, fastest first; the first step of each only prepares the others, and rules out the slow."""
    spent, rounds = 0.0, 0
    warm = {}
    for path in paths:
        cost = step(path)
        warm[path], spent = value(path, cost), spent + cost.wall
    best = dict(warm)
    left = [path for path in paths if warm[path] <= max(_HOPELESS_FIRST * min(warm.values()), _SHORT)]
    taken = dict.fromkeys(paths, 0)
    while rounds == 0 or (rounds < _ROUNDS and spent < _SECONDS / 2):
        for path in left:
            cost = step(path)
            seconds = value(path, cost)
            best[path] = seconds if taken[path] == 0 else min(best[path], seconds)
            taken[path], spent = taken[path] + 1, spent + cost.wall
        least = min(best[path] for path in left)
        left, rounds = [path for path in left if best[path] <= _HOPELESS * least], rounds + 1
    found = [Measured(path, best[path], taken[path]) for path in paths]
    return sorted(found, key=lambda one: (one.steps == 0, one.seconds))
