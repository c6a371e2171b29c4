"""What tasks take of the machines that they run on."""

from __future__ import annotations

import os
from dataclasses import dataclass

__all__ = ["Room"]


@dataclass(frozen=True)
class Room:
    """What tasks take.

    Args:
        jobs: how many run at a time; None: as many as there are processors for.
        threads: how many processors each of them uses.
        gpus: whether each uses a GPU, where there are any.
    """

    jobs: int | None = None
    threads: int = 1
    gpus: bool = False

    def here(self) -> int:
        """How many run at a time on this machine."""
        return self.jobs or max(1, (os.cpu_count() or 1) // self.threads)
