"""The true accuracies of an architecture, looked up."""

from __future__ import annotations

from pathlib import Path

from zarts.api._architecture import Source, string_of
from zarts.bench import Lookup, Table, find_table, look_up, read_table

__all__ = ["lookup"]


def lookup(architecture: Source | int, *, table: Table | Path | str | None = None, trust: bool = False) -> Lookup:
    """The true accuracies of an architecture of the space `nasbench201`, its ranks and its regrets.

    Args:
        architecture: the benchmark's string or index, or a search in that space, a genotype or its file.
        table: a table, its file, or a directory with a file of a known name; None: the one in the directory that
            the environment variable ZARTS_DATA names.
        trust: whether a file may be unpickled, which runs whatever code is in it; the official ones need it.

    Raises:
        SettingsError: an architecture of another space, or a string that names none.
        DataError: there is no such table, it cannot be read, or it lacks the architecture.
        RunError: a source that cannot be read.
    """
    if isinstance(architecture, str) and architecture.strip().isdecimal():
        architecture = int(architecture)
    if not isinstance(architecture, int):
        architecture = string_of(architecture)
    if not isinstance(table, Table):
        table = read_table(find_table(None if table is None else Path(table)), trust=trust)
    return look_up(table, architecture)
