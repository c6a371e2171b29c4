"""Requests to stop: Ctrl-C and SIGTERM, at the next step, after saving; and a callback's, after the epoch."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zarts.errors import Interrupted

__all__ = ["StopEarly", "StopRequest", "stop_request"]


class StopEarly(Exception):
    """Raised by a callback: the run ends after this epoch, and is finished. The text is the reason."""


class StopRequest:
    """A request to stop, which may come at any time.

    Args:
        with_parent: whether this process also stops when the process that started it is gone.
    """

    def __init__(self, *, with_parent: bool = False) -> None:
        self.asked = False
        self._parent = os.getppid() if with_parent else None

    def check(self) -> None:
        """Raise if a stop was requested.

        Raises:
            Interrupted: a signal has come since the start, or the parent is gone.
        """
        if self.asked:
            raise Interrupted("interrupted")
        if self._parent not in (None, os.getppid()):
            raise Interrupted("the process that started the ranks is gone")


@contextmanager
def stop_request(*, with_parent: bool = False) -> Iterator[StopRequest]:
    """Inside, the first SIGINT or SIGTERM only requests a stop; a second SIGINT interrupts at once.

    Python delivers signals to the main thread, so in another thread signals stay as they are.

    Args:
        with_parent: see `StopRequest`.
    """
    request = StopRequest(with_parent=with_parent)

    def handle(number: int, frame: FrameType | None) -> None:
        if request.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        request.asked = True

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
