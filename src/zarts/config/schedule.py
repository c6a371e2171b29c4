"""Settings of the course of a search: when alpha is updated, phases, early stopping."""

from __future__ import annotations

from zarts.config.base import PHASED, SUPERNET, UPDATING, Settings, setting
from zarts.config.types import Counts, Number, Shares, Whole
from zarts.methods import GRADIENT, ZERO_ORDER

__all__ = ["EarlyStoppingSettings", "PhaseSettings", "ScheduleSettings"]


class PhaseSettings(Settings):
    """Settings of phases, each of which has fewer operations than the one before."""

    phase_operations: Counts = setting(
        (),
        "operations kept on an edge in each phase after the first, by softmax(alpha); an edge with fewer keeps all",
        panel="Phases",
        used_by=PHASED,
    )
    phase_starts: Shares | None = setting(
        None,
        "start of each phase after the first, as a share of all epochs (default: phases of equal length)",
        panel="Phases",
        used_by=PHASED,
    )
    phase_cells: Counts | None = setting(
        None,
        "cells of the network in each phase (default: 5/8, 11/8, 17/8 … of `cells`; P-DARTS: 5, 11, 17)",
        panel="Phases",
        used_by=("restart",),
    )
    phase_warmup: float = setting(
        0.4,
        "share of each phase's epochs before the first update of alpha, instead of warmup_epochs (P-DARTS: 10 of 25)",
        panel="Phases",
        used_by=("restart",),
        otherwise=0.0,
        ge=0,
        lt=1,
    )
    skip_dropout: Shares = setting(
        (0.0,),
        "dropout on skips while weights train, at the start of a phase: one value for all phases, or one for each; it "
        "falls within a phase",
        panel="Phases",
        used_by=SUPERNET,
    )


class ScheduleSettings(Settings):
    """Settings of when alpha is updated."""

    warmup_epochs: Whole = setting(
        10, "epochs before the first update of alpha", panel="Search", used_by=UPDATING, otherwise=0, ge=0
    )
    arch_update_interval: Whole = setting(
        10, "weight steps from one alpha update to the next", panel="Search", used_by=UPDATING, ge=1
    )


class EarlyStoppingSettings(Settings):
    """When to compute the dominant eigenvalue, and when its growth ends a search."""

    eigenvalue_every: Whole = setting(
        0,
        "compute the dominant eigenvalue of the validation loss's Hessian in alpha every N epochs (0: never)",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        ge=0,
    )
    eigenvalue_growth: Number | None = setting(
        None,
        "early stopping: once the local mean of five eigenvalues is more than this many times that of four eigenvalues "
        "earlier, the search ends with the cell of that earlier epoch (RobustDARTS: 1.3; default: never)",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        gt=1,
    )
    eigenvalue_after: Whole = setting(
        10,
        "first epoch whose cell early stopping may return",
        panel="Architecture",
        used_by=(*ZERO_ORDER, *GRADIENT),
        ge=1,
    )
