"""CMA-ES by the package `cmaes`, and the optimisers of the package `nevergrad`."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from zarts.errors import SettingsError, unknown
from zarts.zo.external import ExternalOptimizer
from zarts.zo.settings import check

__all__ = ["Cmaes", "Nevergrad"]

_LISTED = 'python -c "import nevergrad; print(sorted(nevergrad.optimizers.registry))"'


class Cmaes(ExternalOptimizer):
    """CMA-ES: x is the mean of a normal distribution whose covariance follows the best points.

    Source: Hansen, The CMA evolution strategy (2016), by the package `cmaes`, which has the settings of its section A
        but for the population, `samples`.
    """

    def __init__(self, x: Tensor, generator: torch.Generator, *, samples: int = 8, sigma: float = 0.2) -> None:
        check(samples >= 4, "samples", "a whole number >= 4", samples, "fewer have no better half to learn from")
        check(x.dim() != 1 or len(x) != 1, "x", "two coordinates or more", len(x), "one has no covariance")
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

    def _say(self, losses: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """log((N + 1) / 2) - log(rank) of the better half: those of the mean (eq. 49)."""
        ranks = losses.argsort(stable=True).argsort() + 1.0
        return (math.log((len(losses) + 1) / 2) - ranks.log()).clamp_min(0.0)


class Nevergrad(ExternalOptimizer):
    """An optimiser of the package `nevergrad`, by its name there; x is what it recommends.

    It says nothing of the say of its points: `Step.weights` are uniform.

    Args:
        x: see `ExternalOptimizer`.
        generator: see there.
        name: for example `CMA`, `DE`, `PSO`, `TBPSA`, `OnePlusOne`.
        samples: see there.
        sigma: see there.

    Raises:
        SettingsError: there is none of that name, or it cannot give `samples` points at a time without a budget.

    Source: Bennet, Doerr, Moreau, Rapin, Teytaud and Teytaud, Nevergrad (SIGEVOlution 2021).
    """

    def __init__(
        self, x: Tensor, generator: torch.Generator, name: str = "CMA", *, samples: int = 8, sigma: float = 0.2
    ) -> None:
        self.name = name
        super().__init__(x, generator, samples=samples, sigma=sigma)

    def _start(self, point: Float[np.ndarray, " d"], seed: int) -> None:
        library = _library("nevergrad")
        if self.name not in library.optimizers.registry:
            raise SettingsError(unknown("optimizer of nevergrad", self.name, library.optimizers.registry, _LISTED))

        def make() -> Any:
            space = library.p.Array(init=point).set_mutation(sigma=self.sigma)
            space.random_state = np.random.RandomState(seed)
            return library.optimizers.registry[self.name](space, budget=None, num_workers=self.samples)

        try:
            trial = make()
            with _quiet():
                for _ in range(self.samples):
                    trial.ask()
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SettingsError(
                f"nevergrad's {self.name} cannot give {self.samples} points at a time, of a search without a budget "
                f"({reason}): take another, such as nevergrad:CMA"
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

    def _say(self, losses: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        return torch.ones_like(losses)


@contextmanager
def _quiet() -> Iterator[None]:
    """A library's warnings, of few points or large losses, would not say which library they are of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _library(name: str) -> Any:
    try:
        with _quiet():
            return importlib.import_module(name)
    except ImportError:
        raise SettingsError(f"update {name} needs the package {name}: pip install 'zarts[zo]'") from None
