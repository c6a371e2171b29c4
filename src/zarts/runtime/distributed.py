"""The ranks of a distributed run, and what they send to each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from zarts.errors import Interrupted, RankError, SettingsError

__all__ = ["FOLDER_FILE", "Ranks", "check_alone", "lead_here", "started", "tell_launcher"]

FOLDER_FILE = "ZARTS_FOLDER_FILE"
"""Environment variable of ranks: the file in which they write their run folder, for the process that started them."""


_T = TypeVar("_T")


class Ranks:
    """This process among the ranks of a run; without `fabric` it is the only one, and nothing is sent.

    All ranks hold the same alpha, weights and random generators and take the same steps. So a rank only sends what it
    alone has computed: losses and gradients of its share, and a request to stop.

    Args:
        fabric: a launched `lightning_fabric.Fabric`; the ranks are its process group.
    """

    def __init__(self, fabric: Any = None) -> None:
        self._fabric = fabric
        self.rank: int = 0 if fabric is None else fabric.global_rank
        self.count: int = 1 if fabric is None else fabric.world_size
        self.lead = self.rank == 0
        """Whether this is rank 0, which alone writes files and prints."""
        self._first_here = fabric is None or fabric.local_rank == 0

    def share(self, number: int) -> range:
        """The indices of this rank's share of `number` pieces of work."""
        return range(self.rank, number, self.count)

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """The elementwise sum over ranks. If all ranks but one have 0, the sum is that rank's number, to the bit.

        Raises:
            RankError: another rank is gone.
        """
        if self.count == 1:
            return tensor
        with _reached():
            total: Tensor = self._fabric.all_reduce(tensor.clone(), reduce_op="sum")
        return total.to(tensor.device)

    def broadcast(self, value: _T) -> _T:
        """Rank 0's `value`, which is plain data, on every rank.

        Raises:
            RankError: another rank is gone.
        """
        if self.count == 1:
            return value
        with _reached():
            shared: _T = self._fabric.broadcast(value)
        return shared

    @torch.no_grad()
    def align(self, tensors: Sequence[Tensor]) -> None:
        """Give these tensors the values that they have on rank 0.

        Raises:
            RankError: another rank is gone.
        """
        if self.count == 1:
            return
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            alike = [tensor for tensor in tensors if tensor.dtype == dtype]
            values = torch.cat([tensor.reshape(-1) for tensor in alike])
            with _reached():
                distributed.broadcast(values, 0)  # Fabric's broadcast would pickle them
            if not self.lead:
                parts = torch.split(values, [tensor.numel() for tensor in alike])
                for tensor, part in zip(alike, parts, strict=True):
                    tensor.copy_(part.view(tensor.shape))

    @contextmanager
    def together(self) -> Iterator[None]:
        """All ranks leave the block alike: if one is interrupted, all are.

        Raises:
            Interrupted: a rank was asked to stop.
            RankError: another rank is gone.
        """
        stopped = None
        try:
            yield
        except Interrupted as error:
            stopped = error
        if self.all_reduce(torch.tensor(float(stopped is not None))) > 0:
            raise stopped or Interrupted("interrupted")

    @contextmanager
    def rank_zero_first(self) -> Iterator[None]:
        """The first rank of each machine runs the block before the others do.

        Raises:
            RankError: another rank is gone.
        """
        if not self._first_here:
            self.all_reduce(torch.zeros(()))
        yield
        if self._first_here:
            self.all_reduce(torch.zeros(()))


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what torch's collectives raise
        reason = str(error).splitlines()[0].split("] ", 1)[-1].split(". ")[0]  # without gloo's file and its greeting
        raise RankError(f"another rank is gone ({reason})") from error


def started() -> int:
    """Number of ranks that torchrun has started on all machines; 1 without torchrun."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def lead_here() -> bool:
    """Whether this process is rank 0, also before the ranks are joined."""
    return started() == 1 or os.environ["RANK"] == "0"


def tell_launcher(folder: Path) -> None:
    """Tell the process that started the ranks which run folder they have; for its message if one of them dies."""
    if FOLDER_FILE in os.environ and lead_here():
        with suppress(OSError):
            Path(os.environ[FOLDER_FILE]).write_text(str(folder), encoding="utf-8", errors="surrogateescape")


def check_alone(what: str) -> None:
    """Check that a command that cannot use several ranks is the only process.

    Args:
        what: names the command in the message: `a retraining`.

    Raises:
        SettingsError: torchrun has started several processes.
    """
    if started() > 1:
        raise SettingsError(f"{what} is one process, but torchrun has started {started()}: start it without torchrun")
