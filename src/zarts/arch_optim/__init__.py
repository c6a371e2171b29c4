"""Arch optimizers: each owns alpha and updates it.

Outside, make one through `ARCH_OPTIMIZERS` and use only the methods of `ArchOptimizer`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from zarts.arch_optim.base import ArchOptimizer
from zarts.arch_optim.fixed import FixedArchOptimizer
from zarts.arch_optim.gradient import GradientArchOptimizer, Rule, amended, first_order, unrolled
from zarts.arch_optim.optimizers import zero_order_optimizer
from zarts.arch_optim.reinforce import ReinforceArchOptimizer
from zarts.arch_optim.zero_order import ZeroOrderArchOptimizer
from zarts.config import AdamSettings, SearchSettings
from zarts.runtime.seed import keyed_generator
from zarts.spaces import get_space
from zarts.zo import OPTIMIZERS

__all__ = [
    "ARCH_OPTIMIZERS",
    "ArchOptimizer",
    "FixedArchOptimizer",
    "GradientArchOptimizer",
    "ReinforceArchOptimizer",
    "ZeroOrderArchOptimizer",
    "zero_order_optimizer",
]


def _zero_order(settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> ArchOptimizer:
    return ZeroOrderArchOptimizer(
        zero_order_optimizer(settings, alpha, generator),
        inner_steps=settings.inner_steps,
        learning_rate=settings.inner_learning_rate,
        momentum=settings.inner_momentum,
        batch_norm=settings.batch_norm,
        uses_losses=settings.ablation == "none",
    )


def _by_adam(rule: Rule, settings: AdamSettings, alpha: Tensor) -> ArchOptimizer:
    return GradientArchOptimizer(
        alpha,
        lr=settings.arch_learning_rate,
        weight_decay=settings.arch_weight_decay,
        betas=(settings.arch_beta1, settings.arch_beta2),
        rule=rule,
    )


def _gradient(settings: AdamSettings, alpha: Tensor, generator: torch.Generator) -> ArchOptimizer:
    return _by_adam(first_order, settings, alpha)


def _unrolled(settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> ArchOptimizer:
    return _by_adam(partial(unrolled, hessian=settings.hessian), settings, alpha)


def _amended(settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> ArchOptimizer:
    return _by_adam(partial(amended, amend_strength=settings.amend_strength), settings, alpha)


def _reinforce(settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> ArchOptimizer:
    return ReinforceArchOptimizer(
        get_space(settings.space),
        alpha,
        keyed_generator(settings.seed, "controller"),
        samples=settings.samples,
        lr=settings.arch_learning_rate,
        weight_decay=settings.arch_weight_decay,
        betas=(settings.arch_beta1, settings.arch_beta2),
        entropy_weight=settings.entropy_weight,
        baseline_decay=settings.baseline_decay,
        batch_norm=settings.batch_norm,
    )


def _fixed(settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> ArchOptimizer:
    return FixedArchOptimizer(torch.zeros_like(alpha))


ARCH_OPTIMIZERS: dict[str, Callable[[SearchSettings, Tensor, torch.Generator], ArchOptimizer]] = {
    **dict.fromkeys(OPTIMIZERS, _zero_order),
    "gradient": _gradient,
    "unrolled": _unrolled,
    "amended": _amended,
    "reinforce": _reinforce,
    "none": _fixed,
}
