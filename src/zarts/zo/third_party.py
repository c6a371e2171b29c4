"""Optimisers of the packages cmaes and nevergrad, behind our ask and tell."""

from __future__ import annotations

import importlib
import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from zarts.errors import SettingsError, did_you_mean
from zarts.zo.base import Pending, Randomness, Step, Vector, ZeroOrderOptimizer
from zarts.zo.validation import check

__all__ = ["Cmaes", "ExternalOptimizer", "Nevergrad"]


class ExternalOptimizer(ZeroOrderOptimizer):
    """Wraps an optimiser of another library; x is the point that it recommends.

    The state is the library's seed and the losses that it was told. Loading starts the library again and repeats all
    asks and tells: this evaluates nothing, runs no code from the file, and ends with the same bits.

    Args:
        x: the start, shape (d,).
        generator: draws the library's seed; or a seed, see `ZeroOrderOptimizer`.
        samples: N, the points of one ask.
        sigma: standard deviation of the first points in each coordinate; the library adapts it.

    A loss that is not finite counts as much as the worst of the others. `Step.info` has spread, the standard deviation
    of the points' coordinates around x.

    Raises:
        SettingsError: a setting is out of its range, or the library is not installed.
    """

    def __init__(self, x: Vector, generator: Randomness = 0, *, samples: int = 8, sigma: float = 0.2) -> None:
        super().__init__(x, generator)
        check(samples >= 2, "samples", "a whole number >= 2", samples, "our MGS has 8")
        check(0 < sigma < math.inf, "sigma", "a number > 0", sigma, "0.2 suits alphas of order 1")
        self.samples, self.sigma = samples, sigma
        seed = int(torch.randint(2**31, (1,), generator=self.generator, device=self.generator.device))
        self._begin(self.x.clone(), seed)

    @abstractmethod
    def _start(self, point: Float[np.ndarray, " d"], seed: int) -> None:
        """Make a new optimiser of the library."""

    @abstractmethod
    def _ask(self) -> Float[np.ndarray, "n d"]:
        """Its next points."""

    @abstractmethod
    def _tell(self, losses: Sequence[float]) -> Float[np.ndarray, " d"]:
        """Tell it the losses of its last points; returns the point that it recommends now."""

    @abstractmethod
    def _weights(self, losses: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The weight of each point, not normalised."""

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
        weights = torch.where(losses.isfinite(), self._weights(losses), 0.0)
        spread = float(pending.perturbations.double().square().mean().sqrt())
        return Step(point - self.x, (weights / weights.sum()).to(self.x), {"spread": spread})

    def _learn(self, losses: Float[Tensor, " n"]) -> Float[np.ndarray, " d"]:
        self._told.append(losses)
        self._asked.append(0)
        worst = losses[losses.isfinite()].max()
        return self._tell(torch.where(losses.isfinite(), losses, worst).tolist())

    def state_dict(self) -> dict[str, Any]:
        """The state of every optimiser, and the asks and tells of the library so far."""
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


_LISTED = 'python -c "import nevergrad; print(sorted(nevergrad.optimizers.registry))"'


class Cmaes(ExternalOptimizer):
    """CMA-ES: x is the mean of a normal distribution whose covariance follows the best points.

    Source: Hansen, The CMA evolution strategy (2016), by the package `cmaes`, which has the settings of its section A
        but for the population, `samples`.
    """

    def __init__(self, x: Vector, generator: Randomness = 0, *, samples: int = 8, sigma: float = 0.2) -> None:
        check(samples >= 4, "samples", "a whole number >= 4", samples, "fewer have no better half to learn from")
        check(torch.as_tensor(x).shape != (1,), "x", "two coordinates or more", 1, "one has no covariance")
        super().__init__(x, generator, samples=samples, sigma=sigma)

    def _start(self, point: Float[np.ndarray, " d"], seed: int) -> None:
        library = _library("cmaes")
        self._engine = library.CMA(point, self.sigma, seed=seed, population_size=self.samples)

    def _ask(self) -> Float[np.ndarray, "n d"]:
        self._points = np.stack([self._engine.ask() for _ in range(self.samples)])
        return self._points

    def _tell(self, losses: Sequence[float]) -> Float[np.ndarray, " d"]:
        self._engine.tell(list(zip(self._points, losses, strict=True)))
        return np.asarray(self._engine.mean)

    def _weights(self, losses: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """log((N + 1) / 2) - log(rank) of the better half: the weights of the mean (eq. 49)."""
        ranks = losses.argsort(stable=True).argsort() + 1.0
        return (math.log((len(losses) + 1) / 2) - ranks.log()).clamp_min(0.0)


class Nevergrad(ExternalOptimizer):
    """An optimiser of the package `nevergrad`, by its name there; x is what it recommends.

    Nevergrad does not tell how it weighs points: `Step.weights` are uniform.

    Args:
        x: see `ExternalOptimizer`.
        generator: see there.
        name: for example `CMA`, `DE`, `PSO`, `TBPSA`, `OnePlusOne`.
        samples: see there.
        sigma: see there.

    Raises:
        SettingsError: nevergrad has no such optimiser, or it cannot give `samples` points at a time without a budget.

    Source: Bennet, Doerr, Moreau, Rapin, Teytaud and Teytaud, Nevergrad (SIGEVOlution 2021).
    """

    def __init__(
        self, x: Vector, generator: Randomness = 0, name: str = "CMA", *, samples: int = 8, sigma: float = 0.2
    ) -> None:
        self.name = name
        super().__init__(x, generator, samples=samples, sigma=sigma)

    def _start(self, point: Float[np.ndarray, " d"], seed: int) -> None:
        library = _library("nevergrad")
        if self.name not in library.optimizers.registry:
            raise SettingsError(did_you_mean("optimizer of nevergrad", self.name, library.optimizers.registry, _LISTED))

        def make() -> Any:
            space = library.p.Array(init=point).set_mutation(sigma=self.sigma)
            space.random_state = np.random.RandomState(seed)
            return library.optimizers.registry[self.name](space, budget=None, num_workers=self.samples)

        try:
            probe = make()
            with _quiet():
                for _ in range(self.samples):
                    probe.ask()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SettingsError(
                f"nevergrad's {self.name} cannot give {self.samples} points at a time without a budget ({reason}): "
                "take another, such as nevergrad:CMA"
            ) from None
        self._engine = make()

    def _ask(self) -> Float[np.ndarray, "n d"]:
        with _quiet():
            self._candidates = [self._engine.ask() for _ in range(self.samples)]
        return np.stack([candidate.value for candidate in self._candidates])

    def _tell(self, losses: Sequence[float]) -> Float[np.ndarray, " d"]:
        with _quiet():
            for candidate, loss in zip(self._candidates, losses, strict=True):
                self._engine.tell(candidate, loss)
            return np.asarray(self._engine.provide_recommendation().value)

    def _weights(self, losses: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return torch.ones_like(losses)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences a library's warnings of few points or large losses, which do not name the library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _library(name: str) -> Any:
    try:
        with _quiet():
            return importlib.import_module(name)
    except ImportError:
        raise SettingsError(f"arch_optimizer = {name} needs the package {name}: pip install 'zarts[zo]'") from None
