"""The environment of a run: the machine, the versions and the command."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

__all__ = ["environment"]


def environment(device: torch.device, ranks: int = 1) -> dict[str, Any]:
    """The environment on which the numbers of a run may depend, and the number of ranks, on which they do not."""
    program = Path(sys.argv[0])
    ours = program.stem == "zarts" or program.parts[-2:] == ("zarts", "__main__.py")
    return {
        "command": shlex.join(["zarts", *sys.argv[1:]]) if ours else "from Python",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "zarts": metadata.version("zarts"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "ranks": ranks,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }
