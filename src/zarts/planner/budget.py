"""The time of a fit."""

from __future__ import annotations

import math
import time

__all__ = ["Budget"]


class Budget:
    """The time of a fit, from the start of its command; its end is never moved.

    Args:
        seconds: in all; infinite for one that repeats another, whatever time that takes.
        begun: when the command began, by `time.perf_counter`.
        before: seconds that earlier parts of a resumed fit have taken.
        finish: seconds for writing files, from the end of the last training.
        images: that are answered after it, each once.
        more: seconds, and images, that each seed of the finalists but the first adds to these.
    """

    def __init__(
        self,
        seconds: float,
        begun: float,
        before: float,
        finish: float,
        images: int = 0,
        more: tuple[float, int] = (0.0, 0),
    ) -> None:
        self.seconds, self._begun, self.finish, self._images = seconds, begun - before, finish, images
        self._more = more
        self.reserved = 0.0
        """Seconds of what is left that are for later stages."""

    def answer(self, seconds: float) -> None:
        """Keep the time for answering an image free, for all that are answered after the last training."""
        self.finish += seconds * self._images
        self._images = 0

    def more_seeds(self, seeds: int, seconds: float) -> None:
        """Keep the time for the files of so many seeds free; an image is answered in so many seconds."""
        self.finish += (seeds - 1) * (self._more[0] + seconds * self._more[1])

    def elapsed(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._begun

    def left(self) -> float:
        """Seconds that are left for trainings of this stage."""
        return self.seconds - self.elapsed() - self.finish - self.reserved

    def deadline(self) -> float | None:
        """When the last training of this stage has to have ended, by `time.monotonic`; None: never."""
        return None if math.isinf(self.seconds) else time.monotonic() + self.left()
