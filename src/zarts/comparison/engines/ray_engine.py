"""Engine `ray`: tasks on the Ray cluster of `ray.init` or RAY_ADDRESS, or on one that it starts on this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TypeVar

from zarts.comparison.engines.resources import Resources
from zarts.errors import RunError
from zarts.runtime.system_memory import keep_freed_memory

__all__ = ["run_tasks"]

_T = TypeVar("_T")
_OURS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_task_oom_retries": "1"}
"""Environment of a cluster that is started here: no usage reports, and one retry of a task that ran out of memory."""


def run_tasks(
    work: Callable[[_T], object],
    tasks: Sequence[_T],
    resources: Resources,
    done: Callable[[_T, BaseException | None], None],
) -> None:
    """Run all tasks. If its process is killed or its machine is lost, Ray starts a task again, as often as it allows.

    If this process is interrupted, or `done` raises, running tasks are stopped as by Ctrl-C and have ended before the
    exception is raised further. If this process is killed, Ray ends them as well. Until then, what is written to
    standard output goes to standard error.

    Args:
        work: runs a task; importable on every machine of the cluster.
        tasks: plain data.
        resources: tasks at a time; by default as many as the cluster allows.
        done: called with each task that has ended, and the exception that it raised, or None.

    Raises:
        RunError: the cluster cannot be reached.
    """
    if not tasks:
        return
    import ray

    with redirect_stdout(sys.stderr), _cluster(resources):  # Ray prints there that a process has died
        available: Any = ray.cluster_resources()  # type: ignore[no-untyped-call]
        remote: Any = ray.remote(
            num_cpus=resources.threads, num_gpus=int(resources.gpus and available.get("GPU", 0) >= 1)
        )(_do)
        shipped, left, running = ray.put(work), iter(tasks), {}
        try:
            while True:
                for task in left:
                    running[remote.remote(shipped, task)] = task
                    if len(running) == resources.jobs:
                        break
                if not running:
                    return
                for reference in ray.wait(list(running))[0]:
                    done(running.pop(reference), _raised(reference))
        except BaseException:
            _stop(running)
            raise


def _do(work: Callable[[_T], object], task: _T) -> None:
    """Run a task in a process of the cluster."""
    keep_freed_memory()
    work(task)


def _raised(reference: Any) -> BaseException | None:
    """The exception of a task that has ended, or None."""
    import ray

    try:
        ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, BaseException) else error
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError):
        return RunError("its process was killed again and again, perhaps for lack of memory")
    except ray.exceptions.RayError as error:
        return RunError(f"Ray could not run the task: {str(error).splitlines()[0]}")
    return None


def _stop(running: Mapping[Any, object]) -> None:
    """Interrupt the running tasks, and wait until they have saved and ended."""
    import ray

    for reference in running:
        ray.cancel(reference)
    if running:
        ray.wait(list(running), num_returns=len(running))


@contextmanager
def _cluster(resources: Resources) -> Iterator[None]:
    """Connect to the cluster for the time of the block, unless this process is connected already.

    Raises:
        RunError: the cluster cannot be reached.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    address = os.environ.get("RAY_ADDRESS", "local")
    try:
        if address == "local":
            _start(resources)
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
    """Raise an OSError if no server answers at the address; Ray itself would wait for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _start(resources: Resources) -> None:
    """Start a cluster of this machine alone."""
    import ray

    others = {name: os.environ.get(name) for name in _OURS}
    os.environ.update(_OURS)
    try:
        ray.init(
            address="local",
            num_cpus=resources.here() * resources.threads,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    finally:
        for name, value in others.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
