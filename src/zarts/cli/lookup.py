"""The command `lookup`: the accuracies of an architecture as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zarts.cli.options import Trust
from zarts.cli.progress import Display

if TYPE_CHECKING:
    from zarts.bench import Lookup

__all__ = ["DataSet", "lookup"]


class DataSet(StrEnum):
    """The data sets of NAS-Bench-201."""

    CIFAR10 = "cifar10"
    CIFAR100 = "cifar100"
    IMAGENET16 = "imagenet16-120"


def lookup(
    architecture: Annotated[
        str, typer.Argument(help="a string |op~0|+..., an index, a genotype file or a search run", metavar="ARCH")
    ],
    benchmark_table: Annotated[
        Path | None, typer.Option(help="its file (default: the one in the directory ZARTS_DATA)", metavar="FILE")
    ] = None,
    trust: Trust = False,
    data_set: Annotated[list[DataSet] | None, typer.Option(help="show this one only; may be repeated")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Look up the true accuracies of a cell of NAS-Bench-201."""
    Display(quiet=False, verbose=False).load("zarts.api._query")
    from zarts import api

    _print(api.lookup(architecture, benchmark_table=benchmark_table, trust=trust), data_set, json)


def _print(found: Lookup, data_sets: Sequence[DataSet] | None, as_json: bool) -> None:
    """Print the entries of a look-up.

    Args:
        found: the look-up.
        data_sets: print only these; None: all.
        as_json: JSON instead of a table.
    """
    if data_sets:
        found = replace(found, entries={c: entry for c, entry in found.entries.items() if c.data in data_sets})
    if as_json:
        print(dumps(found.to_dict(), indent=2))
    else:
        _print_table(found)


def _print_table(found: Lookup) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("data set", box=None, pad_edge=False)
    for title in ("epochs", "split", "accuracy", "rank", "percentile", "regret"):
        table.add_column(title, justify="right")
    for column, e in found.entries.items():
        numbers = f"{e.accuracy:.2f}", f"{e.rank:,}", f"{e.percentile:.1f}", f"{e.regret:.2f}"
        table.add_row(column.data, str(column.epochs), column.split, *numbers)
    print(found.architecture)
    print(f"index {found.index} of {found.cells:,} cells in {found.table}")
    Console().print(table)
