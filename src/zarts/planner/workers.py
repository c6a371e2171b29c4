"""Where trainings run: in this process, or in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import torch.multiprocessing  # noqa: F401 (lets tensors go to other processes without a copy)

from zarts.errors import DivergedError, Interrupted, RunError
from zarts.planner.pictures import Pictures, Sized
from zarts.planner.training import Task, Trained, train_candidate
from zarts.runtime.device import torch_threads

__all__ = ["LOOK", "Stops", "Workers", "outcome"]

Stops = Callable[[], bool]
"""Whether the fit was asked to stop."""

LOOK = 0.5
"""Seconds from one look at a request to stop to the next."""


class Workers:
    """Trains candidates, several at a time.

    Args:
        pictures: the images.
        processes: trainings at a time; with 1 they run in this process.
        stops: whether the fit was asked to stop.
    """

    def __init__(self, pictures: Pictures, processes: int, stops: Stops) -> None:
        self._pictures, self.processes, self.stops = pictures, processes, stops
        self._pool: ProcessPoolExecutor | None = None
        self._sizes: set[int] = set()

    def start(self, sizes: Sequence[int]) -> None:
        """Wait until the processes that such trainings need run; `train` starts them too.

        Args:
            sizes: of the images, one for each training.

        Raises:
            Interrupted, RunError: see `train`.
        """
        if self.processes == 1 or len(sizes) < 2:
            return
        started = self._pool
        try:
            with _without_main():
                pool = self._started(set(sizes))
                waits = [pool.submit(_meet) for _ in range(self.processes)] if pool is not started else []
            for one in waits:
                one.result()
        except BrokenProcessPool as error:
            self.close()
            raise self._broken() from error

    def train(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Trained | DivergedError]]:
        """Train all; each with what came of it, as they end.

        Raises:
            Interrupted: the fit was asked to stop.
            RunError: a process has ended by itself, as one does that the system lacks memory for.
        """
        if self.processes == 1 or len(tasks) == 1:
            for task in tasks:
                yield task, outcome(task, self._pictures[task.candidate.image_size], self.stops)
            return
        with _without_main():
            pool = self._started({task.candidate.image_size for task in tasks})
            waiting: dict[Future[Trained | DivergedError], Task] = {pool.submit(_train, task): task for task in tasks}
        try:
            while waiting:
                done, _ = wait(waiting, timeout=LOOK, return_when=FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
                if self.stops():
                    raise Interrupted("interrupted")
        except BrokenProcessPool as error:
            raise self._broken() from error
        finally:
            if waiting:
                self.close()

    def _started(self, sizes: set[int]) -> ProcessPoolExecutor:
        """The processes, which have the images at these sizes."""
        for size in sizes:
            self._pictures[size]
        if self._pool is None or not sizes <= self._sizes:
            self.close()
            shared = self._pictures.shared()
            self._sizes = set(shared)
            context = multiprocessing.get_context("spawn")
            self._asked = context.Event()
            self._all = context.Barrier(self.processes)
            self._pool = ProcessPoolExecutor(self.processes, context, _begin, (shared, self._asked, self._all))
        return self._pool

    def _broken(self) -> BaseException:
        """What it means that a process has ended: Ctrl-C ends those that are just starting."""
        if self.stops():
            return Interrupted("interrupted")
        return RunError("a process that trains networks has ended by itself; is there enough memory?")

    def close(self) -> None:
        """End the processes; what they train is lost."""
        if self._pool is not None:
            self._asked.set()
            self._all.abort()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


_images: Mapping[int, Sized] = {}
_stop: Stops = bool
_wait: Callable[[], Any] = bool
"""Of a process that trains: the images by size, whether to stop, and how it waits for the others."""


def _begin(images: Mapping[int, Sized], asked: Any, everyone: Any) -> None:
    global _images, _stop, _wait
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal sends Ctrl-C to all; the first process decides
        signal.signal(number, signal.SIG_IGN)
    _images, _stop, _wait = images, asked.is_set, everyone.wait
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _without_main() -> Iterator[None]:
    """Inside, processes that are started do not run the user's script again, of which they need nothing."""
    main = sys.modules["__main__"]
    kept = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    for name in kept:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


def _meet() -> None:
    """Return when every process is here: so each gets one of these, and all have started."""
    _wait()


def _train(task: Task) -> Trained | DivergedError:
    return outcome(task, _images[task.candidate.image_size], _stop)


def outcome(task: Task, images: Sized, stops: Stops) -> Trained | DivergedError:
    """What comes of a training in this process, with one thread."""
    try:
        with torch_threads(1):  # in each process the same, so that seconds and bits are
            return train_candidate(task, images, stops)
    except DivergedError as error:
        return error
