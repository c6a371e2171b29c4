"""Notes below a table: what its test is, and which trials are not in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zarts.bench import Column
from zarts.comparison.trials import Trial
from zarts.reports.comparison import data_title

__all__ = ["many_seeds", "notes_of", "title_of"]

_LISTED = 20
"""Failed trials that are named below a table; `table.json` names all."""


def title_of(column: Column) -> str:
    """The data set of a column, as people write it."""
    return data_title(column.data)


def many_seeds(trials: Sequence[Trial]) -> str:
    """`seeds 0 to 9`."""
    seeds = sorted({trial.seed for trial in trials})
    return f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"


def notes_of(
    trials: Sequence[Trial], failed: Mapping[Trial, str], first: Column | None, against: str | None
) -> list[str]:
    """The notes that stand below every table.

    Args:
        trials: all trials of the comparison.
        failed: the trials that failed, each with its error in one line.
        first: the column that the test uses, if there is one; of several groups that of one group.
        against: the row that all others are tested against.
    """
    notes = []
    if grouped := len({trial.group for trial in trials}) > 1:
        notes.append(
            "Accuracies of different spaces or data sets are not compared: each has a table of its own. In the table "
            "of all, (n) is the number of seeds where it is less than planned."
        )
    if against is not None and first is not None:
        notes.append(
            f"p: {'' if grouped else f'on {title_of(first)}, '}against {against}; Wilcoxon's signed-rank test, "
            "two-sided, paired over seeds (a single cell is paired with every seed); not corrected for the number of "
            "rows."
        )
    if failed:
        what = "searches" if all(trial.handmade is None for trial in trials) else "trials"
        notes.append(
            f"{len(failed)} of {len(trials)} {what} failed and are not in the table. The same command tries them again:"
        )
        notes += [f"- {trial.title}: {' '.join(line.split())}" for trial, line in list(failed.items())[:_LISTED]]
        if len(failed) > _LISTED:
            notes.append(f"- … and {len(failed) - _LISTED} more, see table.json")
    return notes
