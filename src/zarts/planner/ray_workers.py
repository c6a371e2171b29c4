"""Where the trainings of a fit run on several machines: processes of a Ray cluster."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from typing import Any

import torch
from typing_extensions import override

from zarts.config import RetrainSettings
from zarts.errors import DivergedError, Interrupted, RunError, ZartsError, shortened
from zarts.planner.pictures import Pictures, Sized
from zarts.planner.training import Task, Trained
from zarts.planner.workers import LOOK, Asked, Stops, Workers, outcome, path_of
from zarts.runtime.device import idle_processors
from zarts.runtime.ray_cluster import ray_cluster
from zarts.training.compute_path import ComputePath
from zarts.training.model_file import ModelCard

__all__ = ["RayWorkers"]

_PATIENCE = 120.0
"""Seconds in which a process has to be there, with the images."""
_FREED = 10.0
"""Seconds in which Ray has noticed that other processes have ended."""
_TRIES = 2
"""So often is a network trained at most whose process was killed, or whose machine was lost."""
_LOST: Any = object()
"""In the place of what a process would have returned that has been killed, or whose machine was lost."""


class RayWorkers(Workers):
    """Trains candidates in processes of a Ray cluster, whose machines see the folder of the fit under the same path.

    The images go to each process once. Seconds of a training are those of its own machine, see `Clock`: a slower one
    gets more of them. In the place of a process that is lost another one is asked for; until that is there, if ever,
    the others go on.

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
        most, end = _idle(gpu=gpu), time.monotonic() + _FREED
        while most < (processes or 1) and time.monotonic() < end:
            time.sleep(LOOK)
            most = _idle(gpu=gpu)
        if most < (processes or 1):
            self._stack.close()
            what = "GPUs" if gpu else "processors"
            raise RunError(f"the Ray cluster has {most} idle {what}, too few for {processes or 1} trainings at a time")
        super().__init__(pictures, processes or most, stops)
        self._trainer: Any = ray.remote(num_cpus=0 if gpu else 1, num_gpus=int(gpu))(_Trainer)
        self._kept: dict[int, Any] = {}  # the images in Ray, by size
        self._actors: list[Any] = []  # that have the images
        self._coming: dict[Any, Any] = {}  # those that have not yet, by what their last `take` will return

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
            RunError: the process of a training was killed again, or none is left.
        """
        if not tasks:
            return
        self._prepare({task.candidate.image_size for task in tasks})
        waiting, idle = [(task, 1) for task in tasks], [*self._actors]
        running: dict[Any, tuple[Task, int, Any]] = {}
        alone = time.monotonic()  # since when nothing is trained
        try:
            while waiting or running:
                while waiting and idle:
                    (task, tries), actor = waiting.pop(0), idle.pop()
                    left = None if task.deadline is None else task.deadline - time.monotonic()
                    running[actor.train.remote(_anywhere(task), left)] = task, tries, actor
                for reference in self._ready([*running]):
                    task, tries, actor = running.pop(reference)
                    found = _returned(reference)
                    if found is not _LOST:
                        yield task, found
                        idle.append(actor)
                    elif tries == _TRIES:
                        raise RunError("a process that trains networks has ended by itself again; is there memory?")
                    else:
                        self._actors.remove(actor)
                        waiting.insert(0, (task, tries + 1))
                        self._add()
                if self.stops():
                    raise Interrupted("interrupted")
                idle += self._come()
                alone = time.monotonic() if running or idle else alone
                if time.monotonic() > alone + _PATIENCE:
                    raise RunError(f"the Ray cluster has had no process for {_PATIENCE:.0f} s")
        finally:
            if running:
                self._end()

    @override
    def measure(self, asked: Sequence[Asked]) -> list[ComputePath | None]:
        """The fastest path of each training; None also for one whose process was lost."""
        paths = [self._actors[at % len(self._actors)].measure.remote(*one) for at, one in enumerate(asked)]
        left = [*paths]
        while left:
            for reference in self._ready(left):
                left.remove(reference)
        found = [_returned(reference) for reference in paths]
        return [None if one is _LOST else one for one in found]

    def _prepare(self, sizes: set[int]) -> None:
        """All processes, with the images at these sizes.

        Raises:
            Interrupted: the fit was asked to stop.
            RunError: they are not there in time, or do not see the images.
        """
        import ray

        fresh = {size: ray.put(self._pictures[size]) for size in sizes - self._kept.keys()}
        self._kept |= fresh
        waits = [actor.take.remote(size, kept) for actor in self._actors for size, kept in fresh.items()]
        self._coming = {self._sent(actor, fresh) or last: actor for last, actor in self._coming.items()}
        for _ in range(self.processes - len(self._actors) - len(self._coming)):
            self._add()
        waits += [*self._coming] if not self._actors else []
        end = time.monotonic() + _PATIENCE
        while waits:
            for reference in self._ready(waits):
                waits.remove(reference)
                if _returned(reference) is _LOST and reference in self._coming:
                    raise RunError("a process of the Ray cluster has ended while it took the images; is there memory?")
            if waits and time.monotonic() > end:
                raise RunError(
                    f"the Ray cluster has not started {self.processes} processes within {_PATIENCE:.0f} s: take fewer, "
                    "by --processes"
                )
        self._come()

    def _ready(self, references: list[Any]) -> list[Any]:
        """Those that have returned; waits for one, but not long.

        Raises:
            Interrupted: the fit was asked to stop, and none has.
        """
        import ray

        if not references:
            time.sleep(LOOK)
        with redirect_stdout(sys.stderr):  # Ray prints there that a process has died
            done, _ = ray.wait(references, timeout=LOOK) if references else ([], [])
        if self.stops() and not done:
            self._end()
            raise Interrupted("interrupted")
        return list(done)

    def _add(self) -> None:
        """Ask for another process."""
        actor = self._trainer.remote()
        self._coming[self._sent(actor, self._kept)] = actor

    def _sent(self, actor: Any, images: dict[int, Any]) -> Any:
        """Send images to a process; what its last `take` will return, None without any images."""
        return [None, *(actor.take.remote(size, kept) for size, kept in images.items())][-1]

    def _come(self) -> list[Any]:
        """Those of the processes that were asked for that have the images now."""
        import ray

        ready, _ = ray.wait([*self._coming], num_returns=len(self._coming), timeout=0) if self._coming else ([], [])
        asked = [(self._coming.pop(reference), _returned(reference)) for reference in ready]
        new = [actor for actor, returned in asked if returned is not _LOST]
        self._actors += new
        return new

    def _end(self) -> None:
        """End the processes; what they train is lost."""
        import ray

        for actor in [*self._actors, *self._coming.values()]:
            ray.kill(actor)
        self._actors, self._coming = [], {}

    @override
    def close(self) -> None:
        """End the processes, and the connection; what they train is lost."""
        if self._actors or self._coming:
            self._end()
        self._kept = {}
        self._stack.close()


class _Trainer:
    """A process of the cluster."""

    def __init__(self) -> None:
        self._images: dict[int, Sized] = {}

    def take(self, size: int, images: Sized) -> bool:
        """Keep the images at a size.

        Raises:
            RunError: they are read batch by batch from files that this machine does not see.
        """
        try:
            images.data.train.pixels(torch.tensor([0]))
        except ZartsError as error:
            raise RunError(
                f"{platform.node()} does not see the images ({error}): --engine ray needs them on a disk that all "
                "machines of the cluster share, or in memory, by --image-cache memory"
            ) from error
        self._images[size] = images
        return True

    def measure(self, settings: RetrainSettings, card: ModelCard) -> ComputePath | None:
        """The fastest path of a training; None: see `measured_path`."""
        return path_of(settings, card)

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


def _idle(*, gpu: bool) -> int:
    """Processors, or GPUs, of the cluster that nothing uses."""
    import ray

    found: Any = ray.available_resources()  # type: ignore[no-untyped-call]
    return int(found.get("GPU" if gpu else "CPU", 0))


def _returned(reference: Any) -> Any:
    """What a process has returned, or `_LOST`.

    Raises:
        ZartsError: as there; `RunError` in the place of what another library raised.
    """
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, ZartsError):
            raise error.cause from None
        reason = shortened(f"{type(error.cause).__name__}: {error.cause}")
        raise RunError(
            f"a process of the Ray cluster failed ({reason}): all machines need the same zarts, torch and Ray"
        ) from error
    except ray.exceptions.RayError:
        return _LOST


def _anywhere(task: Task) -> Task:
    """A training with absolute paths: processes of a cluster work in other folders."""
    continues = None if task.continues is None else task.continues.absolute()
    keeps = None if task.keeps is None else task.keeps.absolute()
    return replace(task, continues=continues, keeps=keeps, model=task.model.absolute())
