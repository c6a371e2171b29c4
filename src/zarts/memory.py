"""Memory that the C library keeps for the next step, instead of giving it back and asking for it again."""

from __future__ import annotations

import contextlib
import ctypes
import platform

__all__ = ["keep_freed_memory"]

# Parameters of glibc's mallopt(3) and their values: nothing is given back, and large blocks are reused too.
_MALLOPT = {-1: (1 << 31) - 1, -2: 64 << 20, -3: 1 << 30}  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD


def keep_freed_memory() -> None:
    """Let the process keep freed blocks: a training step allocates the same ones again and again.

    Saves about a quarter of the time of a step on a Linux CPU, which the kernel spends on clearing pages
    otherwise. It holds for the whole process and for good, so the command line and the processes of a comparison
    ask for it and the library does not. Elsewhere than on glibc it does nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        with contextlib.suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            for parameter, value in _MALLOPT.items():
                mallopt(parameter, value)
