"""Engine `processes`: tasks in processes of this machine; one that is killed takes no other one with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

from zarts.comparison.engines.resources import Resources
from zarts.errors import RunError
from zarts.runtime.system_memory import keep_freed_memory

__all__ = ["run_tasks"]

_T = TypeVar("_T")


def run_tasks(
    work: Callable[[_T], object],
    tasks: Sequence[_T],
    resources: Resources,
    done: Callable[[_T, BaseException | None], None],
) -> None:
    """Run all tasks, several at a time. Each thread has a pool of one process, which runs many tasks.

    If this process is interrupted, or `done` raises, the other processes get SIGTERM and have ended before the
    exception is raised further. If this process is killed, they end as well.

    Args:
        work: runs a task; importable by name, because another process calls it.
        tasks: plain data.
        resources: number of processes; by default as many as the processors of this machine allow.
        done: called with each task that has ended, and the exception that it raised, or None.
    """
    before = set(multiprocessing.active_children())
    local = threading.local()
    with ExitStack() as pools, ThreadPoolExecutor(resources.here(), initializer=_block_interrupts) as threads:

        def do(task: _T) -> None:
            if not hasattr(local, "pool"):
                context = multiprocessing.get_context("spawn")
                local.pool = pools.enter_context(ProcessPoolExecutor(1, context, initializer=_start))
            try:
                local.pool.submit(work, task).result()
            except BrokenProcessPool:
                del local.pool
                raise RunError("its process was killed, perhaps for lack of memory") from None

        futures = {threads.submit(do, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                done(futures[future], future.exception())
        except BaseException:
            _stop(futures, before)
            raise


def _stop(futures: Iterable[Future[None]], before: set[Any]) -> None:
    for future in futures:
        future.cancel()
    left = set(futures)
    while left:  # more than once: a process may just have been started
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        left = wait(left, timeout=1).not_done


def _block_interrupts() -> None:
    """Block SIGINT in this thread: a terminal sends it to all processes, and the thread's leave it to their parent."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


def _start() -> None:
    """Prepare a new process: it ends when its parent is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=partial(_end_with, parent), daemon=True).start()
    keep_freed_memory()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
