"""Breakdown of the time of a weight step by kind of torch operation or of module, for plain and fast supernet."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.cases import CASES, Step
from benchmarks.report import Report, environment, options

__all__ = ["KEYS", "main", "spent"]

Times = Counter[tuple[str, bool]]
"""Seconds of each kind, in the forward pass and (True) in the backward pass."""

_BACKWARD = "autograd::engine::evaluate_function"
_MODULE = "module: "
_KINDS = {  # the first whose words are in the name of the operation
    "optimizer": ("Optimizer", "_foreach", "linalg_vector_norm"),
    "convolution": ("conv",),
    "batch norm": ("batch_norm",),
    "pool": ("pool",),
    "ReLU": ("relu", "threshold"),
    "matrix product": ("mm", "linear", "matmul"),
    "copy and fill": ("copy", "cat", "clone", "contiguous", "repeat", "pad", "fill", "zero"),
    "sum and scale": ("add", "mul", "sum", "mean", "lerp"),
    "view": ("view", "View", "strided", "squeeze", "expand", "permute", "transpose", "reshape", "slice", "select"),
}


def ancestors(event: Any) -> Iterator[Any]:
    """The event, its caller, the caller of that, and so on."""
    while event is not None:
        yield event
        event = event.cpu_parent


def by_operation(events: Iterable[Any]) -> Times:
    """Self time by kind of operation; operations of zarts by their own names."""
    times = Times()
    for event in events:
        times[_kind(event), _is_backward(event)] += event.self_cpu_time_total / 1e6
    return times


def _is_backward(event: Any) -> bool:
    return any(caller.name.startswith(_BACKWARD) for caller in ancestors(event))


def _kind(event: Any) -> str:
    if event.name.startswith("zarts::"):
        return f"`{event.name}`"
    names = [event.name, *(caller.name for caller in ancestors(event) if caller.name.startswith("Optimizer"))]
    kind = next((kind for kind, words in _KINDS.items() if any(w in n for n in names for w in words)), "other")
    return f"{kind}{_form(event)}" if kind == "convolution" else kind


def _form(event: Any) -> str:
    """Kernel size of a convolution, and whether it is depthwise."""
    weights = [shape for shape in event.input_shapes[1:3] if len(shape) == 4 and max(shape[2:]) <= 5]
    if not weights:
        return ""
    _, inputs, height, width = weights[-1]
    return f", {'depthwise ' if inputs == 1 and height > 1 else ''}{height}×{width}"


def by_module(events: Iterable[Any]) -> Times:
    """Self time by class of the innermost module, backward as forward.

    An operation of the forward pass and its node of the backward pass share a sequence number; the last operation
    that has the number made the node.
    """
    times, classes = Times(), {}
    for event in sorted(events, key=lambda event: event.time_range.start):
        node = next((caller for caller in ancestors(event) if caller.name.startswith(_BACKWARD)), None)
        if node:
            name = classes.get(node.sequence_nr, "other")
        else:
            modules = (caller.name for caller in ancestors(event) if caller.name.startswith(_MODULE))
            name = next(modules, "other").removeprefix(_MODULE)
            if event.sequence_nr >= 0:
                classes[event.sequence_nr] = name
        times[name, node is not None] += event.self_cpu_time_total / 1e6
    return times


KEYS: dict[str, Callable[[Iterable[Any]], Times]] = {"operation": by_operation, "module": by_module}


@contextmanager
def named_modules() -> Iterator[None]:
    """Inside, the forward pass of every module is a range of the profile."""
    ranges: list[record_function] = []

    def enter(module: nn.Module, _inputs: Any) -> None:
        ranges.append(record_function(_MODULE + _label(module)))
        ranges[-1].__enter__()

    def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        ranges.pop().__exit__(None, None, None)

    hooks = [register_module_forward_pre_hook(enter), register_module_forward_hook(leave)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _label(module: nn.Module) -> str:
    if not isinstance(module, nn.Conv2d):
        return type(module).__name__
    depthwise = "depthwise " if module.groups > 1 else ""
    dilated = " dilated" if module.dilation[0] > 1 else ""
    return f"Conv2d {depthwise}{module.kernel_size[0]}×{module.kernel_size[1]}{dilated}"


def spent(step: Step, by: str) -> Times:
    """Seconds of one step, after one that does not count.

    Args:
        step: the step.
        by: a key of `KEYS`.
    """
    step()
    named = named_modules() if by == "module" else nullcontext()
    os.environ.setdefault("KINETO_LOG_LEVEL", "9")  # silences the profiler
    with named, profile(activities=[ProfilerActivity.CPU], record_shapes=True) as recorded:
        step()
    return KEYS[by](recorded.events())


def rows(sides: Sequence[Times]) -> list[list[str]]:
    """Kinds that take at least 0.5 % of a side, slowest first; the others in one row."""
    totals = [side.total() for side in sides]
    kinds = {kind for side in sides for kind, _ in side}

    def share(kind: str) -> float:
        return max((side[kind, False] + side[kind, True]) / total for side, total in zip(sides, totals, strict=True))

    shown = sorted((kind for kind in kinds if share(kind) >= 0.005), key=share, reverse=True)
    lines = [[kind, *(text for side in sides for text in _texts(side, [kind]))] for kind in shown]
    lines.append(["the rest", *(text for side in sides for text in _texts(side, kinds - set(shown)))])
    return [*lines, ["all", *(text for side in sides for text in _texts(side, kinds))]]


def _texts(side: Times, kinds: Iterable[str]) -> list[str]:
    forward, backward = (sum(side[kind, back] for kind in kinds) / side.total() for back in (False, True))
    return [f"{forward:.1%}", f"{backward:.1%}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = options(__doc__ or "")
    parser.add_argument("--by", choices=KEYS, default="operation", help="default: %(default)s")
    parser.add_argument("--case", choices=CASES, default="paper", help="default: %(default)s")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    case = CASES[args.case]
    sides = [spent(build(), args.by) for build in (case.plain, case.fast)]
    columns = [args.by, *(f"{side} {what}" for side in ("plain", "fast") for what in ("forward", "backward"))]
    totals = " and ".join(f"{side.total():.3g}" for side in sides)
    note = f"Shares of one step, {totals} seconds with the profiler's own cost. {case.what}."
    raw = [{f"{kind} {'backward' if back else 'forward'}": s for (kind, back), s in side.items()} for side in sides]
    Report(columns, rows(sides), note, environment(), raw).publish(args.json)


if __name__ == "__main__":
    main()
