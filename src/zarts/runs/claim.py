"""The folder of a new run until its first checkpoint: it is one process's alone, and can be begun anew."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from contextlib import ExitStack
from pathlib import Path

from zarts.errors import RunError, SettingsError
from zarts.runtime.io import WriteError
from zarts.runtime.leftovers import is_part
from zarts.runtime.processes import locked

__all__ = ["UNSTARTED", "claim", "clear", "is_free", "is_started", "unmark"]

UNSTARTED = ".unstarted"
"""File of a folder that zarts has made, until the run has its first checkpoint."""
_STARTED = ("checkpoint.pt", "metrics.jsonl", "result.json", "work")
_BEFORE_START = {
    *("chain.json", "config.yaml", "criterion.py", "env.json", "genotype.json", "left_out.csv", "objective.py"),
    *("operations.py", "path.json", "plan.yaml", "searched.yaml", "space.yaml", "split.json", "start.json"),
}
"""Files that a run writes before its first step."""
_FOLDERS_BEFORE_START = {"baselines", "tensorboard"}


def is_started(path: Path) -> bool:
    """Whether a run has a checkpoint, events or a result, or a fit has begun to train."""
    return any((path / name).exists() for name in _STARTED)


def is_free(path: Path) -> bool:
    """Whether a run can begin in a folder: there is none, it is empty, or a run was killed in it before its start."""
    if not path.exists():
        return True
    if not path.is_dir():
        return False
    try:
        names = {file.name for file in path.iterdir() if not is_part(file)}
    except PermissionError:
        return False
    return not names or (UNSTARTED in names and names - {UNSTARTED} <= _BEFORE_START | _FOLDERS_BEFORE_START)


def clear(path: Path) -> None:
    """Delete what a run has written before its start, but `UNSTARTED`."""
    for file in path.iterdir():
        if file.name in _BEFORE_START or is_part(file):
            file.unlink(missing_ok=True)
        elif file.name in _FOLDERS_BEFORE_START:
            shutil.rmtree(file, ignore_errors=True)


def unmark(path: Path) -> None:
    """Delete the mark of a folder whose run has started."""
    if is_started(path):
        with contextlib.suppress(OSError):
            (path / UNSTARTED).unlink(missing_ok=True)


def claim(path: Path, command: str, *, numbered: bool) -> tuple[Path, ExitStack, bool]:
    """Make the folder of a new run, or take one that is free, and lock it.

    Args:
        path: the folder.
        command: of the run.
        numbered: if `path` is not free, take `path-2`, `path-3` … instead: the first that no run has, not even one
            that starts at the same time.

    Returns:
        The folder, what unlocks it, and whether it is locked: see `locked`.

    Raises:
        SettingsError: the folder is not free, and is not to be numbered.
        RunError: the folder cannot be written, or another process begins a run in it.
    """
    wanted, number = path, 1
    while True:
        made = _made(path)
        if made or is_free(path):
            stack = ExitStack()
            try:
                busy = f"{path}: another process begins a run in it: wait for its end"
                alone = stack.enter_context(locked(path, busy, waits=not numbered))
                if is_free(path) and (made or alone or not numbered):
                    _begin(path)
                    return path, stack, alone
            except WriteError:
                stack.close()
                raise
            except RunError:
                if not numbered:
                    raise
            stack.close()
        if not numbered:
            raise SettingsError(_taken(path, command))
        number += 1
        path = wanted.with_name(f"{wanted.name}-{number}")


def _begin(path: Path) -> None:
    try:
        (path / UNSTARTED).touch()
        clear(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            path.rmdir()
        raise WriteError(path, error) from error


def _made(path: Path) -> bool:
    """Make the folder; False if a folder or a file of that name exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path}: cannot be created ({error.strerror}): choose another --out") from error
    try:
        path.mkdir()
    except FileExistsError:
        return False
    except OSError as error:
        raise RunError(f"{path}: cannot be created ({error.strerror}): choose another --out") from error
    return True


def _taken(path: Path, command: str) -> str:
    """The message for a path that is not free; only a run of the same command is offered to be resumed."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if (path / "config.yaml").read_text(encoding="utf-8").startswith(f"{command}:"):
            return (
                f"{path} exists and is not overwritten: choose another --out, "
                f"or resume it with `zarts {command} --resume {shlex.quote(str(path))}`"
            )
    return f"{path} exists, is no {command} of zarts, and is not overwritten: choose another --out"
