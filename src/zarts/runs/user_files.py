"""What a search has of its user's own: a space from a YAML file, operations from a Python file, a copy of each."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zarts.config import SearchSettings
from zarts.errors import RunError, SettingsError
from zarts.networks import load_operations
from zarts.runs.run_dir import Run
from zarts.spaces import get_space, is_file

__all__ = ["UserFiles", "copy_user_files", "use_operations", "use_space"]

_SPACE, _OPERATIONS = "space.yaml", "operations.py"


@dataclass(frozen=True)
class UserFiles:
    """The texts of both files; None: there is none."""

    space: str | None = None
    operations: str | None = None

    @staticmethod
    def of(settings: SearchSettings, note: Callable[[str], None]) -> UserFiles:
        """Those that settings name; the Python file is run, the space is known by its name from now on.

        Args:
            settings: the settings.
            note: told that code is run.

        Raises:
            SettingsError: a file that cannot be used, or operations that the space has not.
        """
        operations = None
        if settings.operations is not None:
            names = _run(settings.operations.expanduser(), note)
            operations = _read(settings.operations.expanduser())
            space = get_space(settings.space)
            if not set(names) & set(space.operations):
                raise SettingsError(
                    f"{settings.operations}: space {space.name!r} has none of its operations ({', '.join(names)}): "
                    "name them in a space of your own, --space FILE.yaml"
                )
        get_space(settings.space)
        return UserFiles(_read(Path(settings.space).expanduser()) if is_file(settings.space) else None, operations)

    def keep(self, run: Run) -> None:
        """Copy both into a run folder, which from then on needs no other."""
        for name, text in ((_SPACE, self.space), (_OPERATIONS, self.operations)):
            if text is not None:
                run.write(name, text)


def use_space(run: Run) -> None:
    """Make the space of a run known, if it is one of its own: that is data."""
    if (run.path / _SPACE).exists():
        get_space(str(run.path / _SPACE))


def use_operations(run: Run, operations: Path | None, note: Callable[[str], None]) -> None:
    """Run the operations that a run has of its own: that is code, and so the user has to name its file again.

    Args:
        run: the run.
        operations: the file; with the content that the run began with.
        note: told that code is run.

    Raises:
        SettingsError: it is not named, or another one is.
    """
    kept = run.path / _OPERATIONS
    if not kept.exists():
        if operations is not None:
            raise SettingsError(f"{run.path} has no operations of its own: leave --operations out")
        return
    again = f"--operations {shlex.quote(str(kept))}"
    if operations is None:
        raise SettingsError(
            f"{run.path} has operations of its own, which are Python code, and are not run unasked: read them, and "
            f"add {again}"
        )
    if _read(operations.expanduser()) != _read(kept):
        raise SettingsError(f"{operations} is not the file that {run.path} began with: take {again}")
    _run(kept, note)


def copy_user_files(source: Run, run: Run) -> None:
    """Copy what one run has of its own into another."""
    texts = [_read(source.path / name) if (source.path / name).exists() else None for name in (_SPACE, _OPERATIONS)]
    UserFiles(*texts).keep(run)


def _run(path: Path, note: Callable[[str], None]) -> list[str]:
    note(f"running the Python code of {path}")
    return load_operations(path)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from error
