"""Processors and GPUs that tasks take."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Resources"]


@dataclass(frozen=True)
class Resources:
    """Processors and GPUs that tasks take.

    Args:
        jobs: tasks at a time; None: as many as the processors allow.
        threads: processors of a task.
        gpus: whether a task takes a GPU, if there are any.
    """

    jobs: int | None = None
    threads: int = 1
    gpus: bool = False

    def here(self) -> int:
        """Tasks at a time on this machine."""
        return self.jobs or max(1, (os.cpu_count() or 1) // self.threads)
