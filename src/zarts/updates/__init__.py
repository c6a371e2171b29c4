"""Who moves alpha, and by what."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from zarts.config import SearchSettings
from zarts.methods import get_method
from zarts.updates.base import AlphaUpdate
from zarts.updates.gradient import GradientUpdate
from zarts.updates.zero_order import ZeroOrderUpdate
from zarts.zo import OPTIMIZERS, ZeroOrderOptimizer

__all__ = ["UPDATES", "AlphaUpdate", "GradientUpdate", "ZeroOrderUpdate", "zero_order_optimizer"]


def zero_order_optimizer(settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> ZeroOrderOptimizer:
    """The optimizer of a zero-order method; its keyword parameters are the settings of the same name.

    Args:
        settings: of a method whose update is a key of `zarts.zo.OPTIMIZERS`.
        alpha: the start, shape (d,).
        generator: what it draws from.
    """
    kind = OPTIMIZERS[get_method(settings.method).update]
    names = [p.name for p in inspect.signature(kind).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return kind(alpha, generator, **{key: getattr(settings, key) for key in names})


def _zero_order(settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> AlphaUpdate:
    return ZeroOrderUpdate(
        zero_order_optimizer(settings, alpha, generator),
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
    **dict.fromkeys(OPTIMIZERS, _zero_order),
    "gradient": partial(_gradient, False),
    "unrolled": partial(_gradient, True),
}
