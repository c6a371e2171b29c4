"""The loss of a batch under the weights of a supernet, as a function of alpha or of operation weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Float
from torch import Tensor

from zarts.bilevel import Batch, BatchLoss
from zarts.limits import Costs
from zarts.relax import Matrices
from zarts.searcher.relaxation import SearchRelaxation
from zarts.spaces import Space
from zarts.supernet import AnySuperNet
from zarts.training.criterion import Criterion

__all__ = ["SupernetLoss"]


class SupernetLoss:
    """Runs batches through a supernet and compares its answers with the labels.

    Args:
        supernet: the network.
        passes: runs it on a batch, like `zarts.runtime.precision.Passes`.
        criterion: the loss that trains weights.
        space: the whole space.
        relaxation: turns alpha into operation weights.
        costs: give the regularizer.
    """

    def __init__(
        self,
        supernet: AnySuperNet,
        passes: Callable[..., Any],
        criterion: Criterion,
        space: Space,
        relaxation: SearchRelaxation,
        costs: Costs,
    ) -> None:
        self.supernet, self.passes, self._criterion = supernet, passes, criterion
        self._space, self.relaxation, self._costs = space, relaxation, costs

    def at_alpha(self, alpha: Float[Tensor, " d"], batch: Batch) -> BatchLoss:
        """The loss at the operation weights that the relaxation gives for alpha."""
        return self._loss(self.relaxation.for_alpha(alpha), batch)

    def at_weights(self, weights: Float[Tensor, " d"], batch: Batch) -> BatchLoss:
        """The loss at operation weights of the whole space, as a flat vector."""
        return self._loss(self._space.split(weights), batch)

    def regularizer(self, alpha: Float[Tensor, " d"]) -> Float[Tensor, ""]:
        """The costs that are added to the loss of alpha, see `Costs.regularizer`."""
        return self._costs.regularizer(self.relaxation.probabilities(alpha))

    def _loss(self, weights: Matrices, batch: Batch) -> BatchLoss:
        images, labels = batch
        logits: Tensor = self.passes(self.supernet, images, weights).float()
        detached, criterion = logits.detach(), self._criterion
        each = None if criterion.images is None else criterion.images(detached, labels)
        return BatchLoss(criterion.loss(logits, labels), (detached.argmax(1) == labels).sum(), each, logits)
