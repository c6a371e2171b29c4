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
from typing import Any, Literal, TypeVar

import torch.multiprocessing  # lets tensors go to other processes without a copy

from zarts.config import RetrainSettings
from zarts.errors import DivergedError, Interrupted, RunError, SettingsError
from zarts.planner.pictures import Pictures, Sized
from zarts.planner.training import Task, Trained, train_candidate
from zarts.runtime.device import choose_device, idle_processors, torch_threads
from zarts.training.compute_path import ComputePath
from zarts.training.model_file import ModelCard
from zarts.training.path_choice import measured_path

__all__ = ["LOOK", "Asked", "Stops", "Workers", "outcome", "path_of", "processes_of", "take_gpu"]

Stops = Callable[[], bool]
"""Whether the fit was asked to stop."""

Asked = tuple[RetrainSettings, ModelCard]
"""A training whose fastest path is asked for: its settings, and the card of its network."""
_Key = TypeVar("_Key")
_Found = TypeVar("_Found")

LOOK = 0.5
"""Seconds from one look at a request to stop to the next."""


def processes_of(asked: int | Literal["auto"], device: torch.device) -> tuple[int, list[int]]:
    """Trainings at a time, and the numbers of the CUDA devices that they take in turn: those like the first one.

    Args:
        asked: the setting; `auto`: one on each processor that is idle, or on each GPU.
        device: `cuda` is any of the machine, `cuda:1` that one alone.

    Raises:
        SettingsError: the GPUs would have unequal numbers of trainings, which are compared at equal seconds.
    """
    name = torch.cuda.get_device_name
    count = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 0
    gpus = [number for number in range(count) if name(number) == name(0)]
    if asked == "auto":
        return max(1, idle_processors() if device.type == "cpu" else len(gpus)), gpus
    if asked > len(gpus) > 1 and asked % len(gpus):
        raise SettingsError(
            f"processes = {asked}: networks would share {len(gpus)} GPUs unequally, and be compared so: "
            f"take {len(gpus)}, or a multiple of it"
        )
    return asked, gpus


class Workers:
    """Trains candidates, several at a time.

    Args:
        pictures: the images.
        processes: trainings at a time; with 1 they run in this process.
        stops: whether the fit was asked to stop.
        gpus: numbers of CUDA devices, which the processes take in turn; with one, or none, all have that of the
            settings.
    """

    def __init__(self, pictures: Pictures, processes: int, stops: Stops, gpus: Sequence[int] = ()) -> None:
        self._pictures, self.processes, self.stops, self._gpus = pictures, processes, stops, gpus
        self._pool: ProcessPoolExecutor | None = None
        self._sizes: set[int] = set()

    def start(self, sizes: Sequence[int]) -> None:
        """Wait until the images are there and the processes that such trainings need run; `train` starts them too.

        Args:
            sizes: of the images, one for each training.

        Raises:
            Interrupted, RunError: see `train`.
        """
        for size in set(sizes):
            self._pictures[size]
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
            waiting = {pool.submit(_train, task): task for task in tasks}
        yield from self._as_they_end(waiting)

    def measure(self, asked: Sequence[Asked]) -> list[ComputePath | None]:
        """The fastest path of each training, see `measured_path`; several at a time where processes run already.

        Raises:
            Interrupted, RunError: see `train`.
        """
        if self._pool is None or len(asked) < 2:
            found = list[ComputePath | None]()
            for one in asked:
                if self.stops():
                    raise Interrupted("interrupted")
                found.append(path_of(*one))
            return found
        with _without_main():
            waiting = {self._pool.submit(path_of, *one): number for number, one in enumerate(asked)}
        paths = dict(self._as_they_end(waiting))
        return [paths[number] for number in range(len(asked))]

    def _as_they_end(self, waiting: dict[Future[_Found], _Key]) -> Iterator[tuple[_Key, _Found]]:
        """What the processes were asked for, as it ends; they end too if not all of it is waited for."""
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
            begun = shared, self._asked, self._all, context.Value("i"), self._gpus
            self._pool = ProcessPoolExecutor(self.processes, context, _begin, begun)
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


def _begin(images: Mapping[int, Sized], asked: Any, everyone: Any, turn: Any, gpus: Sequence[int]) -> None:
    global _images, _stop, _wait
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal sends Ctrl-C to all; the first process decides
        signal.signal(number, signal.SIG_IGN)
    _images, _stop, _wait = images, asked.is_set, everyone.wait
    take_gpu(turn, gpus)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def take_gpu(turn: Any, gpus: Sequence[int]) -> None:
    """Make the next CUDA device the one that `cuda` names in this process.

    Args:
        turn: processes before this one, a number that they share.
        gpus: numbers of CUDA devices; with one, or none, nothing changes.
    """
    with turn.get_lock():
        number, turn.value = turn.value, turn.value + 1
    if len(gpus) > 1:
        torch.cuda.set_device(gpus[number % len(gpus)])


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


def path_of(settings: RetrainSettings, card: ModelCard) -> ComputePath | None:
    """The fastest path of a training in this process, with one thread; None: see `measured_path`."""
    with torch_threads(1):
        return measured_path(settings, card, choose_device(settings.device))


def outcome(task: Task, images: Sized, stops: Stops) -> Trained | DivergedError:
    """What comes of a training in this process, with one thread."""
    try:
        with torch_threads(1):  # in each process the same, so that seconds and bits are
            return train_candidate(task, images, stops)
    except DivergedError as error:
        return error
