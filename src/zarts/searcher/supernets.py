"""The supernets of a search: all of one form, with depth and initial weights of their own."""

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
from zarts.training.memory_check import check_weights
from zarts.training.trainer import Callback

__all__ = ["Supernets", "native_kernels"]

_MAPS = 2000
"""A crude upper bound on the weights in a cell with all operations, in squares of the first cell's channels."""


class Supernets:
    """Builds supernets; either all ranks use native kernels or none does, so that all round alike.

    Args:
        settings: the form.
        space: the search space.
        data: the images.
        device: device of the supernets.
        callback: called with a note if there are no native kernels.
        ranks: the processes that search together.
    """

    def __init__(
        self,
        settings: SearchSettings,
        space: Space,
        data: DataSet,
        device: torch.device,
        callback: Callback,
        ranks: Ranks,
    ) -> None:
        self._settings, self.device, self._deep = settings, device, _deep_cells(settings, space)
        self._callback = callback
        self.noise = keyed_generator(settings.seed, "noise", device=device)
        """The source of randomness of the `noise` operation and of what is dropped."""
        with ranks.rank_zero_first():  # the first one may have to compile them
            native = native_kernels(
                settings.kernels,
                device,
                space.skeleton,
                _channels(settings),
                self._note,
                lambda: callback({"event": "doing", "text": "compiling kernels, once on this machine"}),
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
            generator=self.noise,
            native=bool(ranks.all_reduce(torch.tensor(float(native))) == ranks.count),
        )
        if settings.select == "local-search":
            self.deep(0)  # refuses an impossible depth before anything is trained

    def shared(self, phase: int, cells: int) -> AnySuperNet:
        """The supernet whose weights all architectures share in a phase, with initial weights of its own."""
        seed = self._settings.seed
        with seeded(keyed_generator(seed, "weights", phase).initial_seed() if phase else seed):
            return self._network(cells)

    def deep(self, number: int) -> AnySuperNet:
        """A supernet as deep as the derived network, in which one cell at a time is trained.

        Args:
            number: its initial weights are drawn from the settings' seed and this number.
        """
        with seeded(keyed_generator(self._settings.seed, "fresh", number).initial_seed()):
            return self._network(self._deep)

    def _note(self, text: str) -> None:
        self._callback({"event": "note", "text": text})

    def _network(self, cells: int) -> AnySuperNet:
        most = cells * _MAPS * self._settings.channels**2
        check_weights(partial(self._build, cells=cells, native=False), most, self.device, self._settings)
        network = self._build(cells=cells)
        checkpoint_cells(network, [self.noise], on=self._settings.checkpoint_activations)
        return network.to(self.device)


def _channels(settings: SearchSettings) -> list[int]:
    """Channels of nodes, and of the parts of them that operations see."""
    parts = {1, settings.partial_channels if settings.supernet == "partial" else 1}
    return [channels // part for part in parts for channels in cell_channels(settings.channels)]


def _deep_cells(settings: SearchSettings, space: Space) -> int:
    """`select_cells`; if that is None, the benchmark's number, or in other spaces that of the search."""
    if settings.select_cells is not None:
        return settings.select_cells
    return FINAL_NETWORKS[space.skeleton][0] if space.skeleton == "nasbench201" else settings.cells


def native_kernels(
    choice: str,
    device: torch.device,
    skeleton: str,
    channels: Iterable[int],
    note: Callable[[str], None],
    compiling: Callable[[], None] = lambda: None,
) -> bool:
    """Whether a supernet uses the native kernels; compiles them.

    Args:
        choice: `auto`, `native` or `torch`.
        device: device of the supernet.
        skeleton: skeleton of its space.
        channels: numbers of channels of its nodes.
        note: called with the reason why `auto` does without them on a CPU.
        compiling: called before some are compiled.

    Raises:
        SettingsError: `native`, and they cannot be compiled or used.
    """
    if choice == "torch" or (choice == "auto" and device.type != "cpu"):
        return False
    try:
        if device.type != "cpu":
            raise KernelError(f"the native kernels are for the CPU, not for {device.type!r}")
        wanted = [number for number in channels if choice == "native" or number % 4 == 0]
        prepare(torch.float32, wanted, skeleton, compiling)
    except KernelError as error:
        if choice == "native":
            raise SettingsError(f"kernels: {error}; or take --kernels torch") from None
        note(f"{error}; torch's own kernels are used, several times slower")
        return False
    return True
