"""Look-up of the true accuracies of an architecture."""

from __future__ import annotations

from zarts.api._architecture import Source, string_of
from zarts.bench import Lookup, Table, find_table, look_up, read_table
from zarts.runtime.paths import PathLike, path_of

__all__ = ["lookup"]


def lookup(
    architecture: Source | int, *, benchmark_table: Table | PathLike | None = None, trust: bool = False
) -> Lookup:
    """Look up the true accuracies, ranks and regrets of an architecture of the space `nasbench201`.

    Args:
        architecture: the string or index of the benchmark, or a search in that space, a genotype or its file.
        benchmark_table: a table, its file, or a folder with a file of a known name; None: the folder that the
            environment variable ZARTS_DATA names.
        trust: whether a file may be unpickled, which runs the code in it; the official files need it.

    Raises:
        SettingsError: the architecture is of another space, or the string names none.
        DataError: the table does not exist, cannot be read, or lacks the architecture.
        RunError: the source cannot be read.
    """
    if isinstance(architecture, str) and architecture.strip().isdecimal():
        architecture = int(architecture)
    if not isinstance(architecture, int):
        architecture = string_of(architecture)
    if not isinstance(benchmark_table, Table):
        file = find_table(None if benchmark_table is None else path_of(benchmark_table))
        benchmark_table = read_table(file, trust=trust)
    return look_up(benchmark_table, architecture)
