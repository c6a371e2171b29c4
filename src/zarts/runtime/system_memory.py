"""Free memory of this machine, and the reuse of freed memory by the C library."""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Iterator
from pathlib import Path

__all__ = ["free_memory", "keep_freed_memory"]

# Parameters of glibc's mallopt(3) and their values: freed memory is kept, and large blocks are reused too.
_MALLOPT = {-1: (1 << 31) - 1, -2: 64 << 20, -3: 1 << 30}  # M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD
_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Files with limit and usage, and the key of the droppable part, of control groups of version 2 and of version 1."""


def keep_freed_memory() -> None:
    """Let the process keep freed memory, because every training step allocates the same blocks again.

    This saves about a quarter of the time of a step on a Linux CPU, in which the kernel would clear pages. It changes
    the whole process for good, so only the command line and the processes of a comparison call it. Without glibc it
    does nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        with contextlib.suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            for parameter, value in _MALLOPT.items():
                mallopt(parameter, value)


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process may still take: those free on the system, or fewer if its control groups allow fewer.

    File caches that the kernel can drop count as free, as in `MemAvailable`; swap does not count.

    Args:
        root: the folder of `proc` and `sys`.

    Returns:
        The bytes; None if the system does not tell, as outside Linux.

    Source: cgroups(7); the kernel's Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
    """
    left = [*_available(root), *(left for group in _groups(root) for left in _left(group))]
    return min(left, default=None)


def _available(root: Path) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 1024


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process's control groups, from the innermost to the topmost; each may have a limit.

    In a container the paths may be those of the host. Then only the topmost folder exists, which is the container's.
    """
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "memory" in controllers.split(","):  # version 2, version 1
                top = root / "sys/fs/cgroup" / ("memory" if controllers else "")
                group = top / path.lstrip("/")
                yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(top))


def _left(group: Path) -> Iterator[int]:
    """Bytes that a group's limit leaves; nothing without a limit."""
    for limit, usage, cache in _FILES:
        with contextlib.suppress(OSError, ValueError):  # ValueError: no limit is the word `max`
            most, used = (int((group / name).read_text()) for name in (limit, usage))
            stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            yield max(0, most - used + int(stat.get(cache, 0)))
