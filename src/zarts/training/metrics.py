"""Mean loss, accuracy and time of an epoch, in a form that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["Meter"]


class Meter:
    """Sums of the epoch so far; they stay on the device, so that no step waits for them."""

    def __init__(self, device: torch.device) -> None:
        self._loss = torch.zeros((), device=device, dtype=torch.float32)
        self._correct = torch.zeros((), device=device, dtype=torch.long)
        self._images = 0
        self.seconds = 0.0

    def add(self, loss: Float[Tensor, ""], correct: Int[Tensor, ""], images: int, seconds: float) -> None:
        """Add one batch: its mean loss, number of right answers, number of images, and time."""
        self._loss += loss.detach() * images
        self._correct += correct
        self._images += images
        self.seconds += seconds

    def means(self) -> dict[str, float]:
        """Mean loss and accuracy in percent."""
        return {
            "train_loss": self._loss.item() / self._images,
            "train_accuracy": 100 * self._correct.item() / self._images,
        }

    def state_dict(self) -> dict[str, Any]:
        """The sums."""
        return {"loss": self._loss, "correct": self._correct, "images": self._images, "seconds": self.seconds}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`."""
        self._loss, self._correct = state["loss"].clone(), state["correct"].clone()
        self._images, self.seconds = state["images"], state["seconds"]
