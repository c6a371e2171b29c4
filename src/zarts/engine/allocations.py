"""How many bytes of tensors a piece of work has at most at a time, counted as torch's operations make and drop them."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from zarts.kernels.allocator import BUFFERS

__all__ = ["Allocations"]


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the tensors that operations make inside it, and the blocks of the native kernels; on any device.

    What an operation needs for itself while it runs is not seen, nor what was there before.

    Args:
        spread: what a byte of torch's tensors takes in its allocator; blocks of the native kernels are counted as they
            are.
    """

    def __init__(self, spread: float = 1.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._live: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._bytes, self._spread = 0, spread
        self._before = BUFFERS.asked
        self.peak = 0
        """The most bytes at a time, until now."""

    @override
    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation, and count what is new."""
        output = func(*args, **(kwargs or {}))
        new = [storage for storage in _storages((output,)) if storage._cdata not in self._live]
        if new:  # a view of what was there before is not new
            given = {storage._cdata for storage in _storages((*args, *(kwargs or {}).values()))}
            for key, storage in {storage._cdata: storage for storage in new}.items():
                if key not in given:
                    size = storage.nbytes()
                    self._bytes += size
                    self._live[key] = weakref.ref(storage, lambda _, key=key, size=size: self._drop(key, size))  # type: ignore[misc]
        self.peak = max(self.peak, int(self._spread * self._bytes) + BUFFERS.asked - self._before)
        return output

    def _drop(self, key: int, size: int) -> None:
        del self._live[key]
        self._bytes -= size


def _storages(values: Sequence[Any]) -> list[torch.UntypedStorage]:
    """Of the tensors among the arguments or results of an operation, which may be in lists."""
    flat = [tensor for value in values for tensor in (value if isinstance(value, list | tuple) else (value,))]
    return [tensor.untyped_storage() for tensor in flat if isinstance(tensor, Tensor)]
