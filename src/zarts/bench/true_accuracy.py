"""Log of the true accuracies of the derived cells of a search; the search itself never sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from zarts.bench.query import look_up
from zarts.bench.table import Column, Table
from zarts.errors import DataError
from zarts.runs import Run, genotype_file
from zarts.spaces import Genotype
from zarts.spaces.nasbench201 import to_string
from zarts.training.trainer import Callback

__all__ = ["Truth", "truth_of"]


def truth_of(table: Table, genotype: Genotype) -> dict[str, Any]:
    """The entries of a cell in a table: its string, its index, and the `Entry` of each of `Column.tests` by name.

    Raises:
        DataError: the cell is not in the table.
        RunError: the genotype is of another space.
    """
    found = look_up(table, to_string(genotype))
    entries = {column.name: asdict(found.entries[column]) for column in Column.tests() if column in found.entries}
    return {"architecture": found.architecture, "index": found.index, **entries}


class Truth:
    """Callback of a search that logs an event `truth` after each event `genotype`.

    Args:
        table: the accuracies. A cell that it lacks causes a note and does not stop the search.
        run: the folder of the search.
        callback: called with every event of the search, and with the events `truth`.
    """

    def __init__(self, table: Table, run: Run, callback: Callback | None = None) -> None:
        self._table, self._run, self._callback = table, run, callback or (lambda event: None)

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Pass an event on, and look up the cell of an event `genotype`."""
        self._callback(event)
        if event["event"] == "genotype":
            found = self._look_up(Genotype.load(self._run.path / genotype_file(event["epoch"])))
            if found:
                truth = {"event": "truth", "epoch": event["epoch"], **found}
                self._run.log(truth)
                self._callback(truth)

    def finish(self, genotype: Genotype) -> None:
        """Write the true accuracies of the result into `result.json`, under the key `truth`.

        Raises:
            RunError: the file cannot be read or written.
        """
        found = self._look_up(genotype)
        if found:
            self._run.write_json("result.json", {**self._run.read_json("result.json"), "truth": found})

    def _look_up(self, genotype: Genotype) -> dict[str, Any]:
        try:
            return truth_of(self._table, genotype)
        except DataError as error:
            self._callback({"event": "note", "text": str(error)})
            return {}
