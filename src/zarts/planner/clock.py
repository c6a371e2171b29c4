"""The seconds of a training, at the pace that the machine had when the fit began."""

from __future__ import annotations

import time
from functools import cache
from statistics import mean, median

import torch
from torch import Tensor
from torch.nn.functional import conv2d

__all__ = ["Clock"]

_EVERY = 1.0
"""CPU seconds from one timing of the reference to the next; it takes less than a hundredth of that."""
_FIRST = 0.1
"""The same where the pace of the beginning is found."""
_BLOCKS = 3


class Clock:
    """Seconds of a training: on a CPU of this process, at the pace at which the fit began, else those that pass.

    A processor is slower while its neighbours work, and when it is warm: the same step took 50 % more CPU seconds at
    one time than at another. So a fixed calculation, the reference, is timed once a second, and seconds count as
    many times as much as it is faster than when the fit began. Trainings that are compared then have the same time on a
    machine of the same speed.

    Args:
        device: where the network is trained.
        before: seconds of the training that this one continues.
        deadline: by `time.monotonic()`; None: none.
        pace: seconds of the reference when the fit began; None: not known, seconds count as they are.
    """

    def __init__(self, device: torch.device, before: float, deadline: float | None, pace: float | None) -> None:
        self._device, self._before, self._deadline, self._nominal = device, before, deadline, pace
        self._times: list[float] = []
        self._speed = self._timed()
        self._counted = 0.0
        self._mark, self._wall = self._now(), time.monotonic()

    def _now(self) -> float:
        if self._device.type == "cpu":
            return time.process_time()
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()

    def _timed(self) -> float:
        """How much faster than at the beginning the reference is now."""
        if self._device.type != "cpu":
            return 1.0
        self._times.append(reference_seconds())
        return 1.0 if self._nominal is None else self._nominal / self._times[-1]

    @property
    def pace(self) -> float | None:
        """Seconds of the reference, the mean over the training so far; None: this is no CPU."""
        return mean(self._times) if self._times else None

    def seconds(self) -> float:
        """So far, those of the training that this one continues included."""
        passed = self._now() - self._mark
        if passed >= (_EVERY if self._nominal is not None else _FIRST):
            before, self._speed = self._speed, self._timed()
            self._counted += passed * (before + self._speed) / 2
            self._mark, passed = self._now(), 0.0
        return self._before + self._counted + passed * self._speed

    def left(self, seconds: float) -> float:
        """Seconds that are left of `seconds` in all, or until the deadline if that is earlier."""
        used = self.seconds()
        if self._deadline is None:
            return seconds - used
        now, passed = time.monotonic(), used - self._before
        share = min(1.0, passed / max(1e-3, now - self._wall)) if passed > 1 else 1.0
        return min(seconds - used, share * (self._deadline - now))


def reference_seconds() -> float:
    """CPU seconds of the reference, the median of three: a product of matrices and two convolutions, in one thread."""
    matrix, images, kernel = _operands()
    found = []
    with torch.inference_mode():
        for _ in range(_BLOCKS):
            begun = time.thread_time()  # other threads read images
            torch.mm(matrix, matrix)
            for _ in range(2):
                conv2d(images, kernel, padding=1)
            found.append(time.thread_time() - begun)
    return max(1e-6, median(found))


@cache
def _operands() -> tuple[Tensor, Tensor, Tensor]:
    """A matrix, images and kernels, without any random number."""

    def filled(*shape: int) -> Tensor:
        count = torch.Size(shape).numel()
        return torch.linspace(-1, 1, count).reshape(shape)

    images = filled(16, 16, 14, 14).to(memory_format=torch.channels_last)
    return filled(256, 256), images, filled(16, 16, 3, 3).to(memory_format=torch.channels_last)
