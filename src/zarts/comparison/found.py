"""What the search of a cell found, whoever judges it."""

from __future__ import annotations

from zarts.comparison.epochs import cells_of, identities, parameterless, sampling
from zarts.comparison.plan import Cell
from zarts.comparison.results import Found
from zarts.errors import RunError
from zarts.runtime.io import read_mapping
from zarts.spaces import PARAMETERLESS, Genotype, genotype_string

__all__ = ["found_by"]


def found_by(cell: Cell) -> Found:
    """The architecture, its operations without parameters, and the time; without any accuracy.

    Raises:
        RunError: a file of the run cannot be read.
    """
    genotype, cells = Genotype.load(cell.folder / "genotype.json"), cells_of(cell.folder)
    seconds = read_mapping(cell.folder / "result.json").get("seconds")
    if not isinstance(seconds, int | float):
        raise RunError(f"{cell.folder / 'result.json'}: not the result of a search (it has no seconds)")
    return Found(
        architecture=genotype_string(genotype),
        accuracies={},
        history=parameterless(cells),
        parameterless=genotype.count("normal", PARAMETERLESS),
        seconds=float(seconds),
        curves={"identities": identities(cells), **sampling(cell.folder)},
    )
