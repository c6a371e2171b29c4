"""Preparation of a new run: absolute paths in its settings, its folder, and the comparison of data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from zarts.config import CommonSettings, RetrainSettings, SearchSettings, dump
from zarts.config.data import DataSettings
from zarts.data import DATA_SETS, PYTHON, PythonData, check_data
from zarts.errors import DataError, RunError, SettingsError, ZartsError
from zarts.runs.run_dir import Run
from zarts.runs.user_functions import anchored_functions
from zarts.runtime.paths import path_of
from zarts.spaces import get_space

__all__ = ["anchored", "check_given", "check_place", "data_paths", "discarded_unless_begun", "new_run", "same_images"]

_S = TypeVar("_S", SearchSettings, RetrainSettings)


def anchored(settings: _S, images: PythonData | None = None) -> _S:
    """The settings with absolute paths, and the space by its name, so that a run can be resumed from any directory.

    Args:
        settings: resolved settings.
        images: the images, if they are Python objects.

    Raises:
        SettingsError, DataError: there is no such data set or folder.
    """
    paths = data_paths(settings, images)
    if isinstance(settings, SearchSettings) and isinstance(settings.benchmark_table, Path):
        paths["benchmark_table"] = path_of(settings.benchmark_table).resolve()
    if settings.operations is not None:
        paths["operations"] = path_of(settings.operations).resolve()
    if isinstance(settings, SearchSettings):
        paths["space"] = get_space(settings.space).name
    return settings.model_copy(update={**paths, **anchored_functions(settings)})


def data_paths(settings: DataSettings, images: PythonData | None) -> dict[str, Any]:
    """The settings of the images that are paths, as absolute ones.

    Raises:
        SettingsError, DataError: there is no such data set or folder.
    """
    if settings.data != PYTHON or images is None:
        check_data(settings.data)
    paths: dict[str, Any] = {}
    if settings.data not in (*DATA_SETS, PYTHON):
        paths["data"] = str(path_of(settings.data).resolve())
    if settings.data_dir.parts[:1] != ("~",):  # a home directory moves with its user
        paths["data_dir"] = path_of(settings.data_dir).resolve()
    return paths


def new_run(path: Path, settings: CommonSettings, command: str, *, numbered: bool) -> Run:
    """Create the folder of a new run; with `numbered`, append -2, -3 … to its name if the folder exists.

    Raises:
        SettingsError: the folder exists, or lies in the folder of images, where it would be a class.
        RunError: the folder cannot be written.
    """
    check_place(path, settings.data)
    return Run.create(path, dump(settings), command, numbered=numbered)


def check_place(path: Path, data: str) -> None:
    """Check that a new run folder does not lie in the folder of its images, where it would be a class.

    Args:
        path: the run folder.
        data: the setting.

    Raises:
        SettingsError: it does.
    """
    images = path_of(data)
    if data not in (*DATA_SETS, PYTHON) and images.is_dir() and path.resolve().is_relative_to(images.resolve()):
        raise SettingsError(
            f"{path} lies in the folder of images {data}, whose sub-folders are classes: "
            "choose another --out, or start from another directory"
        )


@contextmanager
def discarded_unless_begun(run: Run) -> Iterator[None]:
    """Inside, a new run that fails or is interrupted before its first step leaves no folder behind."""
    try:
        yield
    except (ZartsError, KeyboardInterrupt):
        run.discard()
        raise


def check_given(settings: DataSettings, images: PythonData | None, run: Path, call: str) -> None:
    """Check that the images of a run are given, if they are Python objects.

    Args:
        settings: of the run.
        images: the objects.
        run: the run folder, for messages.
        call: the call that takes them, for messages.

    Raises:
        RunError: they are not given.
        DataError: the folder or file of the images is not there any more.
    """
    if settings.data not in (*DATA_SETS, PYTHON) and not path_of(settings.data).exists():
        raise DataError(f"{settings.data}: not found; if the images of {run} were moved, name the new place by --data")
    if settings.data == PYTHON and images is None:
        raise RunError(
            f"{run}: its images were given in Python, and are not kept in the run: go on there with `{call}` and the "
            "same images"
        )


def same_images(
    data: str, other: str, images: PythonData | None = None, split: Mapping[str, Any] | None = None
) -> bool:
    """Whether two values of the setting `data` mean the same images: `images` and `./images/` are the same folder.

    Args:
        data: the setting.
        other: that of another run.
        images: the images of `data`, if they are Python objects.
        split: the split of the other run, which has the fingerprint of such images.
    """
    if PYTHON in (data, other):
        return data == other and images is not None and images.fingerprint == (split or {}).get("fingerprint")
    if data in DATA_SETS or other in DATA_SETS:
        return data == other
    return path_of(data).resolve() == path_of(other).resolve()
