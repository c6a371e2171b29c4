"""The phases of a search: the operations that are left, and the schedules of an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.arch_optim import ARCH_OPTIMIZERS, ArchOptimizer
from zarts.config import Phase, SearchSettings, plan_phases
from zarts.methods import member
from zarts.relax import Matrices, Parameterization
from zarts.runtime.seed import keyed_generator
from zarts.spaces import Genotype, Space, Subspace
from zarts.training.lr_schedule import cosine

__all__ = ["DROPPED", "Pace", "Phases", "start_arch_optimizer"]


DROPPED = -1e3
"""Logged as the alpha of a dropped operation: its softmax beside any other operation is 0."""

_FORGOTTEN = 1e-6
_FALL = 3.0


class Pace(NamedTuple):
    """The schedules of an epoch.

    Args:
        learning_rate: of the weights.
        progress: how far the epoch is from the first to the last one, in [0, 1]: e / (E - 1) in epoch e of E, from 0.
        elapsed: part of the epochs that are done when it begins: e / E.
        annealed: the same, from the end of the warm-up.
        updates_alpha: whether alpha is updated.
        drop_path: probability that an edge is dropped for an image; it grows like `progress`, as in RobustDARTS' code.
        skip_dropout: probability that an element of an identity's output is dropped.
    """

    learning_rate: float
    progress: float
    elapsed: float
    annealed: float
    updates_alpha: bool
    drop_path: float
    skip_dropout: float


class Phases:
    """Drops the weakest operations of each edge from phase to phase.

    With `restart`, each phase is a search of its own: weights, alpha, schedules and the warm-up start anew. With
    `prune`, weights and alpha go on, and schedules span the whole search.

    The settings say how many operations an edge keeps; an edge that has fewer keeps all. P-DARTS' published 8, 5, 3 are
    7, 5, 3 in `darts`, 5, 5, 3 in `nasbench201` and always 3 or 2 in `s1` to `s4`, where only the network grows; its
    last drop, to one operation, is the derivation at the end. P-ZARTS' 7, 4, 2, 1 are 3, 3, 2, 1 or 2, 2, 2, 1.

    Args:
        settings: name the phases.
        space: the whole space.

    Source: `restart`: Chen et al., P-DARTS (ICCV 2019); `prune`: P-ZARTS (ZARTS, NeurIPS 2022, supplementary 2.6).
    Differs: P-DARTS' code clips the gradient in alpha, on whose size Adam's steps hardly depend. With `prune`, an arch
        optimizer with a memory of earlier steps (Adam's moments, CMA-ES) starts anew with the alpha that is left.
    """

    def __init__(self, settings: SearchSettings, space: Space) -> None:
        self._settings, self._plan = settings, plan_phases(settings)
        self.space = space
        """The whole space."""
        self._most = max(ops for _, ops in space.shapes.values())
        self.restart = settings.phases == "restart"
        self.count = len(self._plan)
        """Number of phases."""
        self.number = 0
        """The present phase, counted from 0."""
        self._enter(Subspace.all_of(space))
        self._before: dict[str, Tensor] | None = None

    def _enter(self, part: Subspace) -> None:
        self.part = part
        """The operations that are left."""
        self.parameterization = Parameterization(part.space, self._settings.edge_normalization)
        """The layout of the present phase's alpha."""

    @property
    def present(self) -> Phase:
        """The present phase."""
        return self._plan[self.number]

    def due(self, epoch: int) -> bool:
        """Whether the next phase has begun by this epoch."""
        return self.number + 1 < self.count and epoch >= self._plan[self.number + 1].first

    def step_suffix(self, epoch: int) -> str:
        """What sets the cost of an epoch's steps apart, as text: the phase, and whether outputs are dropped."""
        pace = self.pace(epoch)
        drop = " with outputs dropped" if pace.drop_path > 0 or pace.skip_dropout > 0 else ""
        return drop + ("" if self.count == 1 else f", phase {self.number_of(epoch) + 1} of {self.count}")

    def record(self) -> dict[str, Any]:
        """For the log: the present phase, its depth, and the operations that are left on each edge."""
        left = {kind: [list(ops) for ops in edges] for kind, edges in self.part.space.candidates.items()}
        return {"phase": self.number + 1, "phases": self.count, "cells": self.present.cells, "operations": left}

    def number_of(self, epoch: int) -> int:
        """The phase of an epoch, counted from 0."""
        return sum(phase.first <= epoch for phase in self._plan) - 1

    def advance(
        self, alpha: Float[Tensor, " d"], derive: Callable[[Matrices], Genotype]
    ) -> Float[Tensor, " smaller_d"]:
        """Enter the next phase; returns the alpha of the operations that are left.

        Args:
            alpha: of the present phase.
            derive: derives a genotype from strengths in the whole space.
        """
        strengths, old, before = self.strengths(alpha), self.part, self.parameterization
        self.number += 1
        count = self.present.operations
        assert count is not None
        self._enter(old.strongest(strengths, count, derive(strengths)))
        self._before = {kind: matrix.detach().cpu() for kind, matrix in strengths.items()}
        kept = self.part.space.flatten(self.part.gather(old.scatter(before.operations(alpha))))
        return torch.cat([kept, *before.edges(alpha).values()])

    def strengths(self, alpha: Float[Tensor, " d"]) -> Mapping[str, Float[Tensor, "_ _"]]:
        """The strength of every operation of the whole space: `Parameterization.strengths` of those that are left.

        If one operation is left on each edge, all strengths are those of before the last drop, which still rank the
        edges. Otherwise a dropped operation has a millionth of its strength before the drop: it is only chosen where
        nothing else is within the limits.
        """
        now = self.parameterization.strengths(alpha)
        if self._before is None:
            return now
        mask, wide = self.part.mask(), self.part.scatter(now)
        found = {}
        for kind, before in self._before.items():
            before = before.to(wide[kind])
            alone = now[kind].shape[1] == 1 < before.shape[1]
            found[kind] = (
                before if alone else torch.where(mask[kind].to(before.device), wide[kind], _FORGOTTEN * before)
            )
        return found

    def whole(self, alpha: Float[Tensor, " d"]) -> dict[str, Float[Tensor, "_ _"]]:
        """Alpha in the whole space; `DROPPED` for what has been dropped."""
        return self.part.scatter(self.parameterization.operations(alpha), DROPPED)

    def pace(self, epoch: int) -> Pace:
        """The schedules of an epoch, of the present phase or another."""
        settings, phase = self._settings, self._plan[self.number_of(epoch)]
        first, epochs = (phase.first, phase.epochs) if self.restart else (0, settings.epochs)
        done, warmup = epoch - first, phase.warmup if self.restart else settings.warmup_epochs
        left = self._most if phase.operations is None else min(phase.operations, self._most)
        decides = self.count == 1 or left > 1
        progress, elapsed = done / max(1, epochs - 1), done / epochs
        return Pace(
            cosine(settings.learning_rate, settings.learning_rate_min, elapsed),
            progress,
            elapsed,
            max(0, done - warmup) / max(1, epochs - warmup),
            settings.arch_optimizer != "none" and done >= warmup and decides,
            settings.drop_path * progress,
            _dropout(phase, epoch - phase.first) if phase.skip_dropout > 0 else 0.0,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next steps depend on."""
        return {"number": self.number, "kept": dict(self.part.kept), "before": self._before}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.number, before = state["number"], state["before"]
        self._enter(Subspace(self.space, {kind: kept.cpu() for kind, kept in state["kept"].items()}))
        self._before = None if before is None else {kind: matrix.cpu() for kind, matrix in before.items()}


def _dropout(phase: Phase, done: int) -> float:
    """Dropout on identities falls within a phase: p (E - e - 1) / E in the warm-up, then exponentially from p.

    Source: Chen et al., P-DARTS (ICCV 2019), released code: by exp(-0.2) an epoch, in 15 epochs.
    Differs: by exp(-3) in all, in any number of epochs.
    """
    if done < phase.warmup:
        return phase.skip_dropout * (phase.epochs - done - 1) / phase.epochs
    return phase.skip_dropout * math.exp(-_FALL * (done - phase.warmup) / (phase.epochs - phase.warmup))


def start_arch_optimizer(
    settings: SearchSettings, phases: Phases, device: torch.device, alpha: Tensor | None = None
) -> ArchOptimizer:
    """The arch optimizer of the present phase.

    Args:
        settings: the settings.
        phases: give the present phase.
        device: device of alpha.
        alpha: the start; None: it is drawn.
    """
    phase = [phases.number] if phases.number else []
    if alpha is None:
        draws = keyed_generator(settings.seed, "alpha", *phase)
        alpha = phases.parameterization.draw(draws)
    generator = keyed_generator(settings.seed, "update", *phase, device=device)
    return ARCH_OPTIMIZERS[member(settings.arch_optimizer)](settings, alpha.to(device), generator)
