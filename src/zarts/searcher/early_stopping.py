"""Early stopping: the end of a search when the loss has become sharp at alpha."""

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
"""Eigenvalues in a local mean, and the distance between the two local means that are compared."""


class EarlyStopping:
    """Keeps the dominant eigenvalues of a search, and decides when it ends and with which genotype.

    The local mean at an eigenvalue is that of the five around it, of fewer near the first one. The search ends when a
    local mean is more than `eigenvalue_growth` times that of four eigenvalues earlier, and the earlier one is of epoch
    `eigenvalue_after` or later. The result is the genotype of the earlier epoch.

    Args:
        settings: how often to compute an eigenvalue, and by which factor it may grow.

    Source: Zela et al., RobustDARTS (ICLR 2020), section 4.3 (DARTS-ES); numbers: its released code.
    Differs: a negative local mean never counts as grown; the code divides by it.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self._every, self._growth = settings.eigenvalue_every, settings.eigenvalue_growth
        self._after = settings.eigenvalue_after
        self._seed, self._batches = settings.seed, settings.val_batches
        self._values: dict[int, float] = {}
        self._genotypes: dict[int, dict[str, Any]] = {}
        self.chosen: int | None = None
        """The epoch, counted from 1, whose genotype is the result; None: the search has not ended early."""

    def measures(self, epoch: int, step: int, steps: int) -> bool:
        """Whether to compute an eigenvalue before this step; epochs and steps count from 0.

        This is before the last step of an epoch, when nothing has been changed, so that it can be interrupted.
        """
        return self._every > 0 and (epoch + 1) % self._every == 0 and step == steps - 1

    def measure(self, epoch: int, problem: Bilevel, alpha: Tensor, val: Batches) -> None:
        """Compute the dominant eigenvalue at alpha, always on the same images.

        Raises:
            Interrupted: `problem.check` asks to stop; the computation can be repeated.
        """
        batches = [val[i] for i in range(self._batches)]
        start = keyed_generator(self._seed, "eigenvalue", epoch)
        with problem.ranks.together():
            value = dominant_eigenvalue(problem, alpha, batches, start)
        self.add(epoch + 1, problem.ranks.broadcast(value))

    def add(self, epoch: int, value: float) -> None:
        """Keep the eigenvalue of an epoch, counted from 1."""
        self._values[epoch] = value

    def end_epoch(self, epoch: int, genotype: Genotype) -> dict[str, Any]:
        """The record of an epoch, counted from 1, for the log: its eigenvalue, and whether the search ends."""
        if epoch not in self._values:
            return {}
        self._genotypes[epoch] = genotype.to_dict()
        self.chosen = self._before_the_growth()
        ended = {} if self.chosen is None else {"stopped": True, "genotype_of_epoch": self.chosen}
        return {"eigenvalue": self._values[epoch], **ended}

    @property
    def genotype(self) -> Genotype:
        """The genotype of the chosen epoch."""
        assert self.chosen is not None
        return Genotype.from_dict(self._genotypes[self.chosen])

    def _before_the_growth(self) -> int | None:
        """The epoch whose genotype is the result; None: the search goes on."""
        epochs, half = list(self._values), _WINDOW // 2
        now = len(epochs) - 1 - half
        before = now - _BEFORE
        if self._growth is None or before < 0 or epochs[before] < self._after:
            return None
        values = list(self._values.values())
        early, late = (fmean(values[max(0, i - half) : i + half + 1]) for i in (before, now))
        return epochs[before] if early > 0 and late > self._growth * early else None

    def state_dict(self) -> dict[str, Any]:
        """The state, as plain data."""
        return {"values": dict(self._values), "genotypes": dict(self._genotypes), "chosen": self.chosen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._values, self._genotypes = dict(state["values"]), dict(state["genotypes"])
        self.chosen = state["chosen"]
