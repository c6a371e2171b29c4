"""Engine `ray`: tasks on the Ray cluster of `ray.init` or RAY_ADDRESS, or on one that it starts on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, TypeVar

from zarts.comparison.engines.resources import Resources
from zarts.errors import RunError
from zarts.runtime.ray_cluster import ray_cluster
from zarts.runtime.system_memory import keep_freed_memory

__all__ = ["run_tasks"]

_T = TypeVar("_T")


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

    processors = resources.here() * resources.threads
    with redirect_stdout(sys.stderr), ray_cluster(processors):  # Ray prints there that a process has died
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
