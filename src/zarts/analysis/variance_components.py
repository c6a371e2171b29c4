"""Variance components of candidate losses, with confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import scipy  # its parts are imported when they are used
from jaxtyping import Float
from torch import Tensor

from zarts.bilevel import MeanSquares, mean_squares

__all__ = ["Components", "Interval", "components"]


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Components:
    """Components of the variance of a candidate's loss.

    Args:
        perturbation: of the perturbation: the signal that a search can follow.
        batches: of the draw of batches, equal for all candidates: harmless if the candidates share their batches.
        interaction: of both together: the noise of a difference between candidates is twice this.
        images: the part of `interaction` that the validation images cause; the training images cause the rest. None: it
            is not known, because the values are no means over images.
        snr: perturbation / interaction.
    """

    perturbation: Interval
    batches: Interval
    interaction: Interval
    images: float | None
    snr: Interval


def components(losses: Float[Tensor, "candidates draws images"], confidence: float = 0.95) -> Components:
    """The components of y_ijl = mu + a_i + b_j + (ab)_ij + c_jl + e_ijl, all random.

    Args:
        losses: of candidate i in draw j on image l of that draw, or of all its images together; finite, with at least
            two candidates and two draws.
        confidence: of the intervals.

    The interval of interaction follows from its chi-squared distribution, that of the ratio from its F distribution;
    both are exact for normal effects. Those of perturbation and batches follow from the modified large-sample method.
    Estimates of variances are not cut off at 0.

    Source: Searle, Casella and McCulloch, Variance Components (1992), 4.5; Graybill and Wang (JASA 1980), for the
        modified large-sample interval; Burdick and Graybill (1992), 3.3 and 5.3.
    """
    candidates, draws, images = losses.shape
    table = mean_squares(losses.mean(2))
    within = None
    if images > 1:
        within = sum(mean_squares(losses[:, j]).interaction for j in range(draws)) / draws / images
    rest = (candidates - 1) * (draws - 1)
    alpha = 1 - confidence
    return Components(
        perturbation=_difference(table.candidates, candidates - 1, table.interaction, rest, draws, alpha),
        batches=_difference(table.conditions, draws - 1, table.interaction, rest, candidates, alpha),
        interaction=Interval(
            table.interaction,
            rest * table.interaction / float(scipy.stats.chi2.ppf(1 - alpha / 2, rest)),
            rest * table.interaction / float(scipy.stats.chi2.ppf(alpha / 2, rest)),
        ),
        images=within,
        snr=_ratio(table, rest, alpha),
    )


def _ratio(table: MeanSquares, rest: int, alpha: float) -> Interval:
    """Of var(a) / var(e): MS_a / MS_e is (1 + columns var(a) / var(e)) times an F variable."""
    if table.interaction == 0:
        return Interval(*[float("inf") if table.candidates > 0 else 0.0] * 3)
    freedom = (table.rows - 1, rest)
    found = table.candidates / table.interaction
    low, high = (found / float(scipy.stats.f.ppf(q, *freedom)) for q in (1 - alpha / 2, alpha / 2))
    return Interval(*((value - 1) / table.columns for value in (found, low, high)))


def _difference(first: float, n1: int, second: float, n2: int, count: int, alpha: float) -> Interval:
    """Of (E[first] - E[second]) / count, two mean squares with n1 and n2 degrees of freedom."""
    half = alpha / 2
    g1, h1 = 1 - n1 / float(scipy.stats.chi2.ppf(1 - half, n1)), n1 / float(scipy.stats.chi2.ppf(half, n1)) - 1
    g2, h2 = 1 - n2 / float(scipy.stats.chi2.ppf(1 - half, n2)), n2 / float(scipy.stats.chi2.ppf(half, n2)) - 1
    upper, lower = float(scipy.stats.f.ppf(1 - half, n1, n2)), float(scipy.stats.f.ppf(half, n1, n2))
    g12 = ((upper - 1) ** 2 - (g1 * upper) ** 2 - h2**2) / upper
    h12 = ((1 - lower) ** 2 - (h1 * lower) ** 2 - g2**2) / lower
    below = (g1 * first) ** 2 + (h2 * second) ** 2 + g12 * first * second
    above = (h1 * first) ** 2 + (g2 * second) ** 2 + h12 * first * second
    estimate = first - second
    return Interval(
        estimate / count, (estimate - max(0.0, below) ** 0.5) / count, (estimate + max(0.0, above) ** 0.5) / count
    )
