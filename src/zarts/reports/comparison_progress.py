"""The states of the trials of a comparison that has not finished, from `trials.json` and the folders of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from zarts.errors import RunError
from zarts.reports.series import by_epoch
from zarts.reports.summary import last_change, show
from zarts.runtime.io import epoch_files, read_events, read_mapping

__all__ = ["TABLE", "TRIALS", "Progress", "TrialState", "read_progress"]

TRIALS = "trials.json"
"""File of a comparison that has not finished: its planned trials."""

TABLE = "table.json"
"""File of a comparison that has ended: all its numbers."""


class TrialState(NamedTuple):
    """A trial, in words; `link` is that of the report of its run, empty where there is none."""

    row: str
    seed: str
    state: str
    link: str
    ended: bool
    begun: bool


class Progress(NamedTuple):
    """The trials of a comparison: those that have begun first, then those that wait, then those that have ended.

    `changed` is when one of their runs wrote something last.
    """

    trials: list[TrialState]
    finished: int
    changed: str


def read_progress(folder: Path) -> Progress | None:
    """The states of the trials of a comparison; None where all have ended.

    Raises:
        RunError: a file is damaged.
    """
    if not (folder / TRIALS).exists():
        return None
    plan = folder / TRIALS
    data = read_mapping(plan)
    try:
        trials = [_state(folder, one, trained=bool(data["trained"])) for one in data["trials"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{plan}: not the trials of a comparison ({type(error).__name__}: {error})") from error
    runs = [folder / one["run"] for one in data["trials"]]
    places = [place for run in runs for place in (run, run.with_name(f"{run.name}-retrained"))]
    files = [plan, *(place / name for place in places for name in ("metrics.jsonl", "result.json"))]
    ordered = sorted(trials, key=lambda one: (one.ended, not one.begun))
    return Progress(ordered, sum(one.ended for one in trials), last_change(files))


def _state(folder: Path, one: Mapping[str, Any], *, trained: bool) -> TrialState:
    """The state of a trial.

    Args:
        folder: of the comparison.
        one: group, row, seed, run and whether the network is hand-made.
        trained: whether the network is trained after the search.
    """
    name = ": ".join(filter(None, (show(one["group"]), show(one["row"]))))
    search, training = folder / one["run"], folder / f"{one['run']}-retrained"
    searched = bool(one["handmade"]) or (search / "result.json").exists()
    if searched and trained:
        result = read_mapping(training / "result.json")
        accuracy = result.get("test_accuracy")
        if result:
            words = "ended" + (f": {accuracy:.2f} %" if isinstance(accuracy, int | float) else "")
        else:
            words = _at("trains", training, _trained(training)) or ("waits" if one["handmade"] else "was searched")
        ended, place = bool(result), training
    else:
        ended, place = searched, search
        words = "ended" if ended else _at("searches", search, max(epoch_files(search / "genotypes"), default=0))
    link = place / "report.html"
    return TrialState(
        name, show(one["seed"]), words or "waits", _link(folder, link), ended, begun=words not in ("", "waits")
    )


def _at(verb: str, run: Path, epoch: int) -> str:
    """`searches: 3 of 50 epochs`; empty for a run that has not begun."""
    if not (run / "config.yaml").exists():
        return ""
    settings: Any = next(iter(read_mapping(run / "config.yaml").values()), None)
    known = settings if isinstance(settings, Mapping) else {}
    epochs = known.get("epochs")
    of = f" of {epochs}" if isinstance(epochs, int) and known.get("time") is None else ""
    return f"{verb}: {epoch}{of} epochs"


def _trained(run: Path) -> int:
    file = run / "metrics.jsonl"
    events = by_epoch(read_events(file), "train_epoch") if file.exists() else []
    return int(events[-1]["epoch"]) if events else 0


def _link(folder: Path, page: Path) -> str:
    inside = page.relative_to(folder).as_posix()
    return quote(f"./{inside}", errors="surrogateescape") if page.is_file() else ""
