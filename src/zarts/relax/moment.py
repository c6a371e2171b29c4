"""When and where alpha is relaxed."""

from __future__ import annotations

from typing import NamedTuple

import torch

from zarts.spaces import Space

__all__ = ["Moment"]


class Moment(NamedTuple):
    """What a relaxation may depend on beside alpha.

    Args:
        space: the space that alpha belongs to.
        generator: what it draws from, on the CPU, so that every device draws the same.
        progress: part of the search's epochs that are done: 0 in the first one, 1 in the last one.
    """

    space: Space
    generator: torch.Generator
    progress: float
