"""Drop-path and dropout on identities for the operations of a supernet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Drop"]

Slots = Float[Tensor, "batch slots_channels height width"]


class Drop:
    """Probabilities that all cells of a supernet share; both are 0 until they are set.

    Outputs are dropped where a network in training mode is differentiated, so never where a loss is only evaluated.
    What stays is divided by the probability that it does, so that the mean is that of the undropped output.

    Args:
        generator: source of randomness; None is torch's default on the device of the features.

    Source: drop-path: Larsson et al., FractalNet (ICLR 2017), in a search Zela et al., RobustDARTS (ICLR 2020),
        section 5.1; dropout on skips: Chen et al., P-DARTS (ICCV 2019), section 3.3. As in their released code, a skip
        of stride 2, which is a convolution, counts as an operation and not as a skip.
    Differs: RobustDARTS lets the share of images that lose a square (cutout) grow like drop-path; here it is constant.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        self._generator = generator
        self.path = 0.0
        """Probability that the output of an operation, but for identities, is dropped for an image."""
        self.skip = 0.0
        """Probability that an element of an identity's output is dropped."""

    def active(self, network: nn.Module) -> bool:
        """Whether a pass through the network (or a part of it) drops anything now."""
        return (self.path > 0 or self.skip > 0) and network.training and torch.is_grad_enabled()

    def paths(self, x: Slots, channels: int) -> Slots:
        """The outputs of operations side by side, each dropped or not for an image as a whole."""
        if self.path == 0:
            return x
        kept = self._kept(x, (len(x), x.shape[1] // channels, 1, 1), self.path)
        return x * kept.repeat_interleave(channels, dim=1)

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
