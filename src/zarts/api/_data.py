"""The images that a call is given: a name, a path, or Python objects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

from zarts.api._fit_result import FitResult
from zarts.config import RetrainSettings, SearchSettings
from zarts.data import DATA_SETS, PYTHON, PythonData, check_data, python_data
from zarts.errors import SettingsError
from zarts.runs import Run
from zarts.runs.new_run import check_given
from zarts.runtime.paths import path_of
from zarts.searcher import SearchRecord
from zarts.training import RetrainRecord

__all__ = ["given_again", "given_images", "images_of"]


def given_images(data: Any) -> tuple[str | None, PythonData | None]:
    """The setting `data`, and the images if they are Python objects; both None if nothing is given.

    Args:
        data: a name, a path, or one of the objects that `zarts.search` takes.

    Raises:
        DataError: it is none of these.
    """
    if data is None:
        return None, None
    if isinstance(data, str | os.PathLike):
        return os.fspath(data), None
    return PYTHON, python_data(data)


def images_of(source: object) -> PythonData | None:
    """The Python objects that a result keeps; None for anything else."""
    kept = source.images if isinstance(source, SearchRecord | RetrainRecord | FitResult) else None
    return None if kept is None else python_data(kept)


_S = TypeVar("_S", SearchSettings, RetrainSettings)


def given_again(data: Any, settings: _S, run: Path, call: str) -> tuple[_S, PythonData | None]:
    """The settings and the images of a run that goes on.

    Python objects have to be given again. The images of a folder may be in another place, which the settings then name;
    they are compared with the run's split when they are loaded.

    Args:
        data: the argument.
        settings: of the run.
        run: the run folder, for messages.
        call: the call that takes them, for messages; one that has `resume` goes on with the run.

    Raises:
        RunError: the images of the run are Python objects, and none are given.
        SettingsError: the run began with a named set or objects, and others are given; or it has finished.
        DataError: `data` is nothing that can be used.
    """
    name, images = given_images(data)
    free = name is None or name == settings.data == PYTHON
    if not free and (settings.data in (*DATA_SETS, PYTHON) or name in (*DATA_SETS, PYTHON)):
        raise SettingsError(f"{run}: goes on with its own images, data = {settings.data}: leave data out")
    if name is None or images is not None:
        check_given(settings, images, run, call)
        return settings, images
    if "resume" in call and Run(run).finished:
        raise SettingsError(f"{run}: has finished, and needs its images no more: leave data out")
    check_data(name)
    return settings.model_copy(update={"data": str(path_of(name).resolve())}), None
