"""Measurements of memory: of tensors, of this process and of its device, in bytes."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from zarts.kernels.allocator import ALLOCATOR
from zarts.runtime.system_memory import free_memory

__all__ = ["Allocations", "Fit", "free_bytes", "peak_bytes"]


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that operations make inside it, and the native kernels' blocks; on any device.

    Temporary memory inside an operation is not counted, nor are tensors from before.

    Args:
        overhead: bytes that the allocator takes for each byte of torch's tensors; blocks of the native kernels are
            counted without it.
    """

    def __init__(self, overhead: float = 1.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._live: dict[int, weakref.ref[torch.UntypedStorage]] = {}
        self._bytes, self._overhead = 0, overhead
        self._before = ALLOCATOR.asked
        self.peak = 0
        """The most bytes at a time so far."""

    @override
    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operation, and count its new tensors."""
        output = func(*args, **(kwargs or {}))
        new = [storage for storage in _storages((output,)) if storage._cdata not in self._live]
        if new:  # a view of what was there before is not new
            given = {storage._cdata for storage in _storages((*args, *(kwargs or {}).values()))}
            for key, storage in {storage._cdata: storage for storage in new}.items():
                if key not in given:
                    size = storage.nbytes()
                    self._bytes += size
                    self._live[key] = weakref.ref(storage, lambda _, key=key, size=size: self._drop(key, size))  # type: ignore[misc]
        self.peak = max(self.peak, int(self._overhead * self._bytes) + ALLOCATOR.asked - self._before)
        return output

    def _drop(self, key: int, size: int) -> None:
        del self._live[key]
        self._bytes -= size


def _storages(values: Sequence[Any]) -> list[torch.UntypedStorage]:
    """Storages of the tensors among the arguments or results of an operation, which may be in lists."""
    flat = [tensor for value in values for tensor in (value if isinstance(value, list | tuple) else (value,))]
    return [tensor.untyped_storage() for tensor in flat if isinstance(tensor, Tensor)]


def peak_bytes(device: torch.device) -> int:
    """The largest memory so far: of torch on a CUDA device, else the resident set of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent process's memory at the start of this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_bytes(device: torch.device) -> int | None:
    """Bytes that are free on a device, on CUDA with those that torch holds unused; None: not known."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    return free_memory() if device.type == "cpu" else None


@dataclass(frozen=True)
class Fit:
    """Whether the steps of a run fit into memory: the bytes they need, and the bytes that are free.

    Args:
        needed: bytes beyond those used before the first step; of all processes on the machine together.
        free: bytes that the steps may take; None: not known.
        largest: largest batch of weight steps that fits, 2 or more; None: not even 2 images fit, or not known.
        seconds: time of the measurement, if only a dry run measures; else 0.
    """

    needed: int
    free: int | None
    largest: int | None
    seconds: float = 0.0
