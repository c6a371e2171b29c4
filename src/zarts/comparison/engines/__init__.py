"""Engines that run the tasks of a comparison, by name in `ENGINES`.

From outside, use `get_engine` and `Resources`; a new engine is one more module and one more row of `ENGINES`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from zarts.comparison.engines import local, ray_engine
from zarts.comparison.engines.resources import Resources
from zarts.errors import SettingsError, did_you_mean

__all__ = ["ENGINES", "Engine", "Resources", "get_engine"]

Engine = Callable[..., None]
"""`run_tasks(work, tasks, resources, done)`, see `zarts.comparison.engines.local.run_tasks`."""

ENGINES: dict[str, Engine] = {"processes": local.run_tasks, "ray": ray_engine.run_tasks}
"""By name: processes of this machine, and tasks of a Ray cluster."""


def get_engine(name: str) -> Engine:
    """The engine of that name.

    Raises:
        SettingsError: no engine has that name, or its package is not installed.
    """
    if name not in ENGINES:
        raise SettingsError(did_you_mean("engine", name, ENGINES))
    if name == "ray" and find_spec("ray") is None:
        raise SettingsError("engine ray needs the package ray: pip install 'zarts[ray]'")
    return ENGINES[name]
