"""The ranks that print: rank 0 shows progress and results, local rank 0 of every machine shows errors."""

from __future__ import annotations

import os

__all__ = ["is_local_rank_zero", "is_rank_zero"]


def is_rank_zero() -> bool:
    """Whether this process shows progress and results: it is rank 0, or torchrun has not started it."""
    return _rank("RANK") == 0


def is_local_rank_zero() -> bool:
    """Whether this process shows errors: it is local rank 0 of its machine, or torchrun has not started it."""
    return _rank("LOCAL_RANK") == 0


def _rank(kind: str) -> int:
    return int(os.environ[kind]) if "TORCHELASTIC_RUN_ID" in os.environ else 0
