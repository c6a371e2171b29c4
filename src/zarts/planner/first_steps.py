"""The first steps of a fit, which tell how long a step takes."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from zarts.config import RetrainSettings
from zarts.errors import DivergedError
from zarts.planner.candidates import Candidates
from zarts.planner.records import Candidate
from zarts.planner.time_plan import Measured
from zarts.planner.workers import Workers

__all__ = ["first_steps"]

_LEAST, _MOST, _SHARE, _WARMUP = 1.0, 10.0, 0.01, 0.1
"""Seconds of the training, at least and at most, as a share of the time, and those in which the learning rate rises."""


def first_steps(
    candidates: Candidates,
    workers: Workers,
    one: Candidate,
    recipe: RetrainSettings,
    sizes: Sequence[int],
    train_count: int,
    left: float,
) -> Measured:
    """Train a network for a hundredth of the time, in all processes at once, as later trainings are; the means.

    Args:
        candidates: the networks.
        workers: the processes, which are started first.
        one: the network.
        recipe: of its training.
        sizes: of the images of later trainings, which the processes then have.
        train_count: images of an epoch.
        left: seconds of the fit.

    Raises:
        DivergedError: each of them diverged.
        Interrupted, RunError: see `Workers.train`.
    """
    workers.start([size for size in sizes for _ in range(workers.processes)])
    seconds = min(_MOST, max(_LEAST, _SHARE * left))
    tasks = [candidates.task(one, "trial", recipe, seed, seconds, _WARMUP) for seed in range(workers.processes)]
    tried = [trained for _, trained in workers.train(tasks) if not isinstance(trained, DivergedError)]
    if not tried:
        raise DivergedError(f"a first training of {seconds:.1f} s diverged: are the images what they should be?")
    paces = [trained.pace for trained in tried if trained.pace is not None]
    epoch = mean(trained.step_seconds for trained in tried) * train_count / recipe.batch_size
    return Measured(epoch, mean(trained.image_seconds for trained in tried), mean(paces) if paces else None)
