"""Where the trainings of a fit run on several machines: processes of a Ray cluster."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from typing import Any

from typing_extensions import override

from zarts.errors import DivergedError, Interrupted, RunError
from zarts.planner.pictures import Pictures, Sized
from zarts.planner.training import Task, Trained
from zarts.planner.workers import LOOK, Stops, Workers, outcome
from zarts.runtime.device import idle_processors
from zarts.runtime.ray_cluster import ray_cluster

__all__ = ["RayWorkers"]

_PATIENCE = 120.0
"""Seconds in which all processes have to be there, with the images."""
_TRIES = 2
"""So often is a network trained at most whose process was killed, or whose machine was lost."""


class RayWorkers(Workers):
    """Trains candidates in processes of a Ray cluster, whose machines see the folder of the fit under the same path.

    The images go to each machine once. Seconds of a training are those of its own machine, see `Clock`: a slower one
    gets more of them.

    Args:
        pictures: the images.
        processes: trainings at a time; None: as many as the cluster has idle processors or, with `gpu`, GPUs.
        stops: whether the fit was asked to stop.
        gpu: whether each training takes a GPU.

    Raises:
        RunError: the cluster cannot be reached, or has too few idle processors or GPUs.
    """

    def __init__(self, pictures: Pictures, processes: int | None, stops: Stops, *, gpu: bool) -> None:
        import ray

        self._stack = ExitStack()
        self._stack.enter_context(ray_cluster(processes or max(1, idle_processors())))
        idle: Any = ray.available_resources()  # type: ignore[no-untyped-call]
        most = int(idle.get("GPU" if gpu else "CPU", 0))
        if most < (processes or 1):
            self._stack.close()
            what = "GPUs" if gpu else "processors"
            raise RunError(f"the Ray cluster has {most} idle {what}, too few for {processes or 1} trainings at a time")
        super().__init__(pictures, processes or most, stops)
        self._trainer: Any = ray.remote(num_cpus=0 if gpu else 1, num_gpus=int(gpu))(_Trainer)
        self._kept: dict[int, Any] = {}  # the images in Ray, by size
        self._actors: list[Any] = []

    @override
    def start(self, sizes: Sequence[int]) -> None:
        """Wait until the processes run, and have the images; see `Workers.start`."""
        if sizes:
            self._prepare(set(sizes))

    @override
    def train(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Trained | DivergedError]]:
        """Train all; each with what came of it, as they end.

        Raises:
            Interrupted: the fit was asked to stop.
            RunError: the process of a training was killed again, or its machine lost.
        """
        import ray

        self._prepare({task.candidate.image_size for task in tasks})
        waiting, idle = [(task, 1) for task in tasks], [*self._actors]
        running: dict[Any, tuple[Task, int, Any]] = {}
        try:
            while waiting or running:
                while waiting and idle:
                    (task, tries), actor = waiting.pop(0), idle.pop()
                    left = None if task.deadline is None else task.deadline - time.monotonic()
                    running[actor.train.remote(_anywhere(task), left)] = task, tries, actor
                with redirect_stdout(sys.stderr):  # Ray prints there that a process has died
                    done, _ = ray.wait([*running], timeout=LOOK)
                if self.stops():
                    raise Interrupted("interrupted")
                for reference in done:
                    task, tries, actor = running.pop(reference)
                    try:
                        found = ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        raise error.cause if isinstance(error.cause, BaseException) else error from None
                    except ray.exceptions.RayError as error:
                        if tries == _TRIES:
                            raise RunError(f"a process that trains networks has ended by itself ({error})") from error
                        self._actors.remove(actor)
                        waiting.insert(0, (task, tries + 1))
                        self._prepare(set(self._kept))
                        actor = self._actors[-1]
                    else:
                        yield task, found
                    idle.append(actor)
        finally:
            if running:
                self._end()

    def _prepare(self, sizes: set[int]) -> None:
        """All processes, with the images at these sizes."""
        import ray

        for size in sizes - self._kept.keys():
            self._kept[size] = ray.put(self._pictures[size])
        new = [self._trainer.remote() for _ in range(self.processes - len(self._actors))]
        old, self._actors = self._actors, [*self._actors, *new]
        waits = [actor.take.remote(size, self._kept[size]) for actor in old for size in sizes]
        waits += [actor.take.remote(size, kept) for actor in new for size, kept in self._kept.items()]
        end = time.monotonic() + _PATIENCE
        while waits:
            _, waits = ray.wait(waits, num_returns=len(waits), timeout=LOOK)
            if self.stops():
                self._end()
                raise Interrupted("interrupted")
            if waits and time.monotonic() > end:
                self._end()
                raise RunError(
                    f"the Ray cluster has not started {self.processes} processes within {_PATIENCE:.0f} s: take fewer, "
                    "by --processes"
                )

    def _end(self) -> None:
        """End the processes; what they train is lost."""
        import ray

        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    @override
    def close(self) -> None:
        """End the processes, and the connection; what they train is lost."""
        if self._kept:
            self._end()
            self._kept = {}
        self._stack.close()


class _Trainer:
    """A process of the cluster."""

    def __init__(self) -> None:
        self._images: dict[int, Sized] = {}

    def take(self, size: int, images: Sized) -> None:
        """Keep the images at a size."""
        self._images.setdefault(size, images)

    def train(self, task: Task, left: float | None) -> Trained | DivergedError:
        """Train a network.

        Args:
            task: with absolute paths.
            left: seconds until its deadline.

        Raises:
            RunError: this machine does not see the folder of the fit.
        """
        if not task.model.parent.is_dir():
            raise RunError(
                f"{platform.node()} does not see {task.model.parent}: --engine ray needs an --out on a disk that all "
                "machines of the cluster share"
            )
        deadline = None if left is None else time.monotonic() + left  # each machine has a clock of its own
        return outcome(replace(task, deadline=deadline), self._images[task.candidate.image_size], bool)


def _anywhere(task: Task) -> Task:
    """A training with absolute paths: processes of a cluster work in other folders."""
    continues = None if task.continues is None else task.continues.absolute()
    keeps = None if task.keeps is None else task.keeps.absolute()
    return replace(task, continues=continues, keeps=keeps, model=task.model.absolute())
