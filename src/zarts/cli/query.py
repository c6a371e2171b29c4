"""`zarts lookup`: the accuracies of an architecture as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zarts.bench import Lookup

__all__ = ["DataSet", "show"]


class DataSet(StrEnum):
    """The data sets of NAS-Bench-201."""

    CIFAR10 = "cifar10"
    CIFAR100 = "cifar100"
    IMAGENET16 = "imagenet16-120"


def show(found: Lookup, data_sets: Sequence[DataSet] | None, as_json: bool) -> None:
    """Print what was found.

    Args:
        found: the look-up.
        data_sets: only these; None are all.
        as_json: JSON instead of a table.
    """
    if data_sets:
        found = replace(found, entries={c: entry for c, entry in found.entries.items() if c.data in data_sets})
    if as_json:
        print(json.dumps(found.to_dict(), indent=2))
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
