"""Weights of the samples of MGS, from losses and proposal density."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["effective_samples", "log_density", "released_weights", "solve_tau"]


def effective_samples(weights: Float[Tensor, " n"]) -> float:
    """N_e = 1 / sum c_i^2 of weights with sum 1: N if all are equal, 1 if one sample has all weight."""
    return float(1 / weights.square().sum())


def log_density(
    perturbations: Float[Tensor, "n d"],
    gradient: Float[Tensor, " d"],
    sigma: float,
    mixture_lambda: float,
    proposal: str,
) -> Float[Tensor, " n"]:
    """Logarithm of the density that the perturbations were drawn from, without the common normaliser.

    mixture: (1 - lambda) N(-g, sigma^2) + lambda N(0, sigma^2) (eq. 8).
    sum: N(-(1 - lambda) g, ((1 - lambda)^2 + lambda^2) sigma^2), what the released code draws from.
    """
    guided, unguided = 1 - mixture_lambda, mixture_lambda
    if proposal == "sum":
        variance = (guided**2 + unguided**2) * sigma**2
        return -(perturbations + guided * gradient).square().sum(1) / (2 * variance)
    squares = torch.stack([(perturbations + gradient).square().sum(1), perturbations.square().sum(1)])
    priors = perturbations.new_tensor([[guided], [unguided]]).log()
    return torch.logsumexp(priors - squares / (2 * sigma**2), 0)  # (eq. 8)


def released_weights(
    losses: Float[Tensor, " n"],
    tau: float,
    perturbations: Float[Tensor, "n d"],
    gradient: Float[Tensor, " d"],
    sigma: float,
    mixture_lambda: float,
) -> Float[Tensor, " n"]:
    """The weights of the released code, mistakes included, in float32 as there.

    The second square is multiplied by the variance (precedence: `/ 2. * var`), the density is not normalised,
    and 1e-4 is added to it. In 30 dimensions and more the density is then nearly constant, and the weights
    are softmax(-L / tau) but for rounding.

    Source: released code of ZARTS, `cnn/train_search.py`, lines 390-397.
    Differs: the losses are taken relative to the best sample, not to L(alpha), so that no exponential overflows.
    """
    gaps, perturbations, gradient = (losses - losses.min()).float(), perturbations.float(), gradient.float()
    near = torch.exp(-(perturbations + gradient).square().sum(1) / (2 * sigma**2))
    prior = torch.exp(-perturbations.square().sum(1) / 2.0 * sigma**2)
    density = (1 - mixture_lambda) * near + mixture_lambda * prior
    weights = torch.exp(-gaps / tau) / (density + 1e-4)
    return weights / weights.sum()


def solve_tau(losses: Float[Tensor, " n"], esr_target: float) -> float:
    """The temperature at which softmax(-L / tau) has N_e / N = `esr_target`, by bisection in log tau.

    N_e grows with tau (d log N_e / d beta = 2 A'(beta) - 2 A'(2 beta) <= 0 with beta = 1 / tau and the convex
    A = logsumexp(-beta L)), so there is one solution. Where several samples share the lowest loss and the
    target asks for fewer, tau is so small that they share all weight.

    Args:
        losses: finite. Equal losses have uniform weights at every tau; 1 is returned.
        esr_target: in (0, 1); at 1 / N and below the lowest loss has all weight.
    """
    gaps = losses - losses.min()
    spread = float(gaps.max())
    if spread < 1e-250:
        return 1.0
    low, high = math.log(spread) - 30, math.log(spread) + 15
    for _ in range(60):
        middle = (low + high) / 2
        weights = torch.softmax(-gaps / math.exp(middle), 0)
        if effective_samples(weights) < esr_target * len(losses):
            low = middle
        else:
            high = middle
    return math.exp(high)
