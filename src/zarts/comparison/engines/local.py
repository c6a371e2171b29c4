"""Tasks in processes of their own on this machine: one that is killed takes no other one with it."""

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

from zarts.comparison.engines.resources import Room
from zarts.errors import RunError
from zarts.runtime.system_memory import keep_freed_memory

__all__ = ["run_tasks"]

_T = TypeVar("_T")


def run_tasks(
    work: Callable[[_T], object], tasks: Sequence[_T], room: Room, done: Callable[[_T, BaseException | None], None]
) -> None:
    """Do all tasks, several at a time. Each thread has a pool of one process, which serves it for many tasks.

    When this process is interrupted, or `done` raises, those of the others are asked to stop (SIGTERM), and have
    ended when the exception leaves; when it is killed, they end as well.

    Args:
        work: does a task; a function that can be found by name, for it is called in another process.
        tasks: plain data.
        room: how many processes; by default as many as the processors of this machine have room for.
        done: is told of each task that has ended, and what was raised there, or None.
    """
    before = set(multiprocessing.active_children())
    local = threading.local()
    with ExitStack() as pools, ThreadPoolExecutor(room.here(), initializer=_block_interrupts) as threads:

        def do(task: _T) -> None:
            if not hasattr(local, "pool"):
                context = multiprocessing.get_context("spawn")
                local.pool = pools.enter_context(ProcessPoolExecutor(1, context, initializer=_start))
            try:
                local.pool.submit(work, task).result()
            except BrokenProcessPool:
                del local.pool
                raise RunError("its process was killed, for want of memory perhaps") from None

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
    """The Ctrl-C of a terminal goes to all its processes: those that this thread starts leave it to their parent."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


def _start() -> None:
    """What a process does first: it arranges to end with its parent, were that killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=partial(_end_with, parent), daemon=True).start()
    keep_freed_memory()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
