"""Zero-order optimizers made from the settings of a search: which setting goes into which parameter."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zarts.config import GLDSettings, MGSSettings, RSSettings, SearchSettings, ThirdPartySettings
from zarts.methods import member
from zarts.zo import Cmaes, GradientlessDescent, GuidedSearch, Nevergrad, RandomSearch, ZeroOrderOptimizer

__all__ = ["zero_order_optimizer"]


def _mgs(alpha: Tensor, generator: torch.Generator, settings: MGSSettings) -> ZeroOrderOptimizer:
    return GuidedSearch(
        alpha,
        generator,
        samples=settings.samples,
        sigma=settings.sigma,
        sigma_decay=settings.sigma_decay,
        tau=settings.tau,
        esr_target=settings.esr_target,
        mixture_lambda=settings.mixture_lambda,
        proposal=settings.proposal,
        importance_weights=settings.importance_weights,
        antithetic=settings.antithetic,
        arch_learning_rate=settings.arch_learning_rate,
    )


def _rs(alpha: Tensor, generator: torch.Generator, settings: RSSettings) -> ZeroOrderOptimizer:
    return RandomSearch(
        alpha,
        generator,
        samples=settings.samples,
        estimator=settings.estimator,
        directions=settings.directions,
        smoothing=settings.smoothing,
        arch_learning_rate=settings.arch_learning_rate,
    )


def _gld(alpha: Tensor, generator: torch.Generator, settings: GLDSettings) -> ZeroOrderOptimizer:
    return GradientlessDescent(
        alpha,
        generator,
        radius_max=settings.radius_max,
        radius_min=settings.radius_min,
        directions=settings.directions,
        radius_decay=settings.radius_decay,
    )


def _cmaes(alpha: Tensor, generator: torch.Generator, settings: ThirdPartySettings) -> ZeroOrderOptimizer:
    return Cmaes(alpha, generator, samples=settings.samples, sigma=settings.sigma)


def _nevergrad(alpha: Tensor, generator: torch.Generator, settings: SearchSettings) -> ZeroOrderOptimizer:
    name = settings.arch_optimizer.partition(":")[2]
    named = [name] if name else []  # else its own default
    return Nevergrad(alpha, generator, *named, samples=settings.samples, sigma=settings.sigma)


_FACTORIES: dict[str, Callable[[Tensor, torch.Generator, SearchSettings], ZeroOrderOptimizer]] = {
    "mgs": _mgs,
    "rs": _rs,
    "gld": _gld,
    "cmaes": _cmaes,
    "nevergrad": _nevergrad,
}
"""A factory for each of `zarts.zo.OPTIMIZERS`; each takes only the settings of its optimizer."""


def zero_order_optimizer(settings: SearchSettings, alpha: Tensor, generator: torch.Generator) -> ZeroOrderOptimizer:
    """The optimizer of a zero-order method.

    Args:
        settings: their `arch_optimizer` is a key of `zarts.zo.OPTIMIZERS`, or `nevergrad:NAME`.
        alpha: the start, shape (d,).
        generator: the source of randomness.
    """
    return _FACTORIES[member(settings.arch_optimizer)](alpha, generator, settings)
