"""Tasks on a Ray cluster: that of RAY_ADDRESS or of `ray.init`, or a small one of this machine's own."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TypeVar

from zarts.comparison.engines.resources import Room
from zarts.errors import RunError
from zarts.runtime.system_memory import keep_freed_memory

__all__ = ["run_tasks"]

_T = TypeVar("_T")
_OURS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_task_oom_retries": "1"}
"""Of a cluster that is started here: it tells nobody, and what finds no memory twice does not try for ever."""


def run_tasks(
    work: Callable[[_T], object], tasks: Sequence[_T], room: Room, done: Callable[[_T, BaseException | None], None]
) -> None:
    """Do all tasks. One whose process is killed, or whose machine is lost, begins again as often as Ray lets it.

    When this process is interrupted, or `done` raises, tasks that run are asked to stop, as by Ctrl-C, and have ended
    when the exception leaves; when it is killed, Ray ends them as well. Meanwhile standard output is standard error.

    Args:
        work: does a task; a function that can be imported on every machine of the cluster.
        tasks: plain data.
        room: how many at a time; by default as many as the cluster has room for.
        done: is told of each task that has ended, and what was raised there, or None.

    Raises:
        RunError: there is no such cluster.
    """
    if not tasks:
        return
    import ray

    with redirect_stdout(sys.stderr), _cluster(room):  # Ray says there when a process has died
        resources: Any = ray.cluster_resources()  # type: ignore[no-untyped-call]
        remote: Any = ray.remote(num_cpus=room.threads, num_gpus=int(room.gpus and resources.get("GPU", 0) >= 1))(_do)
        shipped, left, running = ray.put(work), iter(tasks), {}
        try:
            while True:
                for task in left:
                    running[remote.remote(shipped, task)] = task
                    if len(running) == room.jobs:
                        break
                if not running:
                    return
                for reference in ray.wait(list(running))[0]:
                    done(running.pop(reference), _raised(reference))
        except BaseException:
            _stop(running)
            raise


def _do(work: Callable[[_T], object], task: _T) -> None:
    """A task, in a process of the cluster."""
    keep_freed_memory()
    work(task)


def _raised(reference: Any) -> BaseException | None:
    """What a task that has ended raised."""
    import ray

    try:
        ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, BaseException) else error
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        return RunError("its process was killed again and again, for want of memory perhaps")
    except ray.exceptions.RayError as error:
        return RunError(f"Ray could not do it: {str(error).splitlines()[0]}")
    return None


def _stop(running: Mapping[Any, object]) -> None:
    """Interrupt what runs, and wait for its end: it saves."""
    import ray

    for reference in running:
        ray.cancel(reference)
    if running:
        ray.wait(list(running), num_returns=len(running))


@contextmanager
def _cluster(room: Room) -> Iterator[None]:
    """The cluster to work on: one that this process is connected to already, or one for the time of the block.

    Raises:
        RunError: it cannot be reached.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    address = os.environ.get("RAY_ADDRESS", "local")
    try:
        if address == "local":
            _start(room)
        else:
            _knock(address)
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        where = "the Ray cluster of this machine" if address == "local" else f"RAY_ADDRESS = {address}"
        raise RunError(f"{where}: no connection ({str(error).splitlines()[0]})") from error
    finally:
        signal.signal(signal.SIGTERM, before)  # which Ray has taken over
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise an OSError where nobody listens, which Ray would wait for, for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _start(room: Room) -> None:
    """Start a cluster of this machine alone."""
    import ray

    others = {name: os.environ.get(name) for name in _OURS}
    os.environ.update(_OURS)
    try:
        ray.init(
            address="local",
            num_cpus=room.here() * room.threads,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    finally:
        for name, value in others.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
