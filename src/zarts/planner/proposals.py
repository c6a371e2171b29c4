"""New networks to train, proposed by a zero-order optimiser that moves a vector of the space."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from zarts.errors import SettingsError, did_you_mean
from zarts.planner.chain_space import ChainSpace
from zarts.planner.chain_words import chain_key
from zarts.spaces import Chain
from zarts.zo import OPTIMIZERS, ZeroOrderOptimizer

__all__ = ["Fit", "Point", "Proposals"]

Point = tuple[Chain, int]
"""A network and its image size, pixels a side."""

Fit = Callable[[Chain, int, float], Chain | None]
"""The network scaled to that share of the limits; None: nothing of its form fits."""

_ROWS = 48  # points of one ask, of which the first new ones are taken
_TRIES = 20  # asks until there are enough new ones
_SPREAD = 1.3  # standard deviation of a coordinate for methods with a normal distribution: two or three changes


class Proposals:
    """Asks an optimiser for vectors, hands out the new networks among them, and tells it their losses.

    All losses are of one length of training. An optimiser asks for a fixed number of points, most of which are no
    news. A point whose network is known has the known loss. One that is invalid, or that nobody evaluates, has the
    loss infinity: for `gld`, `mgs` and `rs` it does not count, so they ask for many and the first new ones are
    evaluated. `cmaes` and `nevergrad` rank all their points: each one is handed out before they are told, and an
    invalid one is the worst.

    - `gld`: direct search. Perturbations of four lengths between `ChainSpace.radii`; the best network, if it is better
      than the incumbent, becomes it, encoded anew, so that a perturbation of it changes as much as of any other.
    - `mgs`: moves by a weighted mean of Gaussian samples. `rs`: along an estimate of the gradient from losses in units
      of their standard deviation around their mean, by a third of a perturbation where eight are evaluated.
    - `random`: valid points of `ChainSpace.random`, whatever is told: the baseline.

    Args:
        space: of the points.
        starts: points with their losses; the best one that is in the space is where the search begins.
        optimizer: a key of `zarts.zo.OPTIMIZERS`, or `random`.
        seed: the same seed, asks and losses give the same points.
        fit: scales a proposed network to the limits; None: it stays as it is. What it returns is what is handed out.
        share: of the limits that the best start uses; what `random` draws uses no less than half of it, or a quarter.
        samples: points of one ask of `cmaes` and `nevergrad`, at least 4.

    Raises:
        SettingsError: the optimiser is unknown, or no start in the space has a finite loss.
    """

    def __init__(
        self,
        space: ChainSpace,
        starts: Sequence[tuple[Point, float]],
        optimizer: str = "gld",
        seed: int = 0,
        *,
        fit: Fit | None = None,
        share: float = 1.0,
        samples: int = 8,
    ) -> None:
        if optimizer not in (*OPTIMIZERS, "random"):
            raise SettingsError(did_you_mean("optimizer", optimizer, [*OPTIMIZERS, "random"]))
        known = [(loss, at) for at, (point, loss) in enumerate(starts) if math.isfinite(loss) and space.has(*point)]
        if not known:
            raise SettingsError(
                f"starts are {len(starts)}, none of the space with a finite loss: train one network at least"
            )
        self.space, self.optimizer, self.fit, self.samples = space, optimizer, fit, samples
        self._generator = torch.Generator().manual_seed(seed)
        self._losses = {chain_key(*point): float(loss) for point, loss in starts}
        self._seen = set(self._losses)
        self._asked = list[str]()
        self._rows = list[str | None]()
        self._members: list[ZeroOrderOptimizer] = []
        self._waiting: list[Point] = []
        self._networks: list[tuple[Chain, int, float] | None] = []
        self._octaves = max(2.0, 1 - math.log2(share))  # of shares that are drawn at random
        self._begin(starts[min(known)[1]][0], share)

    @property
    def ranks_all(self) -> bool:
        """Whether the optimiser is only told when all its points are evaluated."""
        return self.optimizer in ("cmaes", "nevergrad")

    def ask(self, n: int) -> list[Point]:
        """At most `n` new points: valid and never handed out, started from or told of before.

        Fewer where an optimiser that ranks all its points has fewer left, or where none is found in many tries.
        """
        waiting = self._waiting or (self._draw(n) if self._members else self._random(n))
        points, self._waiting = waiting[:n], waiting[n:]
        self._asked = [chain_key(*point) for point in points]
        self._seen.update(self._asked)
        return points

    def tell(self, points: Sequence[Point], losses: Sequence[float]) -> None:
        """Losses of the points of the last `ask`, and of any others of the same length.

        A point of the last ask that is left out, or has a loss that is not finite, counts as one that failed.
        """
        told = {chain_key(*point): float(loss) for point, loss in zip(points, losses, strict=True)}
        self._losses |= {key: math.inf for key in self._asked if key not in told} | told
        self._seen |= told.keys()
        self._asked = []
        self._waiting = [point for point in self._waiting if chain_key(*point) not in self._seen]
        if not self._rows or self._waiting:
            return
        rows, self._rows = self._rows, []
        values = [math.inf if key is None else self._losses.get(key, math.inf) for key in rows]
        if not any(math.isfinite(value) for value in values):
            return  # nothing was learnt: the next ask draws anew
        each = len(values) // len(self._members)
        for number, member in enumerate(self._members):
            part = values[number * each : (number + 1) * each]
            member.tell(_standardized(part) if self.optimizer == "rs" else part)
        best = min(range(len(values)), key=values.__getitem__)
        found = self._networks[best]
        if self.optimizer == "gld" and found and values[best] < values[0]:
            self._begin(found[:2], found[2])

    def _begin(self, point: Point, share: float) -> None:
        """Stand at a network with new optimisers."""
        self._start, self._centre = point, self.space.encode(*point, share)
        self._waiting, self._networks, self._members = [], [], []
        x, generator, d = self._centre, self._generator, len(self._centre)
        make: Callable[..., ZeroOrderOptimizer] | None = OPTIMIZERS.get(self.optimizer)
        if make is None:
            return
        least, most = self.space.radii
        if self.optimizer == "gld":
            for number in range(_ROWS):
                radius = least * (most / least) ** (number % 4 / 3)
                self._members.append(make(x, generator, radius_max=radius, radius_min=radius, radius_decay="constant"))
        elif self.optimizer == "mgs":
            settings = {"mixture_lambda": 1.0, "antithetic": False, "sigma_decay": "constant"}
            self._members.append(make(x, generator, samples=_ROWS, sigma=_SPREAD, **settings))
        elif self.optimizer == "rs":
            reach = _SPREAD * math.sqrt(d)
            settings = {"smoothing": reach, "arch_learning_rate": reach**2 / d}
            self._members.append(make(x, generator, samples=_ROWS, estimator="one-point", **settings))
        else:
            self._members.append(make(x, generator, samples=self.samples, sigma=_SPREAD))

    def _draw(self, n: int) -> list[Point]:
        """Ask until `n` new networks are among the points, or the tries are used up; the last ask counts."""
        wanted = min(n, self.samples) if self.ranks_all else n
        fresh = dict[str, Point]()
        for _ in range(_TRIES):
            self._rows, self._networks, fresh = [], [], {}
            for x in torch.cat([member.ask() for member in self._members]):
                enough = not self.ranks_all and len(fresh) >= wanted  # the others do not count
                found = None if enough and not torch.equal(x, self._centre) else self._fitted(x)
                key = chain_key(*found[:2]) if found else None
                if found and key and key not in self._seen:
                    if self.space.valid(*found[:2]):
                        fresh[key] = found[:2]
                    else:
                        key = None
                self._rows.append(key)
                self._networks.append(found)
            if len(fresh) >= wanted:
                break
        return list(fresh.values())

    def _fitted(self, x: Tensor) -> tuple[Chain, int, float] | None:
        """The network of a vector within the limits, its image size and share; None: nothing of its form fits."""
        share = self.space.share(x)
        if torch.equal(x, self._centre):
            return *self._start, share
        chain, size = self.space.decode(x)
        fitted = chain if self.fit is None else self.fit(chain, size, share)
        return None if fitted is None else (fitted, size, share)

    def _random(self, n: int) -> list[Point]:
        found = dict[str, Point]()
        for _ in range(_TRIES * n):
            chain, size = self.space.random(self._generator)
            share = 2 ** (-self._octaves * float(torch.rand(1, generator=self._generator)))
            fitted = chain if self.fit is None else self.fit(chain, size, share)
            key = None if fitted is None else chain_key(fitted, size)
            if fitted and key and key not in self._seen and self.space.valid(fitted, size):
                found[key] = (fitted, size)
            if len(found) == n:
                break
        return list(found.values())


def _standardized(values: Sequence[float]) -> list[float]:
    """In units of their standard deviation around their mean, by the finite ones; all 0 where those are equal."""
    finite = [value for value in values if math.isfinite(value)]
    spread = statistics.pstdev(finite) or 1.0
    return [(value - statistics.fmean(finite)) / spread if math.isfinite(value) else value for value in values]
