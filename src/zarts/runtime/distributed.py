"""The ranks of a distributed run, and the little that they tell each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from zarts.errors import Interrupted, RankError, SettingsError

__all__ = ["Ranks", "check_alone", "started"]


_T = TypeVar("_T")


class Ranks:
    """This process among those that search together; without `fabric` it is alone, and nothing is sent.

    All ranks hold the same alpha, weights and random generators and take the same steps, so that only what
    one of them alone has computed is ever sent: losses and gradients of its share, and its wish to stop.

    Args:
        fabric: a launched `lightning_fabric.Fabric`, whose process group the ranks are.
    """

    def __init__(self, fabric: Any = None) -> None:
        self._fabric = fabric
        self.rank: int = 0 if fabric is None else fabric.global_rank
        self.count: int = 1 if fabric is None else fabric.world_size
        self._first_here = fabric is None or fabric.local_rank == 0

    @property
    def lead(self) -> bool:
        """Whether this is rank 0, the one that writes and speaks."""
        return self.rank == 0

    def share(self, number: int) -> range:
        """Which of `number` pieces of work are this rank's."""
        return range(self.rank, number, self.count)

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, elementwise. Where all but one have 0, it is that one's number, to the bit.

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
        """All ranks leave the block alike: where one is interrupted, all are.

        Raises:
            Interrupted: one of them was asked to stop.
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
        """The first rank of each machine goes through the block before the others do.

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
        seen = str(error).splitlines()[0].split("] ", 1)[-1].split(". ")[0]  # without gloo's file and its greeting
        raise RankError(f"another rank is gone ({seen})") from error


def started() -> int:
    """How many ranks torchrun has started, on all machines; 1 where this process is not one of several."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def check_alone(what: str) -> None:
    """Refuse ranks for what has nothing to share between them.

    Args:
        what: for the message: `a retraining`.

    Raises:
        SettingsError: torchrun has started several.
    """
    if started() > 1:
        raise SettingsError(f"{what} is one process, torchrun has started {started()}: start it without torchrun")
