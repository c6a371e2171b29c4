"""How much memory a process has used, and how much is left for it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from zarts.memory import free_memory

__all__ = ["free_bytes", "peak_bytes"]


def peak_bytes(device: torch.device) -> int:
    """The largest memory so far: of torch on a CUDA device, else the resident set of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent process had before the start of this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_bytes(device: torch.device) -> int | None:
    """What may still be taken on a device: on CUDA also what torch holds and does not use; None: nobody says."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + unused
    return free_memory() if device.type == "cpu" else None
