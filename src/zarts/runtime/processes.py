"""What processes of one machine mean to each other: locks, and an end together with the process that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zarts.errors import RunError

if sys.platform != "win32":
    import fcntl

__all__ = ["PARENT", "end_with_parent", "locked"]

PARENT = "ZARTS_PARENT"
"""Environment variable for a process that ends with the one that starts it: the number of that one."""
PATIENCE_SECONDS = 3.0
"""How long a lock of another process is waited for."""
_POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have this process killed as soon as the one that started it is gone, even if that is gone by now.

    It does so for a process that has the variable `PARENT`, or is a rank of torchrun, and nothing for others. On Linux
    the system does it; elsewhere a thread looks.
    """
    parent = os.environ.pop(PARENT, None)
    if (parent is None and "TORCHELASTIC_RUN_ID" not in os.environ) or sys.platform == "win32":
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    if parent is not None and os.getppid() != int(parent):
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(1)


@contextmanager
def locked(path: Path, message: str, *, waits: bool = True) -> Iterator[bool]:
    """Inside, this process alone on this system locks `path`.

    A process that is being killed holds its lock for a moment, so another one's is waited for, for a short time.

    Args:
        path: a file or a folder that exists.
        message: of the error if another process holds the lock.
        waits: whether to wait.

    Yields:
        Whether it is locked: Windows and some file systems have no locks.

    Raises:
        RunError: another process holds the lock, or `path` cannot be opened.
    """
    if sys.platform == "win32":
        yield False
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise RunError(f"{path}: cannot be opened ({error.strerror})") from error
    try:
        yield _locks(descriptor, message, PATIENCE_SECONDS if waits else 0.0)
    finally:
        os.close(descriptor)


def _locks(descriptor: int, message: str, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise RunError(message) from None
            time.sleep(_POLL_SECONDS)
        except OSError:
            return False
        else:
            return True
