"""Where the searches of a comparison run."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from zarts.comparison.engines import local, ray_engine
from zarts.comparison.engines.resources import Room
from zarts.errors import SettingsError, did_you_mean

__all__ = ["ENGINES", "Engine", "Room", "get_engine"]

Engine = Callable[..., None]
"""`run_tasks(work, tasks, room, done)`, see `zarts.comparison.engines.local.run_tasks`."""

ENGINES: dict[str, Engine] = {"processes": local.run_tasks, "ray": ray_engine.run_tasks}
"""By name: processes of this machine, and tasks of a Ray cluster."""


def get_engine(name: str) -> Engine:
    """The engine of that name.

    Raises:
        SettingsError: there is none, or what it needs is not installed.
    """
    if name not in ENGINES:
        raise SettingsError(did_you_mean("engine", name, ENGINES))
    if name == "ray" and find_spec("ray") is None:
        raise SettingsError("engine ray needs the package ray: pip install 'zarts[ray]'")
    return ENGINES[name]
