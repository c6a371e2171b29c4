"""Requests to stop: Ctrl-C and SIGTERM, at the next step, after saving; and a callback's, after the epoch."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zarts.errors import Interrupted

__all__ = ["StopEarly", "StopRequest", "asked_by", "interruptible", "stop_request"]

_asked: list[int] = []
"""The signals that have asked this process to stop, in order."""


def asked_by() -> int | None:
    """The first signal that has asked the present command to stop; None: none that could be handled."""
    return _asked[0] if _asked else None


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, which is a whole command, SIGTERM interrupts like Ctrl-C; loops that can save first handle both.

    Afterwards SIGTERM is ignored: nothing is left to stop.
    """
    _asked.clear()
    signal.signal(signal.SIGTERM, _interrupt)
    yield
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _asked.append(number)
    raise KeyboardInterrupt


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
        _asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
