"""Drop-path and dropout on identities in a supernet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["DrawnDrop", "Drop"]

Slots = Float[Tensor, "batch slots_channels height width"]


class Drop:
    """Probabilities that all cells of a supernet share; both are 0 until they are set.

    Outputs are dropped where a network in training mode is differentiated, so never where a loss is only evaluated.
    What stays is divided by the probability that it does, so that the mean is that of the undropped output.

    Args:
        generator: source of randomness; None is torch's default on the device of the features.

    Source: drop-path: Larsson et al., FractalNet (ICLR 2017), in a search Zela et al., RobustDARTS (ICLR 2020),
        section 5.1 and its released code; dropout on skips: Chen et al., P-DARTS (ICCV 2019), section 3.3. As in the
        latter's released code, a skip of stride 2, which is a convolution, counts as an operation and not as a skip.
    Differs: RobustDARTS lets the share of images that lose a square (cutout) grow like drop-path; here it is constant.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self._generator = generator
        self.path = 0.0
        """Probability that an edge, with all its operations, gives nothing to its node for an image."""
        self.skip = 0.0
        """Probability that an element of an identity's output is dropped."""

    def active(self, network: nn.Module) -> bool:
        """Whether a pass through the network (or a part of it) drops anything now."""
        return (self.path > 0 or self.skip > 0) and network.training and torch.is_grad_enabled()

    def draw(self, cell: nn.Module, x: Float[Tensor, "batch c h w"], edges: int) -> DrawnDrop | None:
        """What this pass through a cell drops; None: nothing.

        Args:
            cell: the cell; in evaluation mode nothing is dropped.
            x: one of its inputs.
            edges: number of its edges.
        """
        if not self.active(cell):
            return None
        return DrawnDrop(self, self._kept(x, (len(x), edges), self.path) if self.path > 0 else None)

    def elements(self, x: Slots) -> Slots:
        """The outputs of identities side by side, each element dropped or not."""
        return x if self.skip == 0 else x * self._kept(x, tuple(x.shape), self.skip)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Inside, nothing is dropped."""
        before = self.path, self.skip
        self.path = self.skip = 0.0
        try:
            yield
        finally:
            self.path, self.skip = before

    def _kept(self, x: Tensor, shape: tuple[int, ...], probability: float) -> Tensor:
        """0 with that probability, else what keeps the mean."""
        device = x.device if self._generator is None else self._generator.device
        kept = torch.rand(shape, generator=self._generator, device=device) >= probability
        return kept.to(x.device, x.dtype) / (1 - probability)


class DrawnDrop(NamedTuple):
    """What one pass through a cell drops.

    Args:
        drop: the probabilities.
        kept: the factor of each edge for each image, 0 or 1 / (1 - p); None: 1 for all.
    """

    drop: Drop
    kept: Float[Tensor, "batch edges"] | None

    def paths(self, x: Slots, edges: Sequence[int], channels: int) -> Slots:
        """The outputs of slots side by side, each times the factor of its edge.

        Args:
            x: the outputs.
            edges: the edge of each slot, a row of alpha.
            channels: of each slot.
        """
        if self.kept is None:
            return x
        return x * self.kept[:, list(edges)].repeat_interleave(channels, dim=1)[:, :, None, None]

    def identities(self, x: Slots, edges: Sequence[int], channels: int) -> Slots:
        """The same for identities, which also lose elements."""
        return self.paths(self.drop.elements(x), edges, channels)

    def weights(
        self, totals: Float[Tensor, "sources targets"], edges: Sequence[Sequence[int]]
    ) -> Float[Tensor, "*batch sources targets"]:
        """The weights of edges, for each image times their factors.

        Args:
            totals: the weights.
            edges: the edge from each source to each target, a row of alpha.
        """
        if self.kept is None:
            return totals
        return totals * self.kept[:, torch.tensor(edges, device=self.kept.device)]
