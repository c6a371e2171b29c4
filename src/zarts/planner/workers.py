"""Where trainings run: in this process, or in several processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch
import torch.multiprocessing  # lets tensors go to other processes without a copy

from zarts.errors import DivergedError, Interrupted, RunError
from zarts.planner.pictures import Pictures, Sized
from zarts.planner.training import Task, Trained, train_candidate

__all__ = ["Workers"]

_LOOK = 0.5
"""Seconds from one look at a request to stop to the next."""


class Workers:
    """Trains candidates, several at a time.

    Args:
        pictures: the images.
        processes: trainings at a time; with 1 they run in this process.
        stops: whether the fit was asked to stop.
    """

    def __init__(self, pictures: Pictures, processes: int, stops: Callable[[], bool]) -> None:
        self._pictures, self.processes, self._stops = pictures, processes, stops
        self._pool: ProcessPoolExecutor | None = None
        self._sizes: set[int] = set()

    def train(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Trained | DivergedError]]:
        """Train all; each with what came of it, as they end.

        Raises:
            Interrupted: the fit was asked to stop.
            RunError: a process has ended by itself, as one does that the system lacks memory for.
        """
        if self.processes == 1 or len(tasks) == 1:
            for task in tasks:
                yield task, _outcome(task, self._pictures[task.candidate.image_size], self._stops)
            return
        pool = self._started({task.candidate.image_size for task in tasks})
        waiting: dict[Future[Trained | DivergedError], Task] = {pool.submit(_train, task): task for task in tasks}
        try:
            while waiting:
                done, _ = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
                if self._stops():
                    raise Interrupted("interrupted")
        except BrokenProcessPool as error:
            raise RunError("a process that trained a network has ended by itself; is there enough memory?") from error
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
            arguments = (shared, self._asked, os.getpid())
            self._pool = ProcessPoolExecutor(self.processes, context, _begin, arguments)
        return self._pool

    def close(self) -> None:
        """End the processes; what they train is lost."""
        if self._pool is not None:
            self._asked.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


_images: Mapping[int, Sized] = {}
_stop: Callable[[], bool] = bool
"""Of a process that trains: the images by size, and whether to stop."""


def _begin(images: Mapping[int, Sized], asked: Any, parent: int) -> None:
    global _images, _stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all; the first process decides
    torch.set_num_threads(1)
    _images, _stop = images, asked.is_set
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _train(task: Task) -> Trained | DivergedError:
    return _outcome(task, _images[task.candidate.image_size], _stop)


def _outcome(task: Task, images: Sized, stops: Callable[[], bool]) -> Trained | DivergedError:
    try:
        return train_candidate(task, images, stops)
    except DivergedError as error:
        return error
