"""The end of a search before its last epoch: when the loss has become sharp where alpha is."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from torch import Tensor

from zarts.bilevel import Bilevel, dominant_eigenvalue
from zarts.config import SearchSettings
from zarts.data import Batches
from zarts.runtime.seed import keyed_generator
from zarts.spaces import Genotype

__all__ = ["EarlyStopping"]

_WINDOW = 5
_BEFORE = 4
"""Eigenvalues in a local mean, and how many of them lie between two local means that are compared."""


class EarlyStopping:
    """Keeps the dominant eigenvalues of a search, and says when it ends and with which genotype.

    The local mean at an eigenvalue is that of the five around it, or of those of them that there are before the first;
    when it is more than `eigenvalue_growth` times the local mean of four eigenvalues earlier, and that one is of epoch
    10 or later, the search ends with the genotype of that earlier epoch.

    Args:
        settings: how often an eigenvalue is had, and by which factor it may grow.

    Source: Zela et al., RobustDARTS (ICLR 2020), section 4.3 (DARTS-ES); numbers: its released code.
    Differs: local means below zero never grow; the code divides by them.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self._every, self._growth = settings.eigenvalue_every, settings.eigenvalue_growth
        self._after = settings.eigenvalue_after
        self._seed, self._batches = settings.seed, settings.val_batches
        self._values: dict[int, float] = {}
        self._genotypes: dict[int, dict[str, Any]] = {}
        self.chosen: int | None = None
        """The epoch, counted from 1, whose genotype the search has ended with; None: it has not ended early."""

    def measures(self, epoch: int, step: int, steps: int) -> bool:
        """Whether an eigenvalue is had before this step; epochs and steps count from 0.

        It is before an epoch's last step, while nothing has been changed, so that it can be interrupted.
        """
        return self._every > 0 and (epoch + 1) % self._every == 0 and step == steps - 1

    def measure(self, epoch: int, problem: Bilevel, alpha: Tensor, val: Batches) -> None:
        """The dominant eigenvalue where alpha is, always on the same images.

        Raises:
            Interrupted: `problem.check` asks to stop; it can be had again.
        """
        batches = [val[i] for i in range(self._batches)]
        start = keyed_generator(self._seed, "eigenvalue", epoch)
        with problem.ranks.together():
            value = dominant_eigenvalue(problem, alpha, batches, start)
        self.add(epoch + 1, problem.ranks.broadcast(value))

    def add(self, epoch: int, value: float) -> None:
        """The eigenvalue of an epoch, counted from 1."""
        self._values[epoch] = value

    def end_epoch(self, epoch: int, genotype: Genotype) -> dict[str, Any]:
        """What there is to be logged of an epoch, counted from 1: its eigenvalue, and whether the search ends."""
        if epoch not in self._values:
            return {}
        self._genotypes[epoch] = genotype.to_dict()
        self.chosen = self._before_the_growth()
        ended = {} if self.chosen is None else {"stopped": True, "genotype_of_epoch": self.chosen}
        return {"eigenvalue": self._values[epoch], **ended}

    @property
    def genotype(self) -> Genotype:
        """That of the epoch which has been chosen."""
        assert self.chosen is not None
        return Genotype.from_dict(self._genotypes[self.chosen])

    def _before_the_growth(self) -> int | None:
        """The epoch to go back to; None: the search goes on."""
        epochs, half = list(self._values), _WINDOW // 2
        now = len(epochs) - 1 - half
        before = now - _BEFORE
        if self._growth is None or before < 0 or epochs[before] < self._after:
            return None
        values = list(self._values.values())
        early, late = (fmean(values[max(0, i - half) : i + half + 1]) for i in (before, now))
        return epochs[before] if early > 0 and late > self._growth * early else None

    def state_dict(self) -> dict[str, Any]:
        """All of it, as plain data."""
        return {"values": dict(self._values), "genotypes": dict(self._genotypes), "chosen": self.chosen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._values, self._genotypes = dict(state["values"]), dict(state["genotypes"])
        self.chosen = state["chosen"]
