"""Mean loss, accuracy and time of an epoch, in a form that a checkpoint can hold; and the wait for data in it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Meter", "WaitNote"]

_SHARE, _SECONDS = 0.05, 1.0
"""The wait for data is told from this share of an epoch's steps on, and this many seconds of a run."""


class Meter:
    """Sums of the epoch so far; they stay on the device, so that no step waits for them."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device, dtype=torch.float32)
        self._correct = torch.zeros((), device=device, dtype=torch.long)
        self._images = 0
        self.seconds = 0.0
        self._steps_seconds = 0.0
        self.waited = 0.0
        """Seconds in which steps waited for their batches; part of their time."""

    def add(self, loss: Float[Tensor, ""], correct: Int[Tensor, ""], images: int, seconds: float) -> None:
        """Add one batch: its mean loss, number of right answers, number of images, and time."""
        self._loss += loss.detach() * images
        self._correct += correct
        self._images += images
        self.seconds += seconds
        self._steps_seconds += seconds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside, a step waits for its batch."""
        start = time.perf_counter()
        yield
        self.waited += time.perf_counter() - start

    @property
    def data_wait(self) -> float:
        """Share of the steps' time in which they waited for their batches, in [0, 1]."""
        return self.waited / self._steps_seconds if self._steps_seconds > 0 else 0.0

    def means(self) -> dict[str, float]:
        """Mean loss and accuracy in percent."""
        return {
            "train_loss": self._loss.item() / self._images,
            "train_accuracy": 100 * self._correct.item() / self._images,
        }

    def state_dict(self) -> dict[str, Any]:
        """The sums."""
        times = {"seconds": self.seconds, "steps_seconds": self._steps_seconds, "waited": self.waited}
        return {"loss": self._loss, "correct": self._correct, "images": self._images, **times}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        self._loss, self._correct = state["loss"].clone(), state["correct"].clone()
        self._images, self.seconds = state["images"], state["seconds"]
        self._steps_seconds, self.waited = state.get("steps_seconds", 0.0), state.get("waited", 0.0)  # new in 0.2


class WaitNote:
    """Says once in a run that steps wait for their batches, as soon as it costs a twentieth of an epoch, and a second.

    Args:
        waited: seconds of the wait so far; None: it has been said.
    """

    def __init__(self) -> None:
        self.waited: float | None = 0.0

    def text(self, meter: Meter, *, prefetched: bool) -> str | None:
        """The note at the end of an epoch; None: there is nothing to say.

        Args:
            meter: that of the epoch.
            prefetched: whether threads make the images of batches; else the batches are made whole, of images in
                memory.
        """
        if self.waited is None:
            return None
        self.waited += meter.waited
        if meter.data_wait <= _SHARE or self.waited < _SECONDS:
            return None
        self.waited = None
        way_out = (
            "more --workers, --image-cache memory or a smaller --image-size shorten it"
            if prefetched
            else "the images are in memory, and the network is small for their augmentation"
        )
        return f"{meter.data_wait:.0%} of the steps' time is a wait for images: {way_out}"
