"""User-defined spaces and operations: their files, and copies of these in run folders."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zarts.config import SearchSettings
from zarts.errors import SettingsError
from zarts.networks import load_operations
from zarts.readers import read_text
from zarts.runs.checksum import check_code
from zarts.runs.run_dir import Run
from zarts.runtime.paths import existing, path_of
from zarts.spaces import get_space, is_file

__all__ = ["UserFiles", "copy_user_files", "use_operations", "use_space"]

_SPACE, _OPERATIONS = "space.yaml", "operations.py"


@dataclass(frozen=True)
class UserFiles:
    """The texts of the space's YAML file and of the operations' Python file; None: there is no such file."""

    space: str | None = None
    operations: str | None = None

    @staticmethod
    def of(settings: SearchSettings, note: Callable[[str], None]) -> UserFiles:
        """Read the files in the settings: run the Python file, and register the space under its name.

        Args:
            settings: the settings.
            note: called with a message that code is run.

        Raises:
            SettingsError: a file cannot be used, or the space has none of the operations.
        """
        operations = None
        if settings.operations is not None:
            names = _run(path_of(settings.operations), note)
            operations = read_text(path_of(settings.operations))
            space = get_space(settings.space)
            if not set(names) & set(space.operations):
                raise SettingsError(
                    f"{settings.operations}: space {space.name!r} has none of its operations ({', '.join(names)}): "
                    "name them in a space of your own, --space FILE.yaml"
                )
        get_space(settings.space)
        return UserFiles(read_text(path_of(settings.space)) if is_file(settings.space) else None, operations)

    def keep(self, run: Run) -> None:
        """Copy both files into a run folder, so that the run needs no others."""
        for name, text in ((_SPACE, self.space), (_OPERATIONS, self.operations)):
            if text is not None:
                run.write(name, text)


def use_space(run: Run) -> None:
    """Register the user-defined space of a run, if it has one; a space is data, not code."""
    if (run.path / _SPACE).exists():
        get_space(str(run.path / _SPACE))


def use_operations(run: Run, operations: Path | None, note: Callable[[str], None]) -> None:
    """Run the user-defined operations of a run; they are code, so the user has to name their file again.

    Args:
        run: the run.
        operations: the file, with the same content as when the run began.
        note: called with a message that code is run.

    Raises:
        SettingsError: the file is not named, or has another content.
        RunError: the copy is not what the run began with.
    """
    kept = run.path / _OPERATIONS
    if not kept.exists():
        if operations is not None:
            raise SettingsError(f"{run.path} has no user-defined operations: leave --operations out")
        return
    again = f"--operations {shlex.quote(str(kept))}"
    if operations is None:
        raise SettingsError(
            f"{run.path} has user-defined operations, Python code that is not run unasked: read it, and add {again}"
        )
    check_code(kept)
    if read_text(path_of(operations)) != read_text(kept):
        raise SettingsError(f"{operations} is not the file that {run.path} began with: take {again}")
    _run(kept, note)


def copy_user_files(source: Run, run: Run) -> None:
    """Copy the user-defined space and operations of one run into another."""
    texts = [read_text(source.path / name) if (source.path / name).exists() else None for name in (_SPACE, _OPERATIONS)]
    UserFiles(*texts).keep(run)


def _run(path: Path, note: Callable[[str], None]) -> list[str]:
    note(f"running the Python code of {existing(path, 'Python file with operations')}")
    return load_operations(path)
