"""The end of a fit: its finalists are tested, the verdict is made, and `result.json` has all that is known."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zarts.config.fit import FitSettings
from zarts.data import DataSet
from zarts.errors import RunError, SettingsError
from zarts.limits.delivered import LimitShare, NetworkCosts, count_network
from zarts.planner.budget import Budget
from zarts.planner.candidates import Candidates
from zarts.planner.evidence import Difference, accuracy_interval
from zarts.planner.fit import Fit
from zarts.planner.outcome import Outcome, Tested
from zarts.planner.records import FINAL, NO_VALUE, PLAN, Candidate
from zarts.planner.verdict import Finalist, cheaper, verdict, why_alone
from zarts.runs import Run
from zarts.runs.afterwards import afterwards
from zarts.runtime.device import choose_device
from zarts.training.trainer import Callback

__all__ = ["end_fit", "final_facts", "scores_facts"]

_EQUAL = 1.05
"""Times as many seconds of one final training as of another that are worth no word."""
_BRIEF = 3.0, 5.0
"""Seconds and epochs of a final training below both of which a word is said of it."""
_ROUNDED = 1e-3
"""Share of test images that another order of sums may turn."""


def end_fit(
    settings: FitSettings,
    run: Run,
    fit: Fit,
    finalists: Sequence[Candidate],
    outcome: Outcome,
    load: Callable[[int], DataSet],
    budget: Budget,
    callback: Callback,
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
        callback: called with every event.
    """
    begun, known = budget.elapsed(), fit.candidates
    tested = outcome.test(finalists)
    costed = known.costing.compared([(one.chain, one.image_size) for one in finalists])
    costs = {one.number: each for one, each in zip(finalists, costed, strict=True)}
    compared = [_finalist(one, tested, costs[one.number], int8=settings.int8) for one in finalists]
    why = fit.time.why or "other work on this machine left no time for it"
    searched = sum(one.origin in ("found", "random") and _tried(one, known) for one in known.all)
    diverged = ", ".join(one.name for one in fit.diverged)
    alone = why_alone(searched, reason=why, hopeless=fit.hopeless, diverged=diverged)

    def take(*pair: Finalist) -> tuple[bool, str]:
        """As the plan has it: latencies differ from one measurement to the next."""
        found, word = fit.plan.decide("take", lambda: list(cheaper(*pair)))
        return bool(found), str(word)

    said = verdict(compared[-1], compared[0] if len(compared) > 1 else None, alone=alone, take=take)
    first, *more = re.split(r"(?<=\.) ", said.line)
    more = [*_brief(fit, tested), *more]
    taken = next(one for one in finalists if one.name == said.delivered)
    best = min((one for one in tested if one.candidate == taken), key=lambda one: one.score.value)
    images = load(taken.image_size)
    recipe = known.recipes.get(taken.number) or known.paths.of_longest(taken, fit.recipe)
    files = outcome.deliver(best, recipe, outcome.test_images(taken.image_size))
    before, file = costs[taken.number], outcome.folder / "model.onnx"
    final = costs[taken.number] = count_network(file, int8=settings.int8, latency=known.costing.latencies([file])[0])
    more += [f"The search ended early: {fit.ended}."] if fit.ended else []
    baselines = [one.compared(taken.name, best.right) for one in outcome.baselines]
    in_torch = [_in_torch(number, fit, outcome, taken, tested) for number in known.torch_baselines]
    more += [*(text for text, _ in (*in_torch, *baselines)), *fit.remarks]
    more += [
        *_confirmed(known, before, final),
        *_in_litert(files.get("tflite")),
        *_apart(tested, files["onnx_differs"]),
    ]
    fit.parts["files"] = budget.elapsed() - begun
    result: dict[str, Any] = {
        "verdict": first,
        "details": more,
        "better": said.better,
        "delivered": taken.number,
        "test_accuracy": best.answers.accuracy,
        "test_interval": accuracy_interval(best.answers.predicted == best.answers.labels),
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
            "ended": fit.ended,
            "parts": fit.parts,
        },
        "candidates": [_candidate(one, known, costs.get(one.number)) for one in known.all if _tried(one, known)],
        "finals": [final_facts(one) for one in tested],
        "difference": None if said.difference is None else _spread(said.difference, tested),
        "lengths": [
            {"short": short, "long": long, "value": r.value, "low": r.low, "high": r.high, "n": r.n}
            for short, long, r in fit.advance.agreements
        ],
        "limits": [
            {"name": one.setting, "text": f"{one.found} of at most {one.allowed}", **_numbers(one)}
            for one in known.costing.shares(final)
        ],
        "onnx_baselines": [facts for _, facts in baselines],
        "torch_baselines": [facts for _, facts in in_torch],
        "int8": None if best.int8 is None else _int8(best),
        "repeat": f"zarts fit --config {_quoted(run.path / 'config.yaml')} --plan {_quoted(run.path / PLAN)}",
        **files,
    }
    run.write_json("result.json", result)
    outcome.remove_work()
    with afterwards("README.md is missing", f"zarts export {_quoted(run.path)} --format onnx", callback):
        outcome.write_card(result)


def _brief(fit: Fit, tested: Sequence[Tested]) -> list[str]:
    """That final trainings were too short to tell anything."""
    seconds, steps = max((one.score.seconds, one.score.schedule.steps) for one in tested)
    if seconds >= _BRIEF[0] or steps * fit.recipe.batch_size >= _BRIEF[1] * fit.pictures.train_count:
        return []
    return [
        f"Its training had no more than {seconds:.1f} s, which tells nothing: take more --time, or wait until other "
        "programs have ended."
    ]


def _in_torch(
    number: int, fit: Fit, outcome: Outcome, other: Candidate, tested: Sequence[Tested]
) -> tuple[str, Mapping[str, Any]]:
    """What came of a network of the user in torch beside another one, seed by seed; see `TorchBaseline.compared`."""
    known, baseline = fit.candidates, fit.candidates.torch_baselines[number]
    one, pairs = baseline.candidate(number), []
    trained = {score.seed for score in known.scores.get((number, FINAL), []) if score.value < NO_VALUE}
    sized, device = fit.pictures[one.image_size], choose_device(fit.recipe.device)
    for each in (each for each in tested if each.candidate == other and each.score.seed in trained):
        file = known.file(one, FINAL, each.score.seed)
        try:
            own = baseline.right(file, outcome.test_images(one.image_size), sized, device)
        except (SettingsError, RunError) as error:  # the verdict is made without it
            return f"{error}: it was not tested.", {"name": baseline.name, "error": str(error)}
        pairs.append((each.right.cpu(), own))
    return baseline.compared(other.name, pairs, known.shares.get(number, 0.0))


def _apart(tested: Sequence[Tested], differs: int) -> list[str]:
    """Whether the finalists had unequal times, and whether model.onnx answers as the network does."""
    seconds, images = [one.score.seconds for one in tested], len(tested[0].answers.labels)
    found = []
    if max(seconds) > _EQUAL * min(seconds):
        found.append(
            f"The final trainings had {min(seconds):.0f} to {max(seconds):.0f} s, because other work came between: "
            "the comparison favours the longer ones."
        )
    if differs > _ROUNDED * images + 1:
        found.append(f"model.onnx answers {differs} of {images} test images differently from the network.")
    return found


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _confirmed(known: Candidates, before: NetworkCosts, final: NetworkCosts) -> list[str]:
    """The limits that the delivered file does not keep, though its untrained export, which chose it, did."""
    lost = known.costing.exceeded(final)
    if not lost:
        return []
    kept = "was within all limits before its training" if not known.costing.exceeded(before) else "was not before"
    return [f"Measured again at the end, model.onnx is not within the limits: {'; '.join(lost)}; it {kept}."]


def _in_litert(found: dict[str, float] | None) -> list[str]:
    if found is None:
        return []
    eight = f", model.int8.tflite {found['int8_accuracy']:.1f} %" if "int8_accuracy" in found else ""
    return [f"In LiteRT, on the test images: model.tflite {found['accuracy']:.1f} %{eight}."]


def _int8(best: Tested) -> dict[str, Any]:
    whole = {"accuracy": best.int8_accuracy, "fp32": best.answers.accuracy}
    return {**whole, "method": best.int8_method, "file": "model.int8.onnx"}


def _finalist(one: Candidate, tested: Sequence[Tested], costs: NetworkCosts, *, int8: bool) -> Finalist:
    """A network with its answers on the test images, of its 8-bit files if those are delivered, for each seed."""
    own = [each for each in tested if each.candidate == one]
    plain = [each.answers.predicted == each.answers.labels for each in own]
    latency = None if costs.latency is None else costs.latency.ms
    if not int8:
        return Finalist(one.name, plain, one.parameters, latency)
    right = [each.int8 for each in own if each.int8 is not None]
    return Finalist(one.name, right, one.parameters, latency, float_correct=plain)


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
    return {**one.to_dict(), "costs": own, "scores": scores_facts(one, known)}


def scores_facts(one: Candidate, known: Candidates) -> list[dict[str, Any]]:
    """The trainings of a network in `result.json`, shortest first."""
    found = []
    for length in (*known.lengths, FINAL):
        for score in known.scores.get((one.number, length), []):
            if score.length != length:  # it stands for a final training, and is listed at its own length
                continue
            steps = {"steps": score.schedule.steps, "falls_at": score.schedule.falls_at}
            found.append({**{k: v for k, v in asdict(score).items() if k not in ("candidate", "schedule")}, **steps})
    return found


def _tried(one: Candidate, known: Candidates) -> bool:
    """Whether a network was trained: some are not, where others needed more time than was planned."""
    return any(number == one.number for number, _ in known.scores)


def final_facts(one: Tested) -> dict[str, Any]:
    """A final training in `result.json`: network, seed and accuracies."""
    accuracies = {
        "val_accuracy": one.score.accuracy,
        "test_accuracy": one.answers.accuracy,
        "int8_accuracy": one.int8_accuracy,
    }
    return {"candidate": one.candidate.number, "seed": one.score.seed, **accuracies}


def _numbers(share: LimitShare) -> dict[str, float]:
    return {"value": share.value, "limit": share.limit, "share": share.share}
