"""NAS-Bench-201: tables of the true accuracy of every cell of the space `nasbench201`.

From outside, use the names in `__all__`: they read a table, look a cell up and make baselines.
"""

from __future__ import annotations

from zarts.bench.baselines import (
    SELECT,
    MeanStd,
    Row,
    convolutions,
    expected_cells,
    largest,
    optimum,
    random_cells,
)
from zarts.bench.loaders import find_table, read_table
from zarts.bench.query import Entry, Lookup, look_up
from zarts.bench.table import DATA_SETS, Column, Table
from zarts.bench.true_accuracy import Truth, truth_of

__all__ = [
    "DATA_SETS",
    "SELECT",
    "Column",
    "Entry",
    "Lookup",
    "MeanStd",
    "Row",
    "Table",
    "Truth",
    "convolutions",
    "expected_cells",
    "find_table",
    "largest",
    "look_up",
    "optimum",
    "random_cells",
    "read_table",
    "truth_of",
]
