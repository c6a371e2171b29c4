"""Callbacks: objects or functions that follow a run, log its numbers, show its progress, or end it early.

`zarts.search(..., callbacks=[...])` takes objects of `Callback` and plain functions of an event. Nothing here imports
torch.
"""

from __future__ import annotations

from zarts.callbacks.base import Callback, Callbacks, Follower, StopEarly
from zarts.callbacks.metrics import MetricsLogger, scalars, to_logger
from zarts.callbacks.progress import progress

__all__ = [
    "Callback",
    "Callbacks",
    "Follower",
    "MetricsLogger",
    "StopEarly",
    "progress",
    "scalars",
    "to_logger",
]
