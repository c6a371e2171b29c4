"""Diagnosis of a search: signal and noise of its candidate losses, and which settings would raise their ratio."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from zarts.analysis.candidate_noise import Measurement, measure
from zarts.analysis.condition_number import condition_number
from zarts.errors import SettingsError
from zarts.runtime.seed import keyed_generator
from zarts.searcher import RestoredSearch
from zarts.training.trainer import Callback

__all__ = ["Diagnosis", "diagnose"]

_SIGMA = 0.2
_FACTORS = (1.0, 4.0, 16.0)


@dataclass(frozen=True)
class Diagnosis:
    """Measurements of a search at its last checkpoint.

    Args:
        measurements: for each sigma and each M; by default the first one has the search's own.
        own: whether the first sigma is the one of the search's own perturbations.
        candidates: number of perturbations.
        draws: number of draws of batches, on each of which all perturbations were evaluated.
        val_batches: validation batches of a loss.
        dimensions: of alpha.
        condition_number: see `zarts.analysis.condition_number`; None: it was left out.
        eigenvalue: the largest eigenvalue of the Hessian in alpha of the validation loss, at the present weights; None
            if it does not exist, see `RestoredSearch.eigenvalue`.
        epoch: number of finished epochs of the search.
        seconds: wall time of the diagnosis.
    """

    measurements: list[Measurement]
    own: bool
    candidates: int
    draws: int
    val_batches: int
    dimensions: int
    condition_number: float | None
    eigenvalue: float | None
    epoch: int
    seconds: float

    def reaching(self, measurement: Measurement) -> dict[str, float | int | None]:
        """Settings with a ratio of 1 or more: those of `Needed`, and the smallest sigma and M measured to have it."""
        there = [other for other in self.measurements if other.parts.snr.value >= 1]
        sigmas = [other.sigma for other in there if other.inner_steps == measurement.inner_steps]
        steps = [other.inner_steps for other in there if other.sigma == measurement.sigma]
        return {
            "samples": measurement.needed.samples,
            "val_batches": measurement.needed.val_batches,
            "sigma": min(sigmas, default=None),
            "inner_steps": min(steps, default=None),
        }

    @property
    def advice(self) -> list[str]:
        """The first measurement in words, and what would raise its ratio."""
        first = self.measurements[0]
        nearest = max(self.measurements, key=lambda one: one.parts.snr.value)
        return [
            _verdict(first, self.val_batches),
            *_help(first, self.reaching(first), self.val_batches),
            *([_nearest(nearest)] if nearest is not first and nearest.parts.snr.low > 0 else []),
        ]

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `diagnosis.json`."""
        return {
            "command": "diagnose",
            "epoch": self.epoch,
            "candidates": self.candidates,
            "draws": self.draws,
            "val_batches": self.val_batches,
            "dimensions": self.dimensions,
            "own_sigma": self.own,
            "sigmas": [
                {
                    "sigma": one.sigma,
                    "inner_steps": one.inner_steps,
                    "move": one.parts.perturbation._asdict(),
                    **{name: getattr(one.parts, name)._asdict() for name in ("batches", "interaction", "snr")},
                    "images": one.parts.images,
                    "correlation": one.correlation._asdict(),
                    "needed": self.reaching(one),
                }
                for one in self.measurements
            ],
            "condition_number": self.condition_number,
            "eigenvalue": self.eigenvalue,
            "advice": self.advice,
            "seconds": self.seconds,
        }


def diagnose(
    found: RestoredSearch,
    callback: Callback,
    *,
    sigmas: Sequence[float] = (),
    inner_steps: Sequence[int] = (),
    candidates: int = 16,
    draws: int = 8,
    val_batches: int | None = None,
    directions: int = 50,
    seed: int = 0,
) -> Diagnosis:
    """Measure signal and noise of the candidate losses of a search at its last checkpoint.

    Args:
        found: the search.
        callback: called with `part` events, which say how much is done.
        sigmas: standard deviations of the perturbations in each coordinate; by default that of the search now, and 4
            and 16 times as much; 0.2 takes its place for a search without perturbations.
        inner_steps: values of M; by default that of the search.
        candidates: number of perturbations, 3 or more.
        draws: number of draws of batches, 2 or more.
        val_batches: validation batches of a loss; by default those of the search.
        directions: of the condition number, 50 in the released code; 0 leaves it out.
        seed: of perturbations and directions.

    Raises:
        SettingsError: a number is out of range, or the method evaluates drawn cells instead of perturbations of alpha.
        DivergedError: the losses are not finite.
        Interrupted: asked to stop.
    """
    start, settings = time.perf_counter(), found.settings
    if settings.relaxation in ("none", "cell"):
        raise SettingsError(
            f"method {settings.method!r} evaluates drawn cells, not perturbations of alpha: it cannot be diagnosed"
        )
    sizes = list(sigmas) or [factor * (found.perturbation_size or _SIGMA) for factor in _FACTORS]
    steps = list(inner_steps) or [settings.inner_steps]
    count = settings.val_batches if val_batches is None else val_batches
    _check(sizes, steps, candidates, draws, count, directions)
    problem, alpha = found.problem, found.alpha
    pairs, measurements = list(product(sizes, steps)), []
    of = len(pairs) * draws + 1
    callback({"event": "part", "text": "evaluating perturbations", "done": 0, "of": of})
    for number, (sigma, m) in enumerate(pairs):

        def progress(done: int, before: int = number * draws) -> None:
            callback({"event": "part", "text": "evaluating perturbations", "done": before + done, "of": of})

        measurements.append(
            measure(
                found, sigma, m, candidates=candidates, draws=draws, val_batches=count, seed=seed, progress=progress
            )
        )
    train = [found.train[found.global_step + i] for i in range(steps[0])]
    val = [found.val[i] for i in range(count)]
    condition = (
        None
        if not directions
        else condition_number(
            replace(problem, objective=None),
            alpha,
            train,
            val,
            keyed_generator(seed, "condition"),
            directions=directions,
            learning_rate=settings.inner_learning_rate,
            momentum=settings.inner_momentum,
            batch_norm=settings.batch_norm,
        )
    )
    eigenvalue = found.eigenvalue(val, keyed_generator(seed, "eigenvalue"))
    callback({"event": "part", "text": "evaluating perturbations", "done": of, "of": of})
    own = found.perturbation_size is not None and not sigmas
    return Diagnosis(
        measurements,
        own,
        candidates,
        draws,
        count,
        len(alpha),
        condition,
        eigenvalue,
        found.epoch,
        time.perf_counter() - start,
    )


def _check(
    sigmas: Sequence[float], steps: Sequence[int], candidates: int, draws: int, val_batches: int, directions: int
) -> None:
    wrong = [
        *(f"sigma = {sigma:g}; expected more than 0" for sigma in sigmas if not 0 < sigma < float("inf")),
        *(f"inner_steps = {m}; expected 0 or more" for m in steps if m < 0),
        *([f"candidates = {candidates}; expected 3 or more"] if candidates < 3 else []),
        *([f"draws = {draws}; expected 2 or more"] if draws < 2 else []),
        *([f"val_batches = {val_batches}; expected 1 or more"] if val_batches < 1 else []),
        *([f"directions = {directions}; expected 0 or more"] if directions < 0 else []),
    ]
    if wrong:
        raise SettingsError(wrong[0])


def _verdict(one: Measurement, val_batches: int) -> str:
    """The ratio and its interval in words."""
    ratio = one.parts.snr
    where = (
        f"sigma {one.sigma:.3g}, M = {one.inner_steps}, {val_batches} validation batch{'es'[: 2 * (val_batches > 1)]}"
    )
    between = f"ratio {ratio.value:.2g}, {max(0.0, ratio.low):.2g} to {ratio.high:.2g}"
    if ratio.low <= 0:
        return f"Noise: differences between perturbations cannot be told from noise at {where} ({between})."
    if ratio.high < 1:
        return f"Mostly noise: perturbations differ by less than the noise of their losses at {where} ({between})."
    if ratio.low >= 1:
        return f"Signal: perturbations differ by more than the noise of their losses at {where} ({between})."
    return f"Signal and noise are of one size, or the draws are too few to tell, at {where} ({between})."


def _nearest(one: Measurement) -> str:
    """The measurement with the largest ratio in words."""
    ratio = one.parts.snr.value
    found = f"The largest ratio of all measurements is {ratio:.2g}, at sigma {one.sigma:.3g} and M = {one.inner_steps}"
    if ratio < 1 and one.needed.val_batches is not None:
        found += f"; about {one.needed.val_batches} validation batches a loss would make it 1"
    return f"{found}."


def _help(one: Measurement, reach: dict[str, float | int | None], val_batches: int) -> list[str]:
    """The settings that would bring the ratio to 1, in words."""
    if one.parts.snr.value >= 1:
        return []
    found = []
    if one.parts.perturbation.value <= 0:
        found.append("The perturbations explain none of the variance: these losses predict nothing.")
    elif one.parts.images is None:
        found.append("The objective is no mean over images: the part of the images in its noise is not known.")
    elif reach["val_batches"] is None:
        found.append(
            "No number of validation batches is enough: the noise of the training batches alone exceeds the signal."
        )
    else:
        found.append(f"Ratio 1 takes about {reach['val_batches']} validation batches a loss (now {val_batches}).")
    if reach["sigma"] is not None:
        found.append(f"Sigma {reach['sigma']:.3g} has it.")
    if reach["inner_steps"] is not None:
        found.append(f"M = {reach['inner_steps']} has it.")
    if reach["samples"] is not None:
        found.append(
            f"At this ratio N = {reach['samples']} candidates make an update of which half the length is noise."
        )
    return found
