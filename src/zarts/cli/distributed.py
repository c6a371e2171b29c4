"""Which of the ranks that torchrun has started says what."""

from __future__ import annotations

import os

__all__ = ["first", "first_here"]


def first() -> bool:
    """Whether this process is the one to show progress and results: rank 0, or the only process."""
    return _rank("RANK") == 0


def first_here() -> bool:
    """Whether this process is the one of its machine to show errors."""
    return _rank("LOCAL_RANK") == 0


def _rank(kind: str) -> int:
    return int(os.environ[kind]) if "TORCHELASTIC_RUN_ID" in os.environ else 0
