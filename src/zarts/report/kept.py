"""Which epoch's cells a search ends with, and why."""

from __future__ import annotations

from typing import NamedTuple

from zarts.report.facts import RunFiles, show
from zarts.report.series import by_epoch

__all__ = ["Kept", "kept"]


class Kept(NamedTuple):
    """The epoch whose cells were kept, None where they are of no epoch, and why."""

    epoch: int | None
    why: str


def kept(run: RunFiles) -> Kept | None:
    """What the files of a search say of its cells; None where they have no epochs."""
    if not run.history:
        return None
    last = max(run.history)
    if not run.result:
        return Kept(last, f"of epoch {last}, the last one so far: the search has not finished")
    stops = [event for event in by_epoch(run.events, "eigenvalue") if event.get("stopped")]
    epoch = stops[-1].get("genotype_of_epoch") if stops else None
    if isinstance(epoch, int) and run.history.get(epoch) == run.genotype:
        after = show(stops[-1]["epoch"])
        why = f"of epoch {epoch}: the dominant eigenvalue had grown when the search was ended after epoch {after}"
        return Kept(epoch, why)
    chosen = [event for event in run.events if event.get("event") == "selection"]
    if chosen:
        name = show(chosen[-1].get("select"))
        why = f"chosen after epoch {last} by {name}, which judges; what epochs show is what was derived without it"
        return Kept(None, why)
    if run.history[last] == run.genotype:
        return Kept(last, f"of epoch {last}, the last one")
    return Kept(None, "those of the result; they are not the last epoch's, and the events do not say why")
