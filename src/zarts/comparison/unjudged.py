"""Searches alone: what they find is counted, not trained; for a look at how searches go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from zarts.bench import Column
from zarts.comparison.epochs import cells_of, identities, parameterless, sampling
from zarts.comparison.judge import Judge, Picture, collapse
from zarts.comparison.notes import many_seeds
from zarts.comparison.plan import Cell
from zarts.comparison.results import Found, Summary
from zarts.comparison.rows import Group, Row
from zarts.errors import RunError
from zarts.files import read_mapping
from zarts.spaces import PARAMETERLESS, Genotype, genotype_string

__all__ = ["Unjudged"]


class Unjudged(Judge):
    """Judges nothing.

    Args:
        rows: the rows of the comparison.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self._picture = collapse(rows)

    @override
    def columns(self, group: Group) -> list[Column]:
        return []

    @override
    def check(self, cells: Sequence[Cell]) -> None:
        """Nothing is refused."""

    @override
    def prepare(self, cell: Cell) -> None:
        """Nothing is needed."""

    @override
    def judge(self, cell: Cell) -> Found:
        """What the search found.

        Raises:
            RunError: a file of the run cannot be read.
        """
        genotype, cells = Genotype.load(cell.folder / "genotype.json"), cells_of(cell.folder)
        result = read_mapping(cell.folder / "result.json")
        if "seconds" not in result:
            raise RunError(f"{cell.folder / 'result.json'}: not the result of a search (it has no seconds)")
        return Found(
            architecture=genotype_string(genotype),
            accuracies={},
            history=parameterless(cells),
            parameterless=genotype.count("normal", PARAMETERLESS),
            seconds=float(result["seconds"]),
            curves={"identities": identities(cells), **sampling(cell.folder)},
        )

    @override
    def notes(self, cells: Sequence[Cell], longest: float) -> list[str]:
        return [
            f"Searches alone, n of {many_seeds(cells)}: nothing was retrained. time: of a search. parameter-free: "
            "operations without parameters in the normal cell."
        ]

    @override
    def picture(self, baselines: Sequence[Summary]) -> Picture:
        return self._picture

    @override
    def facts(self) -> dict[str, Any]:
        return {}
