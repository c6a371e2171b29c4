"""Learning rate schedules of retraining."""

from __future__ import annotations

import math
from collections.abc import Callable

from zarts.config import RetrainSettings
from zarts.config.retrain import TAIL

__all__ = ["SCHEDULES", "cosine", "learning_rate", "rate_at"]


def cosine(start: float, end: float, progress: float) -> float:
    """From `start` at progress 0 to `end` at progress 1 along half a cosine.

    Source: Loshchilov and Hutter, SGDR (ICLR 2017), eq. 5, without restarts.
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _cosine(s: RetrainSettings, epoch: int) -> float:
    return cosine(s.learning_rate, s.learning_rate_min, epoch / s.epochs)


def _linear(s: RetrainSettings, epoch: int) -> float:
    return s.learning_rate_min + (s.learning_rate - s.learning_rate_min) * (1 - epoch / s.epochs)


def _linear_tail(s: RetrainSettings, epoch: int) -> float:
    left, falling = s.epochs - epoch, s.epochs - TAIL
    if left > TAIL:
        return s.learning_rate * (left - TAIL) / falling
    return s.learning_rate * left / (TAIL * falling)  # from 1 / falling, once more over five epochs


def _exponential(s: RetrainSettings, epoch: int) -> float:
    return float(s.learning_rate * s.learning_rate_decay**epoch)


SCHEDULES: dict[str, Callable[[RetrainSettings, int], float]] = {
    "cosine": _cosine,
    "linear": _linear,
    "linear-tail": _linear_tail,
    "exponential": _exponential,
}


def learning_rate(settings: RetrainSettings, epoch: int) -> float:
    """Learning rate of an epoch, counted from 0: the schedule's; in W warm-up epochs (epoch + 1) / W of the full rate.

    Source: cosine and exponential: the released code of Liu et al., DARTS (ICLR 2019), for CIFAR-10 and for ImageNet;
        linear-tail: the released code of ZARTS (NeurIPS 2022) for ImageNet, as in Xu et al., PC-DARTS (ICLR 2020);
        warm-up: the latter's released code for ImageNet.
    """
    if epoch < settings.warmup_epochs:
        return settings.learning_rate * (epoch + 1) / settings.warmup_epochs
    return SCHEDULES[settings.schedule](settings, epoch)


def rate_at(settings: RetrainSettings, step: int, steps: int, falls_at: int | None = None) -> float:
    """Learning rate of a step, counted from 0, of a schedule over the steps.

    Both rise linearly over the first `warmup_share` of the steps. `trapezoid` then is constant and falls linearly, to 0
    behind the last step; it can be cut off or continued while it is constant. `one-cycle` falls along half a cosine.

    Args:
        settings: the recipe.
        step: the step.
        steps: of the whole training.
        falls_at: the first step in which `trapezoid` falls; None: its `cooldown_share` before the end.

    Source: one-cycle: Smith and Topin, Super-convergence (2018), here with a constant momentum; trapezoid: Zhai et al.,
        Scaling vision transformers (CVPR 2022), section 3.3.
    """
    warmup = settings.warmup_share * steps
    if step < warmup:
        return settings.learning_rate * (step + 1) / (warmup + 1)
    if settings.schedule == "one-cycle":
        return cosine(settings.learning_rate, 0.0, (step - warmup) / max(1.0, steps - warmup))
    falls = max(warmup, steps * (1 - settings.cooldown_share)) if falls_at is None else falls_at
    return settings.learning_rate * min(1.0, max(0.0, (steps - step) / max(1, steps - falls)))
