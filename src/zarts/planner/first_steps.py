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

_SECONDS, _WARMUP = 1.0, 0.1
"""Seconds of the training, and of those the ones in which the learning rate rises."""


def first_steps(
    candidates: Candidates,
    workers: Workers,
    one: Candidate,
    recipe: RetrainSettings,
    sizes: Sequence[int],
    train_count: int,
) -> Measured:
    """Train a network for a second, in all processes at a time, as later trainings are; the means.

    Args:
        candidates: the networks.
        workers: the processes, which are started first.
        one: the network.
        recipe: of its training.
        sizes: of the images of later trainings, which the processes then have.
        train_count: images of an epoch.

    Raises:
        DivergedError: each of them diverged.
        Interrupted, RunError: see `Workers.train`.
    """
    workers.start([size for size in sizes for _ in range(workers.processes)])
    tasks = [candidates.task(one, "trial", recipe, seed, _SECONDS, _WARMUP) for seed in range(workers.processes)]
    tried = [trained for _, trained in workers.train(tasks) if not isinstance(trained, DivergedError)]
    if not tried:
        raise DivergedError(f"a first training of {_SECONDS:g} s diverged: are the images what they should be?")
    paces = [trained.pace for trained in tried if trained.pace is not None]
    epoch = mean(trained.step_seconds for trained in tried) * train_count / recipe.batch_size
    return Measured(epoch, mean(trained.image_seconds for trained in tried), mean(paces) if paces else None)
