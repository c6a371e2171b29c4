"""The search loop and what a run needs: folder, checkpoint, events, device, schedules, signals."""

from __future__ import annotations

from zarts.engine.join import joined
from zarts.engine.launch import launch, ranks_here

__all__ = [
    "joined",
    "launch",
    "ranks_here",
]
