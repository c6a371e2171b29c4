"""The numbers of events by name, and a callback that hands them to a logger with the interface of wandb."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean
from typing import Any, Protocol, runtime_checkable

__all__ = ["MetricsLogger", "scalars", "to_logger"]

_GROUPS = {
    "alpha_step": "alpha",
    "weight_epoch": "weights",
    "train_epoch": "train",
    "genotype": "cell",
    "selection": "selected",
    "cost": "cost",
    "eigenvalue": "sharpness",
    "truth": "truth",
}
"""Events whose numbers are logged, and the first part of the names of these numbers."""

_COUNTERS = ("epoch", "update", "step")


def scalars(event: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of an event under names like `cell/parameterless/normal`; of candidates the mean."""
    group = _GROUPS.get(event["event"])
    if group is None:
        return {}
    numbers = dict(_numbers(group, {k: v for k, v in event.items() if k not in _COUNTERS}))
    for key, name in (("losses", "loss"), ("values", "objective")):
        finite = [value for value in event.get(key) or () if value is not None and math.isfinite(value)]
        numbers |= {f"{group}/{name}": fmean(finite)} if finite else {}
    return numbers


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{name}/{key}", inner)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield name, float(value)


@runtime_checkable
class MetricsLogger(Protocol):
    """A logger that takes numbers by name as `wandb.init()` does; the clients of MLflow and Comet need a wrapper."""

    def log(self, data: dict[str, Any], /) -> Any:
        """Log numbers that belong together."""


def to_logger(logger: MetricsLogger) -> Callable[[Mapping[str, Any]], None]:
    """A callback that logs events: `zarts.search(..., callbacks=[zarts.to_logger(wandb.init(project="mine"))])`.

    Each call of `logger.log` has `epoch` beside its numbers, and `update` where it is about an update of alpha, as the
    x axis. It passes no step, because updates and epochs are counted apart. The caller closes the logger.
    """

    def log(event: Mapping[str, Any]) -> None:
        if numbers := scalars(event):
            logger.log({key: event[key] for key in ("epoch", "update") if key in event} | numbers)

    return log
