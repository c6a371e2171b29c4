"""Groups of images that stay together, such as the frames of a film or the pictures of a patient."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from zarts.errors import DataError, SettingsError
from zarts.readers import csv_rows
from zarts.runtime.paths import path_of

__all__ = ["groups_of"]

_COLUMNS = ("file", "group")


def groups_of(group_by: str | None, names: Sequence[str], where: str, *, files: bool = True) -> dict[str, str] | None:
    """The group of each image.

    Args:
        group_by: a regular expression that is searched in the names, whose first bracket, or else whose whole match is
            the group; or the path of a CSV file with the columns `file` and `group`. None: there are no groups.
        names: of the images, with `/` between folders.
        where: what they are listed in, for messages.
        files: whether the names are those of files.

    Returns:
        The group of each name, or None.

    Raises:
        SettingsError: the expression is none, the images have no file names, or one of them has no group.
        DataError: the CSV file cannot be used.
    """
    if group_by is None:
        return None
    if not files:
        raise SettingsError(f"group_by = {group_by}: {where} has no file names to group by: leave it out")
    path = path_of(group_by)
    if path.suffix.lower() == ".csv":
        groups = _listed(path)
        missing = [name for name in names if name not in groups]
        if missing:
            raise DataError(f"{path}: {len(missing)} images have no group (first: {missing[0]}); add their lines")
        return {name: groups[name] for name in names}
    try:
        expression = re.compile(group_by)
    except re.error as error:
        raise SettingsError(f"group_by = {group_by}: is no regular expression ({error}), and no file .csv") from None
    found = {name: match[min(1, expression.groups)] for name in names if (match := expression.search(name))}
    if others := [name for name in names if found.get(name) is None]:
        raise SettingsError(
            f"group_by = {group_by}: does not match {len(others)} of {len(names)} names in {where} (first: {others[0]})"
        )
    return found


def _listed(path: Path) -> dict[str, str]:
    """The groups in a CSV file.

    Raises:
        DataError: the file cannot be read, lacks a column, or a line has no group, or another one than a line before.
    """
    found: dict[str, str] = {}
    for line, row in csv_rows(path, _COLUMNS, DataError):
        name, group = row["file"], row["group"]
        if not name or not group or None in row:  # None is the key of what is behind the last column
            raise DataError(
                f"{path}: line {line} has file {name!r}, group {group!r}; each line needs both, and no more"
            )
        if found.setdefault(name, group) != group:
            raise DataError(f"{path}: line {line}: {name} is in group {found[name]!r} already; remove one of its lines")
    return found
