"""Runner of the unfinished trials of a comparison: in parallel, and one comparison a folder at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from zarts.api import resume_search, start_search
from zarts.bench import Table
from zarts.comparison.engines import Engine, Resources
from zarts.comparison.scorer import Scorer
from zarts.comparison.trials import Trial
from zarts.config import resumable_values, takes_part
from zarts.errors import Interrupted, RunError, ZartsError
from zarts.runs.claim import UNSTARTED, is_free, unmark
from zarts.runtime.leftovers import remove_parts
from zarts.runtime.processes import locked
from zarts.training.trainer import Callback

__all__ = ["alone_in", "search_all", "search_trial"]


def search_trial(trial: Trial, scorer: Scorer, base: Path) -> None:
    """Run or resume one search and prepare its score. Runs in a process of its own.

    Args:
        trial: the trial.
        scorer: what scores it.
        base: the directory that a relative run folder is in.
    """
    trial = replace(trial, folder=base / trial.folder)
    if not trial.searched:
        _search(trial, scorer.table)
    if not scorer.ready(trial):
        scorer.prepare(trial)


def _search(trial: Trial, table: Table | None) -> None:
    if not is_free(trial.folder):
        free = {k: v for k, v in resumable_values(trial.settings).items() if takes_part(k, trial.settings)}
        resume_search(trial.folder, loaded=table, **free)
        return
    start_search(trial.settings, trial.folder, None, loaded=table)


def search_all(
    trials: Sequence[Trial], scorer: Scorer, run_tasks: Engine, jobs: int | None, callback: Callback
) -> dict[Trial, str]:
    """Run all unfinished trials, seed by seed, so that every row has a first result early.

    Args:
        trials: all trials of the comparison.
        scorer: what scores them.
        run_tasks: the engine that runs them.
        jobs: trials at a time; None: as many as the processors allow.
        callback: called with an event `trial` at the end of each trial.

    Returns:
        The trials that failed, each with its error in one line.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; running searches have saved a checkpoint.
    """

    def finished() -> int:
        return sum(map(scorer.done, trials))

    every = sorted((trial for trial in trials if not scorer.done(trial)), key=lambda trial: trial.seed)
    same: dict[Path, list[Trial]] = {}
    for one in every:
        same.setdefault(one.folder, []).append(one)  # a hand-made network trains once for several groups
    left = [first for first, *_ in same.values()]
    failed: dict[Trial, str] = {}

    def done(trial: Trial, error: BaseException | None) -> None:
        if error is not None:
            text = str(error) if isinstance(error, ZartsError | Interrupted) else f"{type(error).__name__}: {error}"
            failed.update(dict.fromkeys(same[trial.folder], text))
        over = finished() + len(failed)
        which = {"row": trial.row, "group": trial.group.title, "seed": trial.seed}
        callback({"event": "trial", **which, "over": over, "trials": len(trials)})

    callback({"event": "part", "text": "searching", "done": finished(), "of": len(trials)})
    try:
        run_tasks(partial(search_trial, scorer=scorer, base=Path.cwd()), left, _resources(trials, jobs), done)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: {finished()} of {len(trials)} searches are finished and the running ones are saved; "
            "the same command resumes them"
        ) from None
    for trial in every:
        if trial not in failed and not scorer.done(trial):
            failed[trial] = f"{trial.folder}: a task ended without a result here: let all machines share this folder"
    return failed


def _resources(trials: Sequence[Trial], jobs: int | None) -> Resources:
    threads = max(trial.settings.threads or 1 for trial in trials)
    return Resources(jobs, threads, gpus=any(trial.settings.device in ("auto", "cuda") for trial in trials))


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Lock the folder, so that only one comparison works in it.

    Raises:
        RunError: another comparison holds the lock, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written ({error.strerror})") from error
    with locked(folder, f"{folder}: another comparison works in it: wait for its end, or choose another --out"):
        remove_parts(folder)
        for mark in [*folder.rglob(UNSTARTED)]:  # of searches that were killed right after their result
            unmark(mark.parent)
        yield
