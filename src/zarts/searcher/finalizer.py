"""From the present state of a search to a genotype."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from torch import Tensor

from zarts.arch_optim import ArchOptimizer
from zarts.bilevel import Bilevel, evaluate
from zarts.config import SearchSettings, keywords
from zarts.data import Batches
from zarts.limits import Constraints
from zarts.methods import JUDGING
from zarts.runtime.seed import keyed_generator
from zarts.searcher.phases import Phases
from zarts.select import SELECTIONS, Selected, SelectionContext
from zarts.spaces import Genotype

__all__ = ["Finalizer"]


class Finalizer:
    """Lets the selection of the settings look at a search; what it draws and looks at follows from the seed.

    Args:
        settings: name the selection.
        constraints: the genotypes of which one is to be chosen.
        update: owns alpha.
        phases: how strong operations are by alpha, and which ones are left.
        network: the weights that all architectures share; its points are operation weights.
        train: batches that the weights are trained on.
        images: makes the batches that are judged, all in order.
        fresh: makes a deeper network of its own, with the weights that a number stands for.
    """

    def __init__(
        self,
        settings: SearchSettings,
        constraints: Constraints,
        update: ArchOptimizer,
        phases: Phases,
        network: Bilevel,
        train: Batches,
        images: Callable[[], Batches],
        fresh: Callable[[int], Bilevel],
    ) -> None:
        self._settings, self._constraints, self._arch_optimizer, self._network = settings, constraints, update, network
        self._phases, self._train, self._images, self._fresh = phases, train, images, fresh
        self.judges = settings.select in JUDGING

    def of_epoch(self, epochs: int) -> Genotype:
        """The genotype after so many epochs.

        A selection that judges takes too long to be made after each: its place is taken by what alpha alone says or,
        where nothing moves alpha, by a cell drawn uniformly.
        """
        interim = "random" if self._settings.arch_optimizer == "none" else "argmax"
        return self._select(interim if self.judges else self._settings.select, epochs).genotype

    def final(self) -> Selected:
        """The genotype that the search ends with; everything is as before afterwards, also when it raises."""
        with self._network.preserved():
            return self._select(self._settings.select, self._settings.epochs)

    def _select(self, name: str, epochs: int) -> Selected:
        function = SELECTIONS[name]
        further = itertools.count(epochs * len(self._train))

        def tune(weights: Tensor, steps: int) -> None:
            for _ in range(steps):
                with self._network.ranks.together():
                    self._network.check()
                self._network.weight_step(weights.to(self._arch_optimizer.alpha), self._train[next(further)])

        def early(points: Tensor, steps: int) -> Tensor:
            global_step = next(further)  # another one at each call
            batches = [self._train[global_step + i] for i in range(steps)]
            next(itertools.islice(further, steps, steps), None)
            return evaluate(
                self._fresh(global_step), points.to(self._arch_optimizer.alpha), batches, (), judge="training"
            )

        trained = SelectionContext(
            self._constraints,
            self._phases.strengths(self._arch_optimizer.alpha),
            keyed_generator(self._settings.seed, "select", epochs),
            lambda generator: self._arch_optimizer.sample(self._phases.part.space, generator),
            self._judge,
            tune,
            early,
            self._phases.parameterization.betas(self._arch_optimizer.alpha),
        )
        return function(trained, **keywords(function, self._settings))

    def _judge(self, points: Tensor) -> Tensor:
        points, batches, settings = points.to(self._arch_optimizer.alpha), list(self._images()), self._settings
        first = settings.epochs * len(self._train)
        return evaluate(
            self._network,
            points,
            (),
            batches,
            recalibration=[self._train[first + i] for i in range(settings.select_recalibration)],
            batch_norm=settings.select_batch_norm,
            judge=settings.select_metric,
        )
