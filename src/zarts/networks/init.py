"""Initial weights from a seed that leave torch's random state as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Inside, torch's default generator of the CPU starts from `seed`; afterwards it is as it was before.

    torch initialises weights from its default generator only, so callers build networks inside this block.

    Args:
        seed: the seed; None changes nothing.
    """
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs too
        yield
