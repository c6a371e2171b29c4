"""Signal and noise in candidate losses, from perturbations of alpha that are evaluated on several draws of batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import scipy  # its parts are imported when they are used
import torch
from jaxtyping import Float
from torch import Tensor

from zarts.analysis.variance_components import Components, Interval, components
from zarts.bilevel import Evaluator, first_order_gradient
from zarts.errors import DivergedError
from zarts.runtime.seed import keyed_generator
from zarts.searcher import RestoredSearch

__all__ = ["Measurement", "Needed", "measure", "needed"]

_STREAM = "diagnose"


class Needed(NamedTuple):
    """The settings that would each bring the signal-to-noise ratio to 1, all else unchanged; None: no value does.

    Args:
        samples: N at which signal and noise contribute equally to the length of the update of alpha: d / snr, see
            `needed`.
        val_batches: validation batches of a loss.
    """

    samples: int | None
    val_batches: int | None


@dataclass(frozen=True)
class Measurement:
    """Variance components of the losses of perturbations of one size, after one number of inner steps.

    Args:
        sigma: standard deviation of the perturbations in each coordinate.
        inner_steps: M.
        parts: the components of the variance of their losses.
        correlation: between the mean value of a perturbation and its first-order prediction g u, where g is computed on
            other validation batches than the values: 1 if values and gradient agree. Where the objective has no
            gradient, g is that of the loss.
        needed: see `Needed`.
    """

    sigma: float
    inner_steps: int
    parts: Components
    correlation: Interval
    needed: Needed


def measure(
    found: RestoredSearch,
    sigma: float,
    inner_steps: int,
    *,
    candidates: int,
    draws: int,
    val_batches: int,
    seed: int = 0,
    confidence: float = 0.95,
    progress: Callable[[int], None] = lambda done: None,
) -> Measurement:
    """Evaluate the same perturbations u ~ N(0, sigma^2 I) of alpha on several draws of batches.

    A draw is M training batches and the validation batches of one loss. No batch is in two draws. All candidates of a
    draw share its batches, as in the search, and the noise of a relaxation that draws noise.

    Args:
        found: the search at its last checkpoint; it is left as it is.
        sigma: standard deviation in each coordinate; the directions are the same for every sigma.
        inner_steps: M.
        candidates: number of perturbations, 3 or more.
        draws: number of draws of batches, 2 or more.
        val_batches: validation batches of a loss.
        seed: of the perturbations.
        confidence: of the intervals.
        progress: called after each draw with the number of draws that are done.

    Raises:
        DivergedError: fewer than three perturbations have finite losses.
        Interrupted: asked to stop.
    """
    problem, settings = found.problem, found.settings
    objective = problem.objective
    slope = problem if objective is None or objective.differentiable else replace(problem, objective=None)
    noise = torch.randn(candidates, len(found.alpha), generator=keyed_generator(seed, _STREAM, "moves"))
    perturbations = sigma * noise.to(found.alpha)
    tables, gradients = [], []
    with problem.preserved() as snapshot:
        for draw in range(draws):
            for generator in problem.generators:
                generator.set_state(keyed_generator(seed, _STREAM, draw, device=generator.device).get_state())
            train = [found.train[found.global_step + draw * inner_steps + i] for i in range(inner_steps)]
            val, other = (
                [found.val[first + i] for i in range(val_batches)] for first in _first_batches(draw, draws, val_batches)
            )
            gradients.append(first_order_gradient(slope, found.alpha, other)[1])
            evaluator = Evaluator(
                problem,
                learning_rate=settings.inner_learning_rate,
                momentum=settings.inner_momentum,
                batch_norm=settings.batch_norm,
            )
            evaluated = evaluator.evaluate(found.alpha + perturbations, train, val)
            means = bool(evaluated.images.isfinite().any())
            tables.append(evaluated.images if means else evaluated.values[:, None])
            progress(draw + 1)
        snapshot.restore()
    least = min(table.shape[1] for table in tables)
    losses = torch.stack([table[:, :least] for table in tables], 1).double().cpu()
    finite = losses.isfinite().all(2).all(1)
    if int(finite.sum()) < 3:
        raise DivergedError(
            f"sigma {sigma:g}: {int(finite.sum())} of {candidates} perturbations have finite losses: take a smaller one"
        )
    losses = losses[finite]
    parts = components(losses, confidence)
    predicted = (perturbations @ torch.stack(gradients).mean(0)).double().cpu()[finite]
    return Measurement(
        sigma,
        inner_steps,
        parts,
        _correlation(losses.mean((1, 2)), predicted, confidence),
        needed(parts, len(found.alpha), val_batches),
    )


def _first_batches(draw: int, draws: int, val_batches: int) -> tuple[int, int]:
    """Indices of the first validation batch of a draw: for its losses, and for its gradient."""
    return draw * val_batches, (draws + draw) * val_batches


def needed(parts: Components, dimensions: int, val_batches: int) -> Needed:
    """The settings that would each bring the ratio to 1, by the point estimates.

    N: with weights that are linear in the losses (the first order of softmax(-L / tau)), the update of alpha is the
    mean of -(L_i - mean L) u_i / tau. If the loss is linear in u, var(a) = sigma^2 |g|^2, the update has the length
    sigma var(a)^(1/2) / tau along -g, and the noise of the losses, var(e), adds d sigma^2 var(e) / (N tau^2) to its
    square: both are equal at N = d var(e) / var(a).

    Validation batches: the noise of the validation images falls as one over the number of batches; the noise of the
    training batches stays.
    """
    signal = parts.perturbation.value
    if signal <= 0:
        return Needed(None, None)
    if parts.images is None:
        return Needed(math.ceil(dimensions / parts.snr.value), None)
    training = max(0.0, parts.interaction.value - parts.images)
    more = parts.images * val_batches / (signal - training) if signal > training else None
    return Needed(math.ceil(dimensions / parts.snr.value), None if more is None else max(1, math.ceil(more)))


def _correlation(losses: Float[Tensor, " n"], predicted: Float[Tensor, " n"], confidence: float) -> Interval:
    """Pearson's correlation with Fisher's interval: -1 to 1 for fewer than four values; 0 if either does not vary."""
    if losses.std() == 0 or predicted.std() == 0:
        return Interval(0.0, -1.0, 1.0)
    value = float(scipy.stats.pearsonr(losses.numpy(), predicted.numpy()).statistic)
    if len(losses) < 4:
        return Interval(value, -1.0, 1.0)
    half = float(scipy.stats.norm.ppf((1 + confidence) / 2)) / math.sqrt(len(losses) - 3)
    middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
    return Interval(value, math.tanh(middle - half), math.tanh(middle + half))
