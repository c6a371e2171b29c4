"""The true accuracy of what a search derives, logged beside the search, which knows nothing of it."""

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
    """What a table says of a cell: its string, its index, and the `Entry` of each of `Column.tests` by name.

    Raises:
        DataError: the cell is not in the table.
        RunError: a genotype of another space.
    """
    found = look_up(table, to_string(genotype))
    entries = {column.name: asdict(found.entries[column]) for column in Column.tests() if column in found.entries}
    return {"architecture": found.architecture, "index": found.index, **entries}


class Truth:
    """Hears a search in the place of its callback, and logs an event `truth` after each `genotype`.

    Args:
        table: what is looked up. A cell that it lacks is told as a note: no search ends for want of its truth.
        run: the folder of the search.
        callback: hears all that this one hears, and the events `truth`.
    """

    def __init__(self, table: Table, run: Run, callback: Callback | None = None) -> None:
        self._table, self._run, self._callback = table, run, callback or (lambda event: None)

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Pass an event on; and look the cell up that it speaks of."""
        self._callback(event)
        if event["event"] == "genotype":
            found = self._look_up(Genotype.load(self._run.path / genotype_file(event["epoch"])))
            if found:
                truth = {"event": "truth", "epoch": event["epoch"], **found}
                self._run.log(truth)
                self._callback(truth)

    def finish(self, genotype: Genotype) -> None:
        """Write the truth of the result, as `truth`, into `result.json`.

        Raises:
            RunError: that file cannot be read or written.
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
