"""User-defined criteria and objectives: their files, and copies of these in run folders."""

from __future__ import annotations

import importlib.util
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.abc import InspectLoader
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor
from typing_extensions import override

from zarts.config import FUNCTIONS, UserFunction
from zarts.config.base import Settings
from zarts.errors import SettingsError
from zarts.runs.checksum import check_code, digest
from zarts.runs.run_dir import Run
from zarts.runtime.paths import existing, path_of

__all__ = [
    "anchored_functions",
    "keep_functions",
    "load_functions",
    "run_code",
    "same_functions",
    "user_functions",
    "without_functions",
]

_S = TypeVar("_S", bound=Settings)


def user_functions(settings: Settings) -> dict[str, UserFunction]:
    """The user-defined functions among the settings, by setting."""
    values = {key: vars(settings)[key] for key in FUNCTIONS if key in vars(settings)}
    return {key: value for key, value in values.items() if isinstance(value, UserFunction)}


def load_functions(settings: _S, note: Callable[[str], None], run: Run | None = None) -> _S:
    """The settings with the functions of the files that they name; each file is run once.

    Args:
        settings: the settings.
        note: called with a message that code is run.
        run: the run that they are of, for messages.

    Raises:
        SettingsError: a file is missing, fails, or has no such function; or a function has to be named again.
    """
    loaded: dict[Path, tuple[str, dict[str, Any]]] = {}
    functions = {}
    for key, value in user_functions(settings).items():
        if value.function is not None:
            continue
        if value.path is None:
            raise SettingsError(_unnamed(key, value, run))
        path = path_of(value.path).resolve()
        if path not in loaded:
            existing(path, "Python file")
            note(f"running the Python code of {value.path}")
            loaded[path] = run_code(path)
        source, names = loaded[path]
        function = names.get(value.attribute)
        if not callable(function):
            raise SettingsError(f"{key}: {path} has no function {value.attribute!r}: name one of its functions")
        functions[key] = replace(value, function=function, source=source)
    return settings.model_copy(update=functions)


def _unnamed(key: str, value: UserFunction, run: Run | None) -> str:
    if run is None or value.is_object:
        return f"{key} = {value.attribute} is a Python object, of which only the name is known: pass {key}= from Python"
    return (
        f"{run.path} has a user-defined {key}, Python code that is not run unasked: read it, and add "
        f"{_option(run, key, value)}"
    )


def _option(run: Run, key: str, value: UserFunction) -> str:
    return f"--{key} {shlex.quote(f'{run.path / key}.py:{value.attribute}')}"


def run_code(path: Path, source: str | None = None) -> tuple[str, dict[str, Any]]:
    """Run a Python file: its text, and the names that it defines.

    Args:
        path: the file.
        source: its text, if that was read before.

    Raises:
        SettingsError: it cannot be read, or fails.
    """
    try:
        source = path.read_text(encoding="utf-8") if source is None else source
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from error
    name = f"zarts_functions_{path.stem}_{digest(source.encode())[:8]}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_Text(source, path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        raise SettingsError(f"{path}, line {line}: {type(error).__name__}: {error}") from error
    return source, vars(module)


class _Text(InspectLoader):
    """Loads a module from a text."""

    def __init__(self, source: str, path: Path) -> None:
        self._source, self._path = source, path

    @override
    def get_source(self, fullname: str) -> str:
        """The text."""
        return self._source

    @override
    def get_code(self, fullname: str) -> Any:
        """The compiled text."""
        return self.source_to_code(self._source.removeprefix("\ufeff"), str(self._path))


def keep_functions(settings: Settings, run: Run) -> None:
    """Copy the files of functions into the run folder, as `criterion.py` and `objective.py`."""
    for key, value in user_functions(settings).items():
        if value.source is not None:
            run.write(f"{key}.py", value.source)


def same_functions(run: Run, settings: _S, given: Mapping[str, Any]) -> _S:
    """The settings of a run that has begun, with its user-defined functions as they are given again.

    A function is code, so the user has to name its file again; what is run then is the copy in the run folder.

    Args:
        run: the run.
        settings: its settings, as they are recorded.
        given: the values of `criterion` and `objective` that are given now.

    Raises:
        SettingsError: one of them is not what the run began with.
    """
    begun = user_functions(settings)
    functions = {key: replace(value, path=None) for key, value in begun.items()}
    for key, value in given.items():
        now = UserFunction.of(value)
        if key not in begun or now is None:
            raise SettingsError(
                f"{key} = {value}: {run.path} keeps its own {key}, and only user-defined functions are given again: "
                "leave it out"
            )
        functions[key] = _same(run, key, begun[key], now)
    return settings.model_copy(update=functions)


def _same(run: Run, key: str, begun: UserFunction, now: UserFunction) -> UserFunction:
    """The function that a run began with, to be taken from the run's own copy of its file.

    Raises:
        SettingsError: another function is given.
        RunError: the copy is not what the run began with.
    """
    if begun.is_object:
        if now.name != begun.name:
            raise SettingsError(
                f"{key} = {now.name}: {run.path} began with the object {begun.attribute}, which has to be passed again"
            )
        return now
    kept, file = run.path / f"{key}.py", now.path and path_of(now.path)
    check_code(kept)
    same = file is not None and file.is_file() and file.read_bytes() == kept.read_bytes()
    if not same or now.attribute != begun.attribute:
        raise SettingsError(f"{now.name} is not what {run.path} began with: take {_option(run, key, begun)}")
    return replace(begun, path=kept)


def without_functions(settings: _S, *keys: str) -> _S:
    """Settings in which user-defined functions are replaced, because what they compute is not of interest.

    Args:
        settings: the settings.
        keys: `criterion` or `objective`; none: both.
    """
    known = user_functions(settings)
    functions = {key: replace(known[key], function=_unused) for key in keys or known if key in known}
    return settings.model_copy(update=functions)


def _unused(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.sum()


def anchored_functions(settings: _S) -> dict[str, UserFunction]:
    """The functions of files, with absolute paths."""
    found = {}
    for key, value in user_functions(settings).items():
        if value.path is not None and value.function is None:
            path = path_of(value.path).resolve()
            found[key] = UserFunction(f"{path}:{value.attribute}", path)
    return found
