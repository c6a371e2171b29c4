"""What optimisers of other libraries have in common here: asked and told as ours, and resumed to the bit."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from zarts.zo.base import Pending, Step, ZeroOrderOptimizer
from zarts.zo.settings import check

__all__ = ["ExternalOptimizer"]


class ExternalOptimizer(ZeroOrderOptimizer):
    """Lets an optimiser of another library ask and tell; x is the point that it recommends.

    Its state is its seed and the losses that it was told: on loading it starts again and is asked and told the same,
    which takes its own time but no one else's, runs no code from the file, and ends with the same bits.

    Args:
        x: the start, shape (d,).
        generator: draws the library's seed.
        samples: N points an update.
        sigma: standard deviation of the first points in each coordinate; the library adapts it.

    A loss that is not finite counts as much as the worst of the others. `Step.info` has spread, the standard deviation
    of the points' coordinates around x.

    Raises:
        SettingsError: a setting is out of its range, or the library is not installed.
    """

    def __init__(self, x: Tensor, generator: torch.Generator, *, samples: int = 8, sigma: float = 0.2) -> None:
        super().__init__(x, generator)
        check(samples >= 2, "samples", "a whole number >= 2", samples, "8 are as many candidates as our MGS has")
        check(0 < sigma < math.inf, "sigma", "a number > 0", sigma, "0.2 suits alphas of order 1")
        self.samples, self.sigma = samples, sigma
        seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
        self._begin(self.x.clone(), seed)

    @abstractmethod
    def _start(self, point: Float[np.ndarray, " d"], seed: int) -> None:
        """Make the library's optimiser anew."""

    @abstractmethod
    def _ask(self) -> Float[np.ndarray, "n d"]:
        """Its next points."""

    @abstractmethod
    def _tell(self, losses: Sequence[float]) -> Float[np.ndarray, " d"]:
        """Tell it the losses of the points that it was last asked for; the point that it recommends now."""

    @abstractmethod
    def _say(self, losses: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The say of each point, not normalised."""

    @property
    def uses_gradient(self) -> bool:
        """Never."""
        return False

    @property
    def scale(self) -> float:
        """Sigma at the start."""
        return self.sigma

    def _begin(self, start: Tensor, seed: int) -> None:
        self._origin, self._seed = start, seed
        self._asked, self._told = [0], list[Tensor]()
        self._start(start.cpu().double().numpy(), seed)

    def _sample(self, scale: float, gradient: Float[Tensor, " d"]) -> Float[Tensor, "n d"]:
        self._asked[-1] += 1
        return torch.from_numpy(self._ask()).to(self.x) - self.x

    def _weigh(self, losses: Float[Tensor, " n"], pending: Pending) -> Step:
        point = torch.from_numpy(self._learn(losses)).to(self.x)
        weights = torch.where(losses.isfinite(), self._say(losses), 0.0)
        spread = float(pending.moves.double().square().mean().sqrt())
        return Step(point - self.x, (weights / weights.sum()).to(self.x), {"spread": spread})

    def _learn(self, losses: Float[Tensor, " n"]) -> Float[np.ndarray, " d"]:
        self._told.append(losses)
        self._asked.append(0)
        worst = losses[losses.isfinite()].max()
        return self._tell(torch.where(losses.isfinite(), losses, worst).tolist())

    def state_dict(self) -> dict[str, Any]:
        """As of every optimiser, and what it takes to ask and tell the library the same again."""
        record = {"origin": self._origin, "seed": self._seed, "asked": [*self._asked], "told": [*self._told]}
        return {**super().state_dict(), **record}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state of an optimiser with the same settings.

        Raises:
            RunError: the state is of another method or dimension.
        """
        super().load_state_dict(state)
        self._begin(state["origin"].to(self.x), state["seed"])
        for asks, losses in zip(state["asked"], [*state["told"], None], strict=True):
            for _ in range(asks):
                self._ask()
            self._asked[-1] = asks
            if losses is not None:
                self._learn(losses.cpu())
