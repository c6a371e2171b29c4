"""Validation of settings, and the decay that MGS and GLD share."""

from __future__ import annotations

import math
from collections.abc import Iterable

from zarts.errors import SettingsError, did_you_mean

__all__ = ["DECAYS", "DECAY_FLOOR", "check", "check_choice", "decay"]

DECAYS = ("cosine", "constant")

DECAY_FLOOR = 0.005
"""The part of a decayed size that is left at the end. At 0 all points would be one and N(., 0) has no density.
The released schedule of ZARTS ends at 0.00616 of its start, so the floor changes none of its steps. The search loop is
one epoch ahead of it (see `decay`): of its 40 epochs only the last one, which would have 0.00154, is at the floor."""


def check(holds: bool, name: str, needs: str, got: object, way_out: str) -> None:
    """Refuse the setting `name` unless `holds`.

    Raises:
        SettingsError: `holds` is false.
    """
    if not holds:
        raise SettingsError(f"{name} needs {needs}, got {got!r}: {way_out}")


def check_choice(name: str, got: str, known: Iterable[str]) -> None:
    """Refuse a name that is not one of `known`.

    Raises:
        SettingsError: `got` is not one of them.
    """
    known = tuple(known)
    if got not in known:
        raise SettingsError(did_you_mean(name, got, known))


def decay(kind: str, progress: float) -> float:
    """The factor on sigma or on the radius: 1 at the start, `DECAY_FLOOR` at the end of `cosine`.

    Args:
        kind: one of `DECAYS`.
        progress: the part of the search that is done, in [0, 1].

    Source: released code of ZARTS, `cnn/utils.py`: (1 + cos(pi progress)) / 2.
    Differs: the floor; and the released loop steps its schedule after an epoch, so that its first two epochs after the
        warm-up have factor 1: our loop is one epoch ahead.
    """
    if kind == "constant":
        return 1.0
    return max((1 + math.cos(math.pi * progress)) / 2, DECAY_FLOOR)
