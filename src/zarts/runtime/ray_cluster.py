"""A Ray cluster: that of `ray.init` or RAY_ADDRESS, or one that is started on this machine."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zarts.errors import RunError

__all__ = ["ray_cluster"]

_OURS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_task_oom_retries": "1"}
"""Environment of a cluster that is started here: no usage reports, and one retry of a task that ran out of memory."""


@contextmanager
def ray_cluster(processors: int) -> Iterator[None]:
    """Connect to the cluster for the time of the block, unless this process is connected already.

    It is that of RAY_ADDRESS or, where that is not set, one that is started on this machine.

    Args:
        processors: of a cluster that is started here.

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
            _start(processors)
        else:
            _knock(address)
            ray.init(logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        where = "the Ray cluster of this machine" if address == "local" else f"RAY_ADDRESS = {address}"
        raise RunError(f"{where}: no connection ({str(error).splitlines()[0]})") from error
    finally:
        if threading.current_thread() is threading.main_thread():
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


def _start(processors: int) -> None:
    """Start a cluster of this machine alone."""
    import ray

    others = {name: os.environ.get(name) for name in _OURS}
    os.environ.update(_OURS)
    try:
        ray.init(
            address="local",
            num_cpus=processors,
            include_dashboard=False,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
    finally:
        for name, value in others.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
