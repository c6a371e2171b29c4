"""The supernets of a search: all of one form, but for their depth and their first weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch

from zarts.config import SearchSettings
from zarts.data import DataSet
from zarts.errors import KernelError, SettingsError
from zarts.kernels import prepare
from zarts.limits import FINAL_NETWORKS
from zarts.networks import cell_channels, checkpoint_cells, seeded
from zarts.runtime.distributed import Ranks
from zarts.runtime.seed import keyed_generator
from zarts.spaces import Space
from zarts.supernet import AnySuperNet, build_supernet
from zarts.training.trainer import Callback

__all__ = ["Supernets", "native_kernels"]


class Supernets:
    """Builds them; all ranks have native kernels, or none has: what rounds alike.

    Args:
        settings: the form.
        space: the candidates.
        data: the images.
        device: where they are wanted.
        noise: source of the `noise` operation.
        callback: hears why there are no native kernels.
        ranks: the processes that search together.
    """

    def __init__(
        self,
        settings: SearchSettings,
        space: Space,
        data: DataSet,
        device: torch.device,
        noise: torch.Generator,
        callback: Callback,
        ranks: Ranks,
    ) -> None:
        self._settings, self._device, self._deep = settings, device, _deep_cells(settings, space)
        self._noise = noise
        with ranks.rank_zero_first():  # the first one may have to build them
            native = native_kernels(
                settings.kernels,
                device,
                space.skeleton,
                _channels(settings),
                lambda text: callback({"event": "note", "text": text}),
            )
        self._build = partial(
            build_supernet,
            space,
            channels=settings.channels,
            num_classes=len(data.classes),
            in_channels=data.channels,
            stem=settings.stem,
            reduction=settings.reduction,
            supernet=settings.supernet,
            partial_channels=settings.partial_channels,
            generator=noise,
            native=bool(ranks.all_reduce(torch.tensor(float(native))) == ranks.count),
        )
        if settings.select == "local-search":
            self.deep(0)  # a depth that cannot be is refused before anything has been trained

    def shared(self, phase: int, cells: int) -> AnySuperNet:
        """The one whose weights all architectures share in a stage, with first weights of its own."""
        seed = self._settings.seed
        with seeded(keyed_generator(seed, "weights", phase).initial_seed() if phase else seed):
            return self._network(cells)

    def deep(self, seed: int) -> AnySuperNet:
        """One in which cells are trained by themselves, as deep as the network that they are for."""
        with seeded(seed):
            return self._network(self._deep)

    def _network(self, cells: int) -> AnySuperNet:
        network = self._build(cells=cells)
        checkpoint_cells(network, [self._noise], on=self._settings.checkpoint_activations)
        return network.to(self._device)


def _channels(settings: SearchSettings) -> list[int]:
    """Channels of nodes, and of what operations see of them."""
    parts = {1, settings.partial_channels if settings.supernet == "partial" else 1}
    return [channels // part for part in parts for channels in cell_channels(settings.channels)]


def _deep_cells(settings: SearchSettings, space: Space) -> int:
    """`select_cells`, or, where that is open, the benchmark's number; in other spaces that of the search."""
    if settings.select_cells is not None:
        return settings.select_cells
    return FINAL_NETWORKS[space.skeleton][0] if space.skeleton == "nasbench201" else settings.cells


def native_kernels(
    finalizer: str, device: torch.device, skeleton: str, channels: Iterable[int], note: Callable[[str], None]
) -> bool:
    """Whether a supernet uses the native kernels, which are compiled here.

    Args:
        finalizer: `auto`, `native` or `torch`.
        device: where it computes.
        skeleton: of its space.
        channels: numbers of channels of its nodes.
        note: told why `auto` goes without them on a CPU.

    Raises:
        SettingsError: `native`, and they cannot be had.
    """
    if finalizer == "torch" or (finalizer == "auto" and device.type != "cpu"):
        return False
    try:
        if device.type != "cpu":
            raise KernelError(f"the native kernels are for the CPU, not for {device.type!r}")
        prepare(torch.float32, [number for number in channels if finalizer == "native" or number % 4 == 0], skeleton)
    except KernelError as error:
        if finalizer == "native":
            raise SettingsError(f"kernels: {error}; or take --kernels torch") from None
        note(f"{error}; torch's own kernels do the work, several times slower")
        return False
    return True
