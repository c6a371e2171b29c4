"""The bi-level problem: weights omega trained under an architecture alpha, alpha evaluated under trained weights.

    min_alpha L_val(omega*(alpha), alpha)  subject to  omega*(alpha) = argmin_omega L_train(omega, alpha)

Source: Wang et al., ZARTS (NeurIPS 2022), supplementary 1.1; Liu et al., DARTS (ICLR 2019), eq. 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from zarts.bilevel.objectives import Objective
from zarts.bilevel.snapshot import Snapshot
from zarts.errors import DivergedError
from zarts.runtime.distributed import Ranks

__all__ = ["Batch", "BatchLoss", "Bilevel", "Measured", "never_stop"]

Batch = tuple[Tensor, Tensor]
"""Images `(b, c, h, w)` and labels `(b,)`."""


class BatchLoss(NamedTuple):
    """Mean loss of a batch; without gradient, the number of images that are classified correctly, and their losses.

    `images` is None where the loss is not a mean over images; `logits` is None where nothing but the loss is computed.
    """

    loss: Tensor
    correct: Tensor
    images: Tensor | None = None
    logits: Tensor | None = None


class Measured(NamedTuple):
    """What an architecture achieves on batches.

    Args:
        value: what it is compared by; smaller is better; with the regularizer.
        metric: the objective as its function gives it, or the mean loss; without the regularizer.
        images: terms of the images, without gradient, whose mean is `value` without the regularizer; nan where the
            objective, or the loss, is no mean over images.
    """

    value: Float[Tensor, ""]
    metric: Float[Tensor, ""]
    images: Float[Tensor, " images"]


def never_stop() -> None:
    """Do not ask to stop."""


@dataclass
class Bilevel:
    """Weights, the optimizer that trains them, and the loss of a batch under an architecture.

    Args:
        model: holds the weights omega.
        optimizer: trains them.
        forward: the loss of `(alpha, batch)` under the model's present weights.
        regularizer: a function of alpha alone, added to the loss wherever alpha is evaluated; None: nothing is added.
        grad_clip: largest norm of the weights' gradient.
        generators: sources of randomness that `forward` draws from.
        check: called before each weight step of a candidate; may raise `Interrupted`.
        ranks: the processes that share the work on candidates; alone by default.
        objective: what alpha is evaluated by, from the logits of all validation images together; None: the mean loss.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    forward: Callable[[Tensor, Batch], BatchLoss]
    grad_clip: float = float("inf")
    regularizer: Callable[[Tensor], Tensor] | None = None
    generators: Sequence[torch.Generator] = ()
    check: Callable[[], None] = field(default=never_stop)
    ranks: Ranks = field(default_factory=Ranks)
    objective: Objective | None = None

    def __post_init__(self) -> None:
        self._weights = list(self.model.parameters())  # kept: the walk over all modules takes a millisecond

    def weight_step(self, alpha: Float[Tensor, " d"], batch: Batch) -> BatchLoss:
        """One step of the weights on the training loss, alpha held fixed.

        Raises:
            DivergedError: the loss or its gradient is not finite; the weights are not touched.
        """
        self.set_mode(training=True)
        self.optimizer.zero_grad(set_to_none=True)
        outcome = self.forward(alpha.detach(), batch)
        if not outcome.loss.isfinite():
            raise DivergedError(self._advice("training loss", outcome.loss))
        outcome.loss.backward()  # type: ignore[no-untyped-call]
        self._clip()
        self.optimizer.step()
        logits = None if outcome.logits is None else outcome.logits.detach()
        return BatchLoss(outcome.loss.detach(), outcome.correct, logits=logits)

    def _clip(self) -> None:
        """Scale the gradient to `grad_clip` where its norm is larger, by the norm of all gradients in one vector.

        Takes a third of the time of `torch.nn.utils.clip_grad_norm_`.

        Differs: torch divides by the norm + 1e-6, so the clipped gradient is shorter by that part; here it has exactly
            the norm `grad_clip`.
        """
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        norm = torch.linalg.vector_norm(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        if not norm.isfinite():
            raise DivergedError(self._advice("norm of the gradient", norm))
        if norm > self.grad_clip:
            for gradient in gradients:
                gradient.mul_(self.grad_clip / norm)

    def set_mode(self, *, training: bool) -> None:
        """Set the mode of the model; a model that has it is left alone, which saves the walk over all modules."""
        if self.model.training != training:
            self.model.train(training)

    def _advice(self, what: str, value: Tensor) -> str:
        rate = self.optimizer.param_groups[0]["lr"]
        return f"the {what} is {value.item()}: take a smaller --learning-rate (now {rate:g}) or --grad-clip"

    def measure(self, alpha: Float[Tensor, " d"], batches: Sequence[Batch]) -> Measured:
        """What alpha achieves on `batches` together, under the present weights and mode.

        Raises:
            SettingsError: the objective fails.
        """
        outcomes = [self.forward(alpha, batch) for batch in batches]
        if self.objective is None:
            value = metric = torch.stack([outcome.loss for outcome in outcomes]).mean()
            each = [
                outcome.loss.new_full((len(labels),), torch.nan) if outcome.images is None else outcome.images
                for outcome, (_, labels) in zip(outcomes, batches, strict=True)
            ]
            images = torch.cat(each)
        else:
            logits = self._together([outcome.logits for outcome in outcomes])
            labels = torch.cat([labels for _, labels in batches])
            metric = self.objective.metric(logits, labels)
            value = self.objective.value(metric)
            terms = self.objective.images
            images = logits.new_full((len(labels),), torch.nan) if terms is None else terms(logits.detach(), labels)
        if self.regularizer is not None:
            value = value + self.regularizer(alpha).to(value)
        return Measured(value, metric, images)

    def training_value(self, outcomes: Sequence[BatchLoss], batches: Sequence[Batch]) -> Float[Tensor, ""]:
        """What weight steps on `batches` came to, each before it learnt: the mean loss, or the objective of all images.

        Smaller is better; without the regularizer.
        """
        if self.objective is None:
            return torch.stack([outcome.loss for outcome in outcomes]).mean()
        logits = self._together([outcome.logits for outcome in outcomes])
        return self.objective.value(self.objective.metric(logits, torch.cat([labels for _, labels in batches])))

    def _together(self, logits: Sequence[Tensor | None]) -> Float[Tensor, "n classes"]:
        assert self.objective is not None
        known = [tensor for tensor in logits if tensor is not None]
        assert len(known) == len(logits), f"objective {self.objective.name} needs logits, which `forward` leaves out"
        return torch.cat(known)

    def record(self, values: Sequence[float]) -> dict[str, Any]:
        """The numbers of candidates for the log: `losses`, or `values` with the name of their `objective`."""
        if self.objective is None:
            return {"losses": list(values)}
        return {"objective": self.objective.name, "values": list(values)}

    def align(self) -> None:
        """Give all ranks rank 0's weights, buffers and momentum: other processors may round differently."""
        if self.ranks.count == 1:
            return
        momenta = [v for state in self.optimizer.state.values() for v in state.values() if isinstance(v, Tensor)]
        self.ranks.align([*self.model.parameters(), *self.model.buffers(), *momenta])

    @contextmanager
    def preserved(self) -> Iterator[Snapshot]:
        """Restore everything on the way out, also when the block raises."""
        snapshot = Snapshot(self.model, self.optimizer, self.generators)
        try:
            yield snapshot
        finally:
            snapshot.restore()
