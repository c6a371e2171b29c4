"""The images that a call is given: a name, a path, or Python objects."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from zarts.config import CommonSettings
from zarts.data import PYTHON, PythonData, python_data
from zarts.errors import SettingsError
from zarts.runs.new_run import check_given
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
    kept = source.images if isinstance(source, SearchRecord | RetrainRecord) else None
    return None if kept is None else python_data(kept)


def given_again(data: Any, settings: CommonSettings, run: Path, call: str) -> PythonData | None:
    """The images of a run that goes on: Python objects have to be given again, and nothing else.

    Args:
        data: the argument.
        settings: of the run.
        run: the run folder, for messages.
        call: the call that takes the objects, for messages.

    Raises:
        RunError: the images of the run are Python objects, and none are given.
        SettingsError: they are not, but some are given.
        DataError: `data` is nothing that can be used.
    """
    name, images = given_images(data)
    if name is not None and (images is None or settings.data != PYTHON):
        raise SettingsError(f"{run}: goes on with its own images, data = {settings.data}: leave data out")
    check_given(settings, images, run, call)
    return images
