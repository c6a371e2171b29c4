"""Preparation of a new run: absolute paths in its settings, its folder, and the comparison of data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from shlex import quote
from typing import Any, TypeVar

from zarts.config import RetrainSettings, SearchSettings
from zarts.config.data import DataSettings
from zarts.data import DATA_SETS, PYTHON, PythonData, check_data
from zarts.errors import DataError, Interrupted, RunError, SettingsError, ZartsError
from zarts.runs.claim import unmark
from zarts.runs.run_dir import Run
from zarts.runs.user_functions import anchored_functions
from zarts.runtime.distributed import Ranks, tell_launcher
from zarts.runtime.io import WriteError
from zarts.runtime.leftovers import remove_parts, remove_temporary_folders
from zarts.runtime.paths import path_of
from zarts.spaces import get_space

__all__ = ["anchored", "check_given", "data_paths", "new_run", "place_of", "resumed_run", "same_images"]

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


@contextmanager
def new_run(
    path: Path,
    data: str,
    command: str,
    *,
    numbered: bool,
    images: PythonData | None = None,
    ranks: Ranks | None = None,
) -> Iterator[Run]:
    """The folder of a new run, locked inside; one that fails or is interrupted before its first step leaves none.

    The run has begun when the block has called `Run.begin`, after all files that it needs beside its settings.

    Args:
        path: the folder.
        data: the setting.
        command: of the run.
        numbered: whether to append -2, -3 … to its name if another run is in the folder.
        images: see `Run`.
        ranks: the processes of the run, of which the first makes the folder.

    Raises:
        SettingsError: another run is in the folder, or it lies in that of images, where it would be a class.
        RunError: the folder cannot be written.
    """
    _check_place(path, data)
    remove_temporary_folders()
    ranks = ranks or Ranks()
    with ExitStack() as stack:
        run = stack.enter_context(Run.new(path, command, numbered=numbered)) if ranks.lead else Run(path, writes=False)
        run.path, run.images = ranks.broadcast(run.path), images
        tell_launcher(run.path)
        try:
            yield run
        except WriteError as error:
            if run.discard():
                raise RunError(f"{error.path}: cannot be written ({error.reason}): nothing was begun") from error
            raise RunError(f"{error}{_go_on(run, command)}") from error
        except KeyboardInterrupt as error:
            run.discard()
            raise _interrupted(error, run, command) from None
        except ZartsError:
            run.discard()
            raise


def place_of(run: Run) -> dict[str, str]:
    """The event that names the folder of a run that has just begun."""
    return {"event": "doing", "text": f"working in {run.path}"}


@contextmanager
def resumed_run(run: Run, command: str) -> Iterator[None]:
    """Inside, a run goes on, locked; if a file cannot be written, the message says how to go on again.

    Raises:
        RunError: a file cannot be written, or another process is at work on the run.
    """
    tell_launcher(run.path)
    remove_temporary_folders()
    if run.finished:  # which takes no lock, whose start and end do this
        remove_parts(run.path)
        unmark(run.path)
    try:
        with nullcontext() if run.finished else run.lock():
            yield
    except WriteError as error:
        raise RunError(f"{error}{_go_on(run, command)}") from error
    except KeyboardInterrupt as error:
        raise _interrupted(error, run, command) from None


def _interrupted(error: KeyboardInterrupt, run: Run, command: str) -> KeyboardInterrupt:
    """Ctrl-C in a run; where there is something to go on with, with a message that says how."""
    if isinstance(error, Interrupted) or not run.started:
        return error
    return Interrupted(f"interrupted{run.resume_hint(command)}")


def _go_on(run: Run, command: str) -> str:
    """The way out of a run that could not write a file."""
    if not run.started:
        return ": nothing was lost; when files can be written again, start anew by the same command"
    return (
        f": what was saved is whole; when files can be written again, `zarts {command} --resume {quote(str(run.path))}`"
    )


def _check_place(path: Path, data: str) -> None:
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
