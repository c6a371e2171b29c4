"""How much memory a process has used."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

__all__ = ["peak_bytes"]


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
