"""MGS: maximum-likelihood guided parameter search, the default optimiser of ZARTS."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from zarts.zo.base import Pending, Randomness, Step, Vector, ZeroOrderOptimizer
from zarts.zo.mgs_weights import effective_samples, log_density, released_weights, solve_tau
from zarts.zo.sampling import sample_gaussian
from zarts.zo.validation import DECAYS, check, check_choice, decay

__all__ = ["GuidedSearch"]


class GuidedSearch(ZeroOrderOptimizer):
    """Moves by the weighted mean of samples drawn around the negative gradient.

    u_i ~ q(u) = (1 - lambda) N(-g, sigma^2) + lambda N(0, sigma^2)   (eq. 8)
    move = sum_i c_i u_i,  c_i ~ exp(-L(x + u_i) / tau) / q(u_i),  sum_i c_i = 1   (eq. 7)

    With importance weights `softmax` the mean move is -g - (sigma^2 / tau) grad L on a linear loss: the losses weigh
    sigma^2 / tau where the gradient weighs 1.

    Args:
        x: the start, shape (d,).
        generator: the source of randomness, on the device of x, or a seed.
        samples: N. Paper 4; 8 from our runs, where the move follows the losses with 4 antithetic pairs.
        sigma: standard deviation of a sample in each coordinate. Released scripts 0.025 (DARTS space) and 0.2
            (S1-S4); at 0.025 the losses have about 6 % of the move, most of it noise, so 0.2.
        sigma_decay: `cosine` (released scripts) or `constant`.
        tau: temperature, or `auto`: solved at every `tell` so that softmax(-L / tau) has N_e / N = `esr_target`.
            Released scripts 0.01, which fits one spread of the losses only; `auto` fits each.
        esr_target: for tau `auto`. 0.5 from our runs; the paper's curves end near 0.7. Losses that are not finite do
            not count in N; where N_e would be 1 or less, the best sample has all weight. With importance weights
            `exact`, 1 / q lowers N_e further.
        mixture_lambda: part of the samples drawn without the gradient, in [0, 1]; at 1 none is used;
            where `ask` gets none, every lambda of a `mixture` draws alike. 1e-3 as
            released.
        proposal: `mixture` (eq. 8), or `sum` of two Gaussian variables (released code).
        importance_weights: `exact` (eq. 7); `released`, see `released_weights`; `softmax`, c_i ~ exp(-L_i / tau).
            Default `softmax`: at 196 dimensions `exact` picks the longest sample whatever its loss (N_e 1.2 of 4),
            and `released` is `softmax` but for rounding.
        antithetic: draw pairs with opposite noise around the same centre; with an odd number the last has no partner.
            Not in the paper; from our runs.
        arch_learning_rate: factor on the move; 1 in the paper.

    `Step.info` has sigma, tau, and ess_exact (N_e of the `exact` weights) where others are used.

    Raises:
        SettingsError: a setting is out of its range.

    Source: Wang et al., ZARTS (NeurIPS 2022), supplementary 1.3, eq. 7-9, after Welleck and Cho, MGS (AAAI 2021).
    Differs: tau `auto`, antithetic pairs; L(x) cancels in eq. 7 and is not evaluated.
    """

    def __init__(
        self,
        x: Vector,
        generator: Randomness = 0,
        *,
        samples: int = 8,
        sigma: float = 0.2,
        sigma_decay: str = "cosine",
        tau: float | str = "auto",
        esr_target: float = 0.5,
        mixture_lambda: float = 1e-3,
        proposal: str = "mixture",
        importance_weights: str = "softmax",
        antithetic: bool = True,
        arch_learning_rate: float = 1.0,
    ) -> None:
        super().__init__(x, generator)
        check(samples >= 1, "samples", "a whole number >= 1", samples, "the paper has 4")
        check(0 < sigma < math.inf, "sigma", "a number > 0", sigma, "0.2 suits alphas of order 1")
        check_choice("sigma_decay", sigma_decay, DECAYS)
        if isinstance(tau, str):
            check(tau == "auto", "tau", "a number > 0 or 'auto'", tau, "'auto' fits it to the losses")
            check(
                0 < esr_target < 1, "esr_target", "a number in (0, 1)", esr_target, "0.5 lets half of the samples count"
            )
        else:
            check(0 < tau < math.inf, "tau", "a number > 0 or 'auto'", tau, "'auto' fits it to the losses")
        check(0 <= mixture_lambda <= 1, "mixture_lambda", "a number in [0, 1]", mixture_lambda, "1 uses no gradient")
        check_choice("proposal", proposal, ("mixture", "sum"))
        check_choice("importance_weights", importance_weights, ("exact", "released", "softmax"))
        check(
            0 < arch_learning_rate < math.inf,
            "arch_learning_rate",
            "a number > 0",
            arch_learning_rate,
            "the paper has 1",
        )
        self.samples, self.antithetic, self.arch_learning_rate = samples, antithetic, arch_learning_rate
        self.sigma, self.sigma_decay = sigma, sigma_decay
        self.tau, self.esr_target = tau, esr_target
        self.mixture_lambda, self.proposal, self.importance_weights = mixture_lambda, proposal, importance_weights

    @property
    def uses_gradient(self) -> bool:
        """Unless lambda is 1."""
        return self.mixture_lambda < 1

    @property
    def scale(self) -> float:
        """Sigma at this progress."""
        return self.sigma * decay(self.sigma_decay, self.progress)

    def _sample(self, scale: float, gradient: Float[Tensor, " d"]) -> Float[Tensor, "n d"]:
        rows = (self.samples + 1) // 2 if self.antithetic else self.samples
        noise = sample_gaussian(rows, self.x, self.generator)
        if self.proposal == "mixture":
            draws = torch.rand(rows, 1, generator=self.generator, dtype=self.x.dtype, device=self.x.device)
            centre = torch.where(draws < self.mixture_lambda, 0.0, -gradient)  # (eq. 8)
        else:
            guided, unguided = 1 - self.mixture_lambda, self.mixture_lambda
            noise = guided * noise + unguided * sample_gaussian(rows, self.x, self.generator)
            centre = -guided * gradient
        if self.antithetic:
            return torch.cat([centre + scale * noise, centre - scale * noise])[: self.samples]
        return centre + scale * noise

    def _weigh(self, losses: Float[Tensor, " n"], pending: Pending) -> Step:
        perturbations, gradient = (t.cpu().double() for t in (pending.perturbations, pending.gradient))
        sigma, mix = pending.scale, self.mixture_lambda
        tau = solve_tau(losses[losses.isfinite()], self.esr_target) if isinstance(self.tau, str) else self.tau
        scores = -(losses - losses.min()) / tau
        density = log_density(perturbations, gradient, sigma, mix, self.proposal)
        exact = torch.softmax(scores - density, 0)  # (eq. 7)
        info = {"sigma": sigma, "tau": tau}
        if self.importance_weights == "exact":
            weights = exact
        else:
            info["ess_exact"] = effective_samples(exact)
            released = self.importance_weights == "released"
            weights = (
                released_weights(losses, tau, perturbations, gradient, sigma, mix) if released else scores.softmax(0)
            )
        weights = weights.to(self.x)
        return Step(self.arch_learning_rate * (weights @ pending.perturbations), weights, info)
