"""What the losses of moves of alpha consist of: the same moves, judged again and again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy.stats import norm, pearsonr
from torch import Tensor

from zarts.analysis.variance_components import Components, Interval, components
from zarts.bilevel import evaluate_images, first_order_gradient
from zarts.errors import DivergedError
from zarts.runtime.seed import keyed_generator
from zarts.searcher import RestoredSearch

__all__ = ["Measurement", "Needed", "measure", "needed"]

_STREAM = "diagnose"


class Needed(NamedTuple):
    """What would bring the signal-to-noise ratio to 1, all else as it is; None: that cannot.

    Args:
        samples: N at which the part of the move that follows the losses is as long as the part that follows their
            noise, whatever the ratio: d / snr, see `needed`.
        val_batches: validation batches in one loss.
    """

    samples: int | None
    val_batches: int | None


@dataclass(frozen=True)
class Measurement:
    """What the losses of moves of one size consist of, after one number of inner steps.

    Args:
        sigma: standard deviation of the moves in each coordinate.
        inner_steps: M.
        parts: the variance of their losses.
        correlation: of a move's mean loss and the first-order prediction g u, of other validation batches than those
            of the losses: 1 where the losses say what the gradient says. (Of the improvement and -g u it is the same.)
        needed: see there.
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
    heard: Callable[[int], None] = lambda done: None,
) -> Measurement:
    """Judge the same moves u ~ N(0, sigma^2 I) of alpha on several draws of batches.

    A draw is M training batches and the validation batches of one loss, all of them different from those of the other
    draws, and common to all candidates, as in the search; also relaxations that draw noise have the same one for all.

    Args:
        found: the search, where it stands; it is left as it is.
        sigma: standard deviation in each coordinate; the directions are the same for every sigma.
        inner_steps: M.
        candidates: moves, three or more.
        draws: of batches, two or more.
        val_batches: in one loss.
        seed: of the moves.
        confidence: of the intervals.
        heard: told how many draws are done.

    Raises:
        DivergedError: fewer than three moves have finite losses.
        Interrupted: asked to stop.
    """
    problem, settings = found.problem, found.settings
    noise = torch.randn(candidates, len(found.alpha), generator=keyed_generator(seed, _STREAM, "moves"))
    moves = sigma * noise.to(found.alpha)
    tables, gradients = [], []
    with problem.preserved() as snapshot:
        for draw in range(draws):
            for generator in problem.generators:
                generator.set_state(keyed_generator(seed, _STREAM, draw, device=generator.device).get_state())
            train = [found.train[found.global_step + draw * inner_steps + i] for i in range(inner_steps)]
            val, other = (
                [found.val[first + i] for i in range(val_batches)] for first in _places(draw, draws, val_batches)
            )
            gradients.append(first_order_gradient(problem, found.alpha, other)[1])
            _, table = evaluate_images(
                problem,
                found.alpha + moves,
                train,
                val,
                learning_rate=settings.inner_learning_rate,
                momentum=settings.inner_momentum,
                batch_norm=settings.batch_norm,
            )
            tables.append(table)
            heard(draw + 1)
        snapshot.restore()
    least = min(table.shape[1] for table in tables)
    losses = torch.stack([table[:, :least] for table in tables], 1).double().cpu()
    finite = losses.isfinite().all(2).all(1)
    if int(finite.sum()) < 3:
        raise DivergedError(f"sigma {sigma:g}: {int(finite.sum())} of {candidates} moves have finite losses: too large")
    losses = losses[finite]
    parts = components(losses, confidence)
    predicted = (moves @ torch.stack(gradients).mean(0)).double().cpu()[finite]
    return Measurement(
        sigma,
        inner_steps,
        parts,
        _correlation(losses.mean((1, 2)), predicted, confidence),
        needed(parts, len(found.alpha), val_batches),
    )


def _places(draw: int, draws: int, val_batches: int) -> tuple[int, int]:
    """Numbers of the first validation batches of a draw: of its losses, and of its gradient."""
    return draw * val_batches, (draws + draw) * val_batches


def needed(parts: Components, dimensions: int, val_batches: int) -> Needed:
    """What would bring the ratio to 1, by the estimates as they are.

    N: with weights that are linear in the losses (of softmax(-L / tau) the first order) the move is the mean of
    -(L_i - mean L) u_i / tau. For a loss that is linear in the moves, var(a) = sigma^2 |g|^2, it has the length
    sigma var(a)^(1/2) / tau along -g, and noise of the losses, var(e), adds d sigma^2 var(e) / (N tau^2) to its square:
    both are equal at N = d var(e) / var(a).

    Validation batches: the noise that comes from validation images falls as one over their number; that of the
    training batches stays.
    """
    signal = parts.move.value
    if signal <= 0:
        return Needed(None, None)
    training = max(0.0, parts.interaction.value - parts.images)
    more = parts.images * val_batches / (signal - training) if signal > training else None
    return Needed(math.ceil(dimensions / parts.snr.value), None if more is None else max(1, math.ceil(more)))


def _correlation(losses: Float[Tensor, " n"], predicted: Float[Tensor, " n"], confidence: float) -> Interval:
    """Pearson's, with Fisher's interval; 0 where either does not vary, and from -1 to 1 of fewer than four."""
    if losses.std() == 0 or predicted.std() == 0:
        return Interval(0.0, -1.0, 1.0)
    value = float(pearsonr(losses.numpy(), predicted.numpy()).statistic)
    if len(losses) < 4:
        return Interval(value, -1.0, 1.0)
    half = float(norm.ppf((1 + confidence) / 2)) / math.sqrt(len(losses) - 3)
    middle = math.atanh(max(-1 + 1e-12, min(1 - 1e-12, value)))
    return Interval(value, math.tanh(middle - half), math.tanh(middle + half))
