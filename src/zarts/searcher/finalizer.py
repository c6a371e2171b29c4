"""The finalizer: from the present state of a search to a genotype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from zarts.arch_optim import ArchOptimizer
from zarts.bilevel import ERROR, Batch, Bilevel, Evaluator
from zarts.config import SearchSettings
from zarts.limits import Constraints
from zarts.methods import EVALUATING
from zarts.runtime.seed import keyed_generator
from zarts.searcher.halves import Halves
from zarts.searcher.phases import Phases
from zarts.searcher.selections import select
from zarts.select import Selected, SelectionContext
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
        images: batches that weights are trained on, and those that candidates are evaluated on.
        new_network: makes a deeper network of its own, with initial weights drawn from a number.
    """

    def __init__(
        self,
        settings: SearchSettings,
        constraints: Constraints,
        arch_optimizer: ArchOptimizer,
        phases: Phases,
        network: Bilevel,
        images: Halves,
        new_network: Callable[[int], Bilevel],
    ) -> None:
        self._settings, self._constraints, self._phases = settings, constraints, phases
        self._arch_optimizer, self._network, self._new_network = arch_optimizer, network, new_network
        self._train, self._images, self._next_step = images.train, images, 0
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
        alpha = self._arch_optimizer.alpha
        self._next_step = epochs * len(self._train)
        context = SelectionContext(
            self._constraints,
            self._phases.strengths(alpha),
            keyed_generator(self._settings.seed, "select", epochs),
            self._sample,
            self._evaluate,
            self._tune,
            self._train_early,
            self._phases.parameterization.betas(alpha),
        )
        return select(name, context, self._settings)

    def _sample(self, generator: torch.Generator) -> Genotype:
        return self._arch_optimizer.sample(self._phases.part.space, generator)

    def _evaluate(self, weights: Tensor) -> Tensor:
        """The metric of each candidate `(n, d)` on the selection's images, under the shared weights."""
        settings, first = self._settings, self._settings.epochs * len(self._train)
        objectives = {"objective": self._network.objective, "loss": None, "accuracy": ERROR}
        evaluator = Evaluator(
            replace(self._network, objective=objectives[settings.select_metric]),
            batch_norm=settings.select_batch_norm,
            recalibration=[self._train[first + i] for i in range(settings.select_recalibration)],
        )
        images = list(self._images.selection())
        return evaluator.evaluate(weights.to(self._arch_optimizer.alpha), (), images).values

    def _tune(self, weights: Tensor, steps: int) -> None:
        """Train the shared weights at these operation weights, on the batches that follow."""
        for batch in self._batches(steps):
            with self._network.ranks.together():
                self._network.check()
            self._network.weight_step(weights.to(self._arch_optimizer.alpha), batch)

    def _train_early(self, weights: Tensor, steps: int) -> Tensor:
        """The training loss, or objective, of each candidate `(n, d)` over some steps from new weights, one for all."""
        number = self._next_step
        batches = list(self._batches(steps))
        self._next_step += 1  # so that the next call has other weights even without steps
        network = self._new_network(number)
        return Evaluator(network).evaluate_early(weights.to(self._arch_optimizer.alpha), batches)

    def _batches(self, count: int) -> Iterator[Batch]:
        """The next training batches, which no other call gets."""
        for _ in range(count):
            self._next_step += 1
            yield self._train[self._next_step - 1]
