"""The end of a fit: its finalists are tested, the verdict is made, and `result.json` has all that is known."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from zarts.config.fit import FitSettings
from zarts.data import DataSet
from zarts.limits.delivered import LimitShare, NetworkCosts
from zarts.planner.budget import Budget
from zarts.planner.candidates import FINAL, Candidates
from zarts.planner.evidence import Difference, paired_difference, paired_difference_of_seeds
from zarts.planner.fit import Fit
from zarts.planner.outcome import MODEL, Outcome, Tested
from zarts.planner.records import PLAN, Candidate
from zarts.runs import Run

__all__ = ["end_fit"]

_SEEDS = 3
"""From so many seeds on the verdict is about architectures, otherwise about two files."""


def end_fit(
    settings: FitSettings,
    run: Run,
    fit: Fit,
    finalists: Sequence[Candidate],
    outcome: Outcome,
    load: Callable[[int], DataSet],
    budget: Budget,
) -> None:
    """Test the finalists, once, say which one to take home, and write its files and `result.json`.

    Args:
        settings: of the fit.
        run: its folder.
        fit: its stages.
        finalists: the best found network, if there is one, and the best hand-made one.
        outcome: tests networks and writes files.
        load: loads the data set at a size.
        budget: the time.
    """
    begun, known = budget.elapsed(), fit.candidates
    chosen = min(finalists, key=lambda one: known.value(one, FINAL))  # on validation images, before the test
    tested = outcome.test(finalists)
    costs = {one.number: known.costing.of(one.chain, one.image_size, latency=True) for one in finalists}
    difference = _difference(finalists, tested)
    said = _verdict(chosen, finalists, tested, costs, difference, fit)
    taken = next(one for one in finalists if one.number == said.delivered)
    best = min((one for one in tested if one.candidate == taken), key=lambda one: one.score.value)
    images = load(taken.image_size)
    files = outcome.deliver(best, fit.recipe, images.test())
    final = replace(costs[taken.number], file=(run.path / MODEL / "model.onnx").stat().st_size)
    fit.parts["files"] = budget.elapsed() - begun
    run.write_json(
        "result.json",
        {
            "verdict": said.line,
            "details": list(said.details),
            "better": said.better,
            "delivered": taken.number,
            "test_accuracy": best.answers.accuracy,
            "data": {
                "name": settings.data,
                "classes": list(images.classes),
                "train": fit.pictures.train_count,
                "val": len(fit.pictures[taken.image_size].val),
                "test": len(best.answers.labels),
            },
            "time": {
                "asked": settings.time,
                "taken": budget.elapsed(),
                "final": best.score.seconds,
                "processes": fit.processes,
                "ended": fit.ended or fit.time.why,
                "parts": fit.parts,
            },
            "candidates": [_candidate(one, known, costs.get(one.number)) for one in known.all],
            "finals": [_final(one) for one in tested],
            "difference": None if difference is None else _spread(difference, tested),
            "lengths": [
                {"short": short, "long": long, "value": r.value, "low": r.low, "high": r.high, "n": r.n}
                for short, long, r in fit.agreements
            ],
            "limits": [
                {"name": one.setting, "text": f"{one.found} of at most {one.allowed}", **_numbers(one)}
                for one in known.costing.shares(final)
            ],
            "int8": None if best.int8 is None else {"accuracy": best.int8, "fp32": best.answers.accuracy},
            "repeat": f"zarts fit {shlex.quote(settings.data)} --plan {shlex.quote(str(run.path / PLAN))}",
            **files,
        },
    )


def _difference(finalists: Sequence[Candidate], tested: Sequence[Tested]) -> Difference | None:
    """The first finalist's test accuracy minus the second one's; None: there is only one."""
    if len(finalists) < 2:
        return None
    right = [[one.answers.predicted == one.answers.labels for one in tested if one.candidate == c] for c in finalists]
    if len(right[0]) >= _SEEDS:
        return paired_difference_of_seeds(list(zip(*right, strict=True)))
    best = [
        min((one for one in tested if one.candidate == c), key=lambda one: one.score.value).answers for c in finalists
    ]
    return paired_difference(*(one.predicted == one.labels for one in best))


def _spread(difference: Difference, tested: Sequence[Tested]) -> dict[str, Any]:
    seeds = len({one.score.seed for one in tested})
    return {**difference._asdict(), "seeds": seeds, "images": len(tested[0].answers.labels)}


def _candidate(one: Candidate, known: Candidates, costs: NetworkCosts | None) -> dict[str, Any]:
    """A network with its costs and scores."""
    found = costs or known.costing.of(one.chain, one.image_size)
    own = asdict(found) | {"latency": None}
    if found.latency is not None:
        own |= {"latency_ms": found.latency.ms, "latency_error": found.latency.error}
    own.pop("latency")
    scores = []
    for length in (*known.lengths, FINAL):
        for score in known.scores.get((one.number, length), []):
            steps = {"steps": score.schedule.steps, "falls_at": score.schedule.falls_at}
            scores.append({**{k: v for k, v in asdict(score).items() if k not in ("candidate", "schedule")}, **steps})
    return {**one.to_dict(), "costs": own, "scores": scores}


def _final(one: Tested) -> dict[str, Any]:
    accuracies = {"val_accuracy": one.score.accuracy, "test_accuracy": one.answers.accuracy, "int8_accuracy": one.int8}
    return {"candidate": one.candidate.number, "seed": one.score.seed, **accuracies}


def _numbers(share: LimitShare) -> dict[str, float]:
    return {"value": share.value, "limit": share.limit, "share": share.share}


def _verdict(chosen, finalists, tested, costs, difference, fit):
    from types import SimpleNamespace
    return SimpleNamespace(line=f"take {chosen.name}", details=[str(difference)], better=None, delivered=chosen.number)
