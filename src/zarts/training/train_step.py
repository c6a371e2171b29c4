"""One step of the weights on a batch, which may be divided over ranks and into pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from zarts.config import RetrainSettings
from zarts.errors import DivergedError
from zarts.networks import AnyNetwork, BatchSlice, ChainNetwork, Network
from zarts.runtime.distributed import Ranks

__all__ = ["WeightStep", "divide", "own_part"]


def divide(images: int, ranks: Ranks, pieces: int) -> Iterator[tuple[slice, float]]:
    """The pieces of a batch that a rank passes: the images of each, and its weight in the mean loss.

    A piece has neighbouring images, and a rank has neighbouring pieces. Every rank has the same number of pieces, and
    over all ranks the weights add up to 1. If a batch has fewer than two images for each rank, as the last one of an
    epoch may, every rank passes the whole batch.

    Args:
        images: number of images of the batch.
        ranks: the processes.
        pieces: pieces of each rank; fewer if a piece would have less than two images.
    """
    if images < 2 * ranks.count:
        yield slice(0, images), 1 / ranks.count
        return
    pieces = max(1, min(pieces, images // ranks.count // 2))
    whole = ranks.count * pieces
    bounds = [images * i // whole for i in range(whole + 1)]
    for i in range(ranks.rank * pieces, (ranks.rank + 1) * pieces):
        yield slice(bounds[i], bounds[i + 1]), (bounds[i + 1] - bounds[i]) / images


def own_part(images: int, ranks: Ranks) -> slice:
    """The images of a batch that a rank passes, in all its pieces."""
    parts = [part for part, _ in divide(images, ranks, 1)]
    return slice(parts[0].start, parts[-1].stop)


class WeightStep:
    """Takes steps of the weights: gradient of the mean loss over a batch, clipped, then the optimizer's step.

    Args:
        settings: the recipe.
        network: the network.
        optimizer: the optimizer of its weights.
        ranks: the processes that share each batch.
        device: where the network is.
        loss: of logits and labels, one number for a piece of a batch.
        draw: called before each piece with the numbers of the step and of the piece, to seed the network's generators.

    Source: loss scaling and clipping after unscaling: Micikevicius et al., Mixed Precision Training (ICLR 2018).
    """

    def __init__(
        self,
        settings: RetrainSettings,
        network: AnyNetwork,
        optimizer: torch.optim.Optimizer,
        ranks: Ranks,
        device: torch.device,
        loss: Callable[[Tensor, Tensor], Tensor],
        draw: Callable[[int, int], None],
    ) -> None:
        self._settings, self._network, self._optimizer = settings, network, optimizer
        self._ranks, self._device, self._loss_of, self._draw = ranks, device, loss, draw
        self._parameters = list(network.parameters())
        self._scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "16-mixed")

    def __call__(
        self, passes: Callable[..., Any], global_step: int, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Take a step on a batch; its mean loss, and the number of right answers.

        Args:
            passes: runs a network on images.
            global_step: number of weight steps since the start of the run.
            images: of the whole batch, on every rank.
            labels: likewise.

        Raises:
            DivergedError: the loss or the gradient is not finite.
        """
        self._optimizer.zero_grad(set_to_none=True)
        found = torch.zeros(2, device=self._device)  # loss, right answers
        for index, (piece, weight) in enumerate(divide(len(labels), self._ranks, self._settings.micro_batches)):
            self._draw(global_step, index)
            loss, extra, right = self._pass(passes, images, labels, piece)
            self._scaler.scale(weight * (loss + extra)).backward()  # type: ignore[no-untyped-call]
            share = weight * len(labels) / (piece.stop - piece.start)
            found += torch.stack([weight * loss.detach(), share * right])
        loss, right = self._combined(found)
        if not loss.isfinite():
            raise DivergedError(self._advice("training loss", loss))
        self._scaler.unscale_(self._optimizer)
        norm = nn.utils.clip_grad_norm_(self._parameters, self._settings.grad_clip or torch.inf)
        if (
            not norm.isfinite() and not self._scaler.is_enabled()
        ):  # a scaled loss may overflow: the scaler skips the step
            raise DivergedError(self._advice("norm of the gradient", norm))
        self._scaler.step(self._optimizer)
        self._scaler.update()
        return loss, right

    def _pass(
        self, passes: Callable[..., Any], images: Tensor, labels: Tensor, piece: slice
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mean loss of a piece, the auxiliary head's addition to it, and the number of right answers."""
        network, weight, right = self._network, self._settings.auxiliary_weight, labels[piece]
        auxiliary = None
        if isinstance(network, Network | ChainNetwork):
            network.part = BatchSlice(piece.start, len(labels))
        if isinstance(network, Network) and weight > 0:
            logits, auxiliary = passes(network.forward_with_auxiliary, images[piece])
        else:
            logits = passes(network, images[piece])
        if isinstance(network, Network | ChainNetwork):
            network.part = None
        loss = self._loss(logits, right)
        extra = torch.zeros_like(loss) if auxiliary is None else weight * self._loss(auxiliary, right)
        return loss, extra, (logits.detach().argmax(1) == right).sum()

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        logits = logits.float() if logits.element_size() < 4 else logits  # 16 bits are too few for the sums
        return self._loss_of(logits, labels)

    def _combined(self, found: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and right answers over all ranks; every rank's gradient becomes the sum over ranks."""
        if self._ranks.count > 1:
            gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._parameters]
            total = self._ranks.all_reduce(torch.cat([g.reshape(-1) for g in gradients]))
            parts = torch.split(total, [g.numel() for g in gradients])
            for parameter, part in zip(self._parameters, parts, strict=True):
                parameter.grad = torch.empty_like(parameter).copy_(part.view_as(parameter))  # in its own layout
            found = self._ranks.all_reduce(found)
        return found[0], found[1].round().long()

    def _advice(self, what: str, value: Tensor) -> str:
        muon: float = getattr(self._settings, "muon_rate", 0.0)
        rate = f"--learning-rate (now {self._settings.learning_rate:g})"
        way_out = f"--muon-rate (now {muon:g}) or {rate}" if muon > 0 else f"{rate} or --grad-clip"
        return f"the {what} is {value.item()}: take a smaller {way_out}"

    def state_dict(self) -> dict[str, Any]:
        """The scale of the loss."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue with a saved scale."""
        self._scaler.load_state_dict(state)
