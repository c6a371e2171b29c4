"""The search loop and what a run needs: folder, checkpoint, events, device, schedules, signals."""

from __future__ import annotations

from zarts.engine.join import joined
from zarts.engine.launch import launch, ranks_here
from zarts.engine.loop import Driver, Job, Listener, Loop
from zarts.engine.meter import Meter
from zarts.engine.refusal import check_memory, readable
from zarts.engine.rehearsal import Forecast, Phase, Rehearsal
from zarts.engine.schedule import cosine
from zarts.engine.setup import augmentation, load_images, sgd

__all__ = [
    "Driver",
    "Forecast",
    "Job",
    "Listener",
    "Loop",
    "Meter",
    "Phase",
    "Rehearsal",
    "augmentation",
    "check_memory",
    "cosine",
    "joined",
    "launch",
    "load_images",
    "ranks_here",
    "readable",
    "sgd",
]
