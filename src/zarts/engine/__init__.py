"""The search loop and what a run needs: folder, checkpoint, events, device, schedules, signals."""

from __future__ import annotations

from zarts.engine.device import choose_device, torch_threads
from zarts.engine.meter import Meter
from zarts.engine.result import SearchResult
from zarts.engine.run import Run, environment, free_name
from zarts.engine.schedule import cosine
from zarts.engine.search import Listener, search
from zarts.engine.stop import stop_request

__all__ = [
    "Listener",
    "Meter",
    "Run",
    "SearchResult",
    "choose_device",
    "cosine",
    "environment",
    "free_name",
    "search",
    "stop_request",
    "torch_threads",
]
