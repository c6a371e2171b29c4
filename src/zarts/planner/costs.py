"""What the networks of a fit cost, and the widths at which they keep its limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from zarts.config.fit import FitSettings
from zarts.errors import SettingsError
from zarts.exports.chain_graph import chain_graph
from zarts.limits.delivered import LimitShare, NetworkCosts, count_network, exceeded, limit_shares, network_latency
from zarts.limits.latency import Latency
from zarts.limits.latency_table import LatencyTable
from zarts.networks import create_chain, seeded
from zarts.planner.chain_counts import chain_counts
from zarts.planner.chain_words import widths_of, with_width
from zarts.runtime.leftovers import temporary_folder
from zarts.spaces import Chain
from zarts.training.model_file import ModelCard

__all__ = ["Costing", "TimeOver"]

Asked = Callable[[], None]
"""Called before each measurement of latency; may raise."""


class TimeOver(Exception):
    """There is no time to measure more latencies."""


_STEP = 1.02
"""Factor from one width that is tried to the next."""
_GROWTH = 0.05
"""Of a width that grows alone, from one width to the next."""
_STEPS = 250
"""Widths that are tried are at most so many steps from those of the chain, about a factor of 140."""
_IN_TURN = 3
"""Measurements of latency where networks are compared."""
_MOST = 20_000_000
"""Parameters of a network that is built to count its costs."""


class Costing:
    """Costs of networks for given images, counted from their ONNX files with untrained weights, and the limits.

    Args:
        settings: of the fit.
        card: of any network for these images: classes, channels and normalization are taken from it.

    Raises:
        RunError, SettingsError: the latency table cannot be read.
    """

    def __init__(self, settings: FitSettings, card: ModelCard) -> None:
        self._settings, self._card = settings, card
        self._counted = lru_cache(maxsize=4096)(self._count)
        table = settings.latency_table
        self._table = None if table is None else LatencyTable.read(table)

    def of(self, chain: Chain, image_size: int, *, latency: bool = False) -> NetworkCosts:
        """The costs of a network.

        Args:
            chain: the network.
            image_size: pixels a side.
            latency: whether it is measured, or looked up; else it is None.
        """
        costs = self._counted(chain, image_size)
        if not latency:
            return costs
        with temporary_folder() as folder:
            file = folder / "model.onnx"
            file.write_bytes(self.graph(chain, image_size))
            return replace(costs, latency=self.latency(file))

    def compared(self, networks: Sequence[tuple[Chain, int]]) -> list[NetworkCosts]:
        """The costs of networks, each with its image size, with latencies that can be compared; see `latencies`."""
        with temporary_folder() as folder:
            files = [folder / f"{number}.onnx" for number in range(len(networks))]
            for file, network in zip(files, networks, strict=True):
                file.write_bytes(self.graph(*network))
            pairs = zip(networks, self.latencies(files), strict=True)
            return [replace(self._counted(*network), latency=latency) for network, latency in pairs]

    def latencies(self, files: Sequence[Path]) -> list[Latency]:
        """The latencies of ONNX files. What is measured here is so three times, in turn, and the least of each counts.

        A processor is slower at one time than at another, for all files alike.
        """
        elsewhere = self._table is not None or self._settings.latency_command is not None
        found = [[self.latency(file) for file in files] for _ in range(1 if elsewhere else _IN_TURN)]
        return [min(own, key=lambda one: one.most) for own in zip(*found, strict=True)]

    def latency(self, file: Path) -> Latency:
        """The latency of an ONNX file, as the settings say."""
        return network_latency(self._settings, file, self._table)

    def graph(self, chain: Chain, image_size: int) -> bytes:
        """The ONNX file of a network with untrained weights."""
        with seeded(0):
            network = create_chain(chain, num_classes=len(self._card.classes), in_channels=len(self._card.mean))
        card = replace(self._card, architecture=chain, image_size=image_size)
        return bytes(chain_graph(network.eval(), card, self._settings.input).SerializeToString())

    def _count(self, chain: Chain, image_size: int) -> NetworkCosts:
        return count_network(self.graph(chain, image_size), int8=self._settings.int8)

    def exceeded(self, costs: NetworkCosts) -> list[str]:
        """The limits that are not kept, in words."""
        return exceeded(self._settings, costs)

    def check(self, chain: Chain, image_size: int, name: str) -> None:
        """Check that a network is within the limits.

        Raises:
            SettingsError: it is not; the message begins with its name.
        """
        if over := self.exceeded(self.of(chain, image_size, latency=True)):
            raise SettingsError(f"{name} is not within the limits: {'; '.join(over)}")

    def shares(self, costs: NetworkCosts) -> list[LimitShare]:
        """How much of each limit is used."""
        return limit_shares(self._settings, costs)

    def _within(self, costs: NetworkCosts, share: float) -> bool:
        """Whether the costs are within that share of each limit."""
        return all(one.share <= share for one in self.shares(costs))

    def _counts_within(self, chain: Chain, image_size: int, share: float) -> bool:
        """Whether all that is counted is, of a network that is small enough to be counted."""
        return chain_counts(chain, image_size)[0] <= _MOST and self._within(self._counted(chain, image_size), share)

    def used(self, chain: Chain, image_size: int) -> float:
        """The share of the limits that a network uses, in (0, 1]: that of the one it uses most of; 1 without limits."""
        if not self._settings.limits():
            return 1.0
        costs = self.of(chain, image_size, latency=self._settings.max_latency is not None)
        return min(1.0, max(one.share for one in self.shares(costs)))

    def widest(self, chain: Chain, image_size: int, share: float = 1.0, asked: Asked = lambda: None) -> Chain | None:
        """The chain at the largest width that keeps a share of all limits; None: no width does.

        Without any limit it is the chain as it is. `asked` is called before each measurement of latency.
        """
        if not self._settings.limits():
            return chain

        def counted(steps: int) -> bool:
            return self._counts_within(chain.scaled(_STEP**steps), image_size, share)

        def measured(steps: int) -> bool:
            asked()
            return self._within(self.of(chain.scaled(_STEP**steps), image_size, latency=True), share)

        most = _largest(counted, -_STEPS, _STEPS, self._guess(chain, image_size, share))
        if most is not None and self._settings.max_latency is not None and not measured(most):
            most = _largest(measured, -_STEPS, most - 1, most - 1)
        return None if most is None else chain.scaled(_STEP**most)

    def filled(self, chain: Chain, image_size: int, share: float = 1.0, asked: Asked = lambda: None) -> Chain:
        """The chain with wider layers, as far as a share of all limits allows: what one width for all leaves unused.

        One factor for all widths grows until the first limit is met, often by a single layer: the first ones need most
        of the RAM, the last ones most of the flash. Here widths grow by steps, each time the one that has grown least,
        until none can. If latency is limited, as many of the steps are taken as keep it; `asked`: see `widest`.
        """

        def measured(steps: int) -> bool:
            asked()
            return self._within(self.of(path[steps], image_size, latency=True), share)

        path, begun = [chain], widths_of(chain)
        places = set(range(len(begun))) if self._settings.limits() else set()
        while places:
            now = widths_of(path[-1])
            place = min(places, key=lambda place: (now[place] / begun[place], place))
            wide = with_width(path[-1], place, now[place] + max(chain.divisor, round(_GROWTH * now[place])))
            if wide is not None and self._counts_within(wide, image_size, share):
                path.append(wide)
            else:
                places.remove(place)
        if self._settings.max_latency is not None:
            found = _largest(measured, 0, len(path) - 1, len(path) - 1)
            return path[found or 0]
        return path[-1]

    def _guess(self, chain: Chain, image_size: int, share: float) -> int:
        """About the steps of `widest`, by parameters and MACs alone, for which no network is built."""
        settings, unlimited = self._settings, float("inf")
        weights = [settings.max_params or unlimited, (settings.max_file or unlimited) / 4]
        weights.append((settings.max_flash or unlimited) / (1 if settings.int8 else 4))
        most = share * min(weights), share * (settings.max_macs or unlimited)

        def about(steps: int) -> bool:
            parameters, macs = chain_counts(chain.scaled(_STEP**steps), image_size)
            return parameters <= min(most[0], _MOST) and macs <= most[1]

        if min(most) == unlimited:
            return 0
        found = _largest(about, -_STEPS, _STEPS, 0)
        return -_STEPS if found is None else found

    def smallest(self, chain: Chain, image_size: int) -> str:
        """How the chain exceeds the limits at its smallest width, in words."""
        smallest = chain.scaled(_STEP**-_STEPS)
        return "; ".join(self.exceeded(self.of(smallest, image_size, latency=self._settings.max_latency is not None)))


def _largest(holds: Callable[[int], bool], low: int, high: int, guess: int) -> int | None:
    """The largest whole number from `low` to `high` for which a condition holds, if it does below it; None: none.

    It is looked for around a guess, in steps that double, and then between the last two.
    """
    step, number = 1, guess
    if holds(guess):
        while number < high and holds(min(high, number + step)):
            number, step = min(high, number + step), 2 * step
        low, high = number, min(high, number + step - 1)
    else:
        while number > low and not holds(max(low, number - step)):
            number, step = max(low, number - step), 2 * step
        if number == low:
            return None
        low, high = max(low, number - step), number - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low
