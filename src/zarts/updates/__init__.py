"""Who moves alpha, and by what."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from zarts.config import SearchSettings
from zarts.updates.base import AlphaUpdate
from zarts.updates.gradient import GradientUpdate
from zarts.updates.zero_order import ZeroOrderUpdate
from zarts.zo import OPTIMIZERS

__all__ = ["UPDATES", "AlphaUpdate", "GradientUpdate", "ZeroOrderUpdate"]


def _zero_order(name: str, settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> AlphaUpdate:
    """The keyword parameters of an optimizer are the settings of the same name."""
    kind = OPTIMIZERS[name]
    names = [p.name for p in inspect.signature(kind).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return ZeroOrderUpdate(
        kind(alpha, generator, **{key: getattr(settings, key) for key in names}),
        inner_steps=settings.inner_steps,
        learning_rate=settings.inner_learning_rate,
        momentum=settings.inner_momentum,
        batch_norm=settings.batch_norm,
    )


def _gradient(unrolled: bool, settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> AlphaUpdate:
    return GradientUpdate(
        alpha,
        lr=settings.alpha_lr,
        weight_decay=settings.alpha_weight_decay,
        betas=(settings.alpha_beta1, settings.alpha_beta2),
        hessian=settings.hessian if unrolled else None,
    )


UPDATES: dict[str, Callable[[SearchSettings, Tensor, torch.Generator], AlphaUpdate]] = {
    **{name: partial(_zero_order, name) for name in OPTIMIZERS},
    "gradient": partial(_gradient, False),
    "unrolled": partial(_gradient, True),
}
