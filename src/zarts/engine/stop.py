"""Ctrl-C and SIGTERM as a wish to stop at the next step, so that the state can be saved first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zarts.errors import Interrupted

__all__ = ["StopRequest", "stop_request"]


class StopRequest:
    """Whether somebody asked to stop.

    Args:
        way_on: what the message ends with: where the state is, and the command that goes on from it.
    """

    def __init__(self, way_on: str = "") -> None:
        self.asked = False
        self._way_on = way_on

    def check(self) -> None:
        """Raise if somebody asked.

        Raises:
            Interrupted: a signal has come since the start.
        """
        if self.asked:
            raise Interrupted(f"interrupted{self._way_on}")


@contextmanager
def stop_request(way_on: str = "") -> Iterator[StopRequest]:
    """Inside, the first SIGINT or SIGTERM only marks the request; a second SIGINT interrupts at once.

    Python delivers signals to the main thread; in another one nothing is changed.

    Args:
        way_on: see `StopRequest`.
    """
    request = StopRequest(way_on)

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
            signal.signal(number, handler)
