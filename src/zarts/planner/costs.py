"""What the networks of a fit cost, and the widths at which they keep its limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from zarts.config.fit import FitSettings
from zarts.exports.chain_graph import chain_graph
from zarts.limits.device import NetworkCosts, costs_of, exceeded
from zarts.limits.latency import Latency
from zarts.networks import create_chain, seeded
from zarts.spaces import Chain
from zarts.training.model_file import ModelCard

__all__ = ["Costing"]

_STEP = 1.02
"""Factor from one width that is tried to the next."""
_STEPS = 250
"""Widths that are tried are at most so many steps from those of the chain, about a factor of 140."""


class Costing:
    """Costs of networks for given images, counted from their ONNX files with untrained weights, and the limits.

    Args:
        settings: of the fit.
        card: of any network for these images: classes, channels and normalization are taken from it.
        latency: measures, looks up or asks for the latency of an ONNX file.
    """

    def __init__(self, settings: FitSettings, card: ModelCard, latency: Callable[[bytes], Latency]) -> None:
        self._settings, self._card, self._latency = settings, card, latency
        self._cached = lru_cache(maxsize=4096)(self._counted)

    def of(self, chain: Chain, image_size: int, *, latency: bool = False) -> NetworkCosts:
        """The costs of a network.

        Args:
            chain: the network.
            image_size: pixels a side.
            latency: whether it is measured; else it is None.
        """
        costs = self._cached(chain, image_size)
        return replace(costs, latency=self._latency(self.graph(chain, image_size))) if latency else costs

    def graph(self, chain: Chain, image_size: int) -> bytes:
        """The ONNX file of a network with untrained weights."""
        with seeded(0):
            network = create_chain(chain, num_classes=len(self._card.classes), in_channels=len(self._card.mean))
        card = replace(self._card, architecture=chain, image_size=image_size)
        return bytes(chain_graph(network.eval(), card).SerializeToString())

    def _counted(self, chain: Chain, image_size: int) -> NetworkCosts:
        return costs_of(self.graph(chain, image_size), int8=self._settings.int8)

    def exceeded(self, costs: NetworkCosts, share: float = 1.0) -> list[str]:
        """The limits that are not kept, in words; with a share below 1, those of that share of each limit."""
        return exceeded(self._settings, costs, share)

    def widest(self, chain: Chain, image_size: int, share: float = 1.0) -> Chain | None:
        """The chain at the largest width that keeps all limits, or a share of them; None: no width does.

        Without any limit it is the chain as it is.
        """
        if not self._settings.limits():
            return chain

        def wide(steps: int) -> Chain:
            return chain.scaled(_STEP**steps)

        def cheap(steps: int) -> bool:
            try:
                return not self.exceeded(self._cached(wide(steps), image_size), share)
            except OverflowError:
                return False

        def quick(steps: int) -> bool:
            return not self.exceeded(self.of(wide(steps), image_size, latency=True), share)

        most = _largest(cheap, -_STEPS, _STEPS)
        if most is not None and self._settings.max_latency is not None and not quick(most):
            most = _largest(quick, -_STEPS, most - 1)
        return None if most is None else wide(most)

    def smallest(self, chain: Chain, image_size: int) -> NetworkCosts:
        """The costs of the chain at its smallest width: what a message says where no network is within the limits."""
        smallest = chain.scaled(_STEP**-_STEPS)
        return self.of(smallest, image_size, latency=self._settings.max_latency is not None)


def _largest(holds: Callable[[int], bool], low: int, high: int) -> int | None:
    """The largest whole number from `low` to `high` for which a condition holds, if it does below it; None: none."""
    if not holds(low):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
