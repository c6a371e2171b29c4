"""The finalizer: from the present state of a search to a genotype."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from torch import Tensor

from zarts.arch_optim import ArchOptimizer
from zarts.bilevel import Bilevel, evaluate
from zarts.config import SearchSettings, keywords
from zarts.data import Batches
from zarts.limits import Constraints
from zarts.methods import EVALUATING
from zarts.runtime.seed import keyed_generator
from zarts.searcher.phases import Phases
from zarts.select import SELECTIONS, Selected, SelectionContext
from zarts.spaces import Genotype

__all__ = ["Finalizer"]


class Finalizer:
    """Applies the selection of the settings to a search; its random draws and its images depend on the seed alone.

    Args:
        settings: name the selection.
        constraints: the genotypes to choose from.
        arch_optimizer: owns alpha.
        phases: give the strengths of operations by alpha, and the operations that are left.
        network: the weights that all architectures share, as a function of operation weights.
        train: batches that the weights are trained on.
        images: makes the batches that candidates are evaluated on.
        new_network: makes a deeper network of its own, with initial weights drawn from a number.
    """

    def __init__(
        self,
        settings: SearchSettings,
        constraints: Constraints,
        arch_optimizer: ArchOptimizer,
        phases: Phases,
        network: Bilevel,
        train: Batches,
        images: Callable[[], Batches],
        new_network: Callable[[int], Bilevel],
    ) -> None:
        self._settings, self._constraints, self._phases = settings, constraints, phases
        self._arch_optimizer, self._network, self._new_network = arch_optimizer, network, new_network
        self._train, self._images = train, images
        self.evaluates = settings.select in EVALUATING

    def of_epoch(self, epochs: int) -> Genotype:
        """The genotype after a number of epochs.

        A selection that evaluates candidates would take too long after each epoch. Instead, this is the strongest
        genotype by alpha, or a random one where nothing updates alpha.
        """
        interim = "random" if self._settings.arch_optimizer == "none" else "argmax"
        return self._select(interim if self.evaluates else self._settings.select, epochs).genotype

    def final(self) -> Selected:
        """The genotype that the search ends with; the network is restored afterwards, also after an error."""
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

        def early(weights: Tensor, steps: int) -> Tensor:
            global_step = next(further)  # another one at each call, which also gives the networks their weights
            batches = [self._train[global_step + i] for i in range(steps)]
            next(itertools.islice(further, steps, steps), None)
            network = self._new_network(global_step)
            return evaluate(network, weights.to(self._arch_optimizer.alpha), batches, (), metric="training")

        context = SelectionContext(
            self._constraints,
            self._phases.strengths(self._arch_optimizer.alpha),
            keyed_generator(self._settings.seed, "select", epochs),
            lambda generator: self._arch_optimizer.sample(self._phases.part.space, generator),
            self._evaluate,
            tune,
            early,
            self._phases.parameterization.betas(self._arch_optimizer.alpha),
        )
        return function(context, **keywords(function, self._settings))

    def _evaluate(self, weights: Tensor) -> Tensor:
        weights, batches, settings = weights.to(self._arch_optimizer.alpha), list(self._images()), self._settings
        first = settings.epochs * len(self._train)
        return evaluate(
            self._network,
            weights,
            (),
            batches,
            recalibration=[self._train[first + i] for i in range(settings.select_recalibration)],
            batch_norm=settings.select_batch_norm,
            metric=settings.select_metric,
        )
