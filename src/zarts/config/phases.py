"""The phases of a search, and the checks of the settings of its schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from zarts.config.settings import SearchSettings
from zarts.errors import SettingsError

__all__ = ["Phase", "conflicts_of_schedule", "first_epochs", "plan_phases"]

_DEPTH = 5 / 8, 6 / 8
_ROUNDING = 1e-9
_LEAST = 3  # fewest cells of a network in which two reduce


class Phase(NamedTuple):
    """One phase of a search.

    Args:
        first: its first epoch, counted from 0.
        epochs: how many it has.
        warmup: how many of these come before the first update of alpha.
        operations: largest number of operations on an edge; None: all.
        cells: of the network.
        skip_dropout: dropout on skips at its start.
    """

    first: int
    epochs: int
    warmup: int
    operations: int | None
    cells: int
    skip_dropout: float


def plan_phases(settings: SearchSettings) -> list[Phase]:
    """The phases of a search, in order.

    Raises:
        SettingsError: lists that do not fit together, or a phase too short for an update of alpha.
    """
    operations = (None, *(settings.phase_operations if settings.phases != "one" else ()))
    count = len(operations)
    cells = _cells(settings, count)
    starts = [*first_epochs(settings), settings.epochs]
    dropout = settings.skip_dropout if len(settings.skip_dropout) > 1 else settings.skip_dropout * count
    if len(dropout) != count:
        raise SettingsError(
            f"skip_dropout has {len(settings.skip_dropout)} values for a search of {count} phases: give one, or {count}"
        )
    phases = [
        Phase(first, end - first, _warmup(settings, first, end), kept, depth, rate)
        for (first, end), kept, depth, rate in zip(pairwise(starts), operations, cells, dropout, strict=True)
    ]
    for number, phase in enumerate(phases, start=1):
        if phase.epochs <= phase.warmup and count > 1:
            raise SettingsError(
                f"phase {number} of {count} has {phase.epochs} of {settings.epochs} epochs, all of them warm-up "
                f"({phase.warmup}): take more --epochs, or a shorter warm-up"
            )
    return phases


def _warmup(settings: SearchSettings, first: int, end: int) -> int:
    if settings.phases == "restart":
        return round(settings.phase_warmup * (end - first))
    return settings.warmup_epochs if first == 0 else 0


def first_epochs(settings: SearchSettings) -> list[int]:
    """The first epoch of each phase, counted from 0.

    Raises:
        SettingsError: lists that do not fit together.
    """
    if settings.phases == "one":
        return [0]
    kept, count = settings.phase_operations, 1 + len(settings.phase_operations)
    if not kept or any(after > before for before, after in pairwise(kept)):
        raise SettingsError(
            f"phase_operations = {list(kept)}: needs one number for each phase after the first, none larger than the "
            "one before it"
        )
    shares = settings.phase_starts or tuple(number / count for number in range(1, count))
    if len(shares) != count - 1 or any(after <= before for before, after in pairwise((0.0, *shares))):
        raise SettingsError(
            f"phase_starts = {list(shares)}: needs {count - 1} rising shares above 0, one for each phase after the "
            "first (phase_operations has their operations)"
        )
    return [0, *(math.ceil(share * settings.epochs - _ROUNDING) for share in shares)]


def _cells(settings: SearchSettings, count: int) -> list[int]:
    if settings.phases != "restart":
        return [settings.cells] * count
    if settings.phase_cells is None:
        start, step = _DEPTH
        return [max(round(settings.cells * (start + step * i)), min(settings.cells, _LEAST)) for i in range(count)]
    if len(settings.phase_cells) != count:
        raise SettingsError(
            f"phase_cells = {list(settings.phase_cells)}: needs {count} numbers, one for each phase "
            "(phase_operations has the operations of those after the first)"
        )
    return list(settings.phase_cells)


def conflicts_of_schedule(settings: SearchSettings) -> Iterator[str]:
    """What does not go together in the settings of a schedule, a message each."""
    yield from _conflicts_of_eigenvalues(settings)
    try:
        plan_phases(settings)
    except SettingsError as error:
        yield str(error)
    if settings.phases != "one" and settings.compile:
        yield (
            f"compile = True: phases = {settings.phases} runs fewer operations from phase to phase, and a "
            "compiled network runs all: leave --compile out"
        )


def _conflicts_of_eigenvalues(settings: SearchSettings) -> Iterator[str]:
    if settings.eigenvalue_every == 0:
        return
    if settings.relaxation != "softmax":
        yield (
            f"eigenvalue_every = {settings.eigenvalue_every}: with relaxation = {settings.relaxation}, which "
            f"draws, the loss has no Hessian in alpha: take --relaxation softmax, or --eigenvalue-every 0"
        )
    if settings.phases != "one":
        yield (
            f"eigenvalue_every = {settings.eigenvalue_every}: with phases = {settings.phases} the Hessian is of "
            "another space from phase to phase: take --phases one, or --eigenvalue-every 0"
        )
    if settings.compile:
        yield (
            f"eigenvalue_every = {settings.eigenvalue_every}: compiled networks have no second derivatives: "
            "leave --compile out, or take --eigenvalue-every 0"
        )
    if settings.eigenvalue_growth is not None and settings.select != "argmax":
        yield (
            f"eigenvalue_growth = {settings.eigenvalue_growth:g}: early stopping returns the cell of an earlier "
            f"epoch, and select = {settings.select} evaluates with the weights of the last one: take --select argmax, "
            "or --eigenvalue-every 0"
        )
