"""After a fit: another of its networks is trained to the end, or its network goes on with more images."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zarts.api._architecture import model_file
from zarts.api._data import given_images, images_of
from zarts.api._evaluate import test_images_of
from zarts.api._export import export
from zarts.api._fit_result import FitResult
from zarts.api._fit_session import Session, begun_settings, session
from zarts.api._new_search import note_writer
from zarts.api._results import RetrainResult
from zarts.api._retrain import retrained_settings, start_retrain
from zarts.api._retrain_source import retraining_of
from zarts.config import FUNCTIONS
from zarts.config.fit import fit_settings
from zarts.data import DATA_SETS
from zarts.errors import DivergedError, Interrupted, SettingsError
from zarts.planner.ending import final_facts, scores_facts
from zarts.planner.evidence import Difference, paired_difference_of_trainings
from zarts.planner.finals import epochs_by_number, with_crops
from zarts.planner.outcome import Tested
from zarts.planner.records import FINAL, Candidate
from zarts.planner.time_plan import TimePlan
from zarts.reports import write_report
from zarts.runs import BEST, Run
from zarts.runs.afterwards import afterwards
from zarts.runs.new_run import check_given
from zarts.runs.user_functions import load_functions, same_functions
from zarts.runtime.device import choose_device
from zarts.runtime.paths import PathLike, path_of
from zarts.training.evaluate import answers, test_batches
from zarts.training.model_file import load_model
from zarts.training.trainer import Callback

__all__ = ["PICKED", "MoreImages", "pick", "train_on"]

PICKED = "picked"
"""Folder in that of a fit, of networks that were trained to the end later; each in a folder of its number."""
_CANDIDATE = ("number", "name", "origin", "chain", "image_size", "parent", "change", "parameters", "macs")


@dataclass(frozen=True)
class MoreImages:
    """What more images have brought.

    Args:
        verdict: one sentence: whether the network is better than before.
        better: whether it was shown to be better (or worse); None: no difference could be shown.
        trained: the training.
    """

    verdict: str
    better: bool | None
    trained: RetrainResult

    def lines(self) -> list[str]:
        """The sentence, and where the files are."""
        return [self.verdict, f"files: {self.trained.run / 'model'}; report: {self.trained.run / 'report.html'}"]

    def __str__(self) -> str:
        return "\n".join(self.lines())


def pick(path: PathLike, number: int, callback: Callback, *, begun: float | None = None, **functions: Any) -> FitResult:
    """Train another network of a finished fit to the end: with the seeds, seconds and recipe of its finals.

    Its files are in `picked/NUMBER` of the fit's folder; result and report of the fit have its test accuracy too, and
    the difference from the delivered network on the same images.

    Args:
        path: the fit.
        number: of the network, as in the report and in `FitResult.candidates`.
        callback: called with every event.
        begun: when the command began, by `time.perf_counter`; None: now.
        functions: `objective`, if the fit had a user-defined one, whose file is run; `latency_command`, if it had one.

    Raises:
        SettingsError: the fit has no such network, or that one was trained to the end already.
        RunError: the fit has not finished, or is damaged.
        Interrupted: Ctrl-C or SIGTERM; the fit is as before.
        DivergedError: each of its trainings diverged.
    """
    run = Run.open(path_of(path), "fit")
    result = FitResult.read(run.path)
    one = _wanted(result, number)
    own = {key: functions.pop(key) for key in FUNCTIONS if key in functions}
    settings = same_functions(run, begun_settings(run, functions), own)  # code of the folder is not run unasked
    if settings.engine == "ray":  # whose cluster need not be there any more
        settings = settings.model_copy(update={"engine": "processes", "processes": "auto"})
    settings, images = load_functions(settings, note_writer(callback), run), images_of(path)
    check_given(settings, images, run.path, "RESULT.pick(...)")
    run = Run(run.path, images=images)
    recipe = retrained_settings(run.path / BEST)
    place = run.path / PICKED / str(number)
    place.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter() if begun is None else begun
    with session(settings, run, callback, begun, place=place) as known:
        known.candidates.all.append(one)
        time_plan, measured = known.plan.decided("time", TimePlan.read)
        known.candidates.lengths, known.candidates.pace = dict(time_plan.lengths), measured.pace
        epochs = known.plan.decided("epochs", epochs_by_number) if known.plan.has("epochs") else None
        seeds = sorted({each["seed"] for each in result.facts["finals"]})
        if epochs is not None and settings.seed not in seeds:  # that is one of trainings which stand for finals
            recipe = with_crops(recipe, epochs.get(number, 0.0), time_plan.cropped)
        seconds = result.facts["time"]["final"]
        recipe = known.candidates.paths.own([one], recipe, known.plan.decided("final seconds", float)).get(
            number, recipe
        )
        known.heard.enter("final trainings")
        try:
            known.candidates.train([one], FINAL, recipe, *seeds, seconds=seconds)
        except Interrupted:
            raise Interrupted(f"interrupted: the fit is as it was; pick network {number} again to begin anew") from None
        scores = known.candidates.scores
        scores[one.number, FINAL] = [score for score in scores[one.number, FINAL] if score.seconds > 0]
        if not scores[one.number, FINAL]:
            raise DivergedError(f"network {number} diverged in its final training: pick another one")
        known.heard.enter("testing, writing files")
        tested = known.outcome.test([one])
        facts = _with(result.facts, one, tested, known)
        best = min(tested, key=lambda each: each.score.value)
        files = known.outcome.deliver(best, recipe, known.outcome.test_images(one.image_size))
        with afterwards("README.md is missing", f"zarts export {place / BEST} --format onnx", callback):
            own = {"verdict": facts["details"][-1], "details": [], "delivered": number, "limits": []}
            known.outcome.write_card({**facts, **files, **own, "test_accuracy": best.answers.accuracy})
        run.write_json("result.json", facts)
        known.outcome.remove_work()
    with afterwards("report.html is as before", f"zarts report {_quoted(run)}", callback):
        write_report(run.path)
    return FitResult.read(run.path, run.images)


def _wanted(result: FitResult, number: int) -> Candidate:
    entry = next((one for one in result.candidates if one["number"] == number), None)
    if entry is None:
        numbers = [one["number"] for one in result.candidates]
        raise SettingsError(
            f"pick = {number}: the fit has trained networks {min(numbers)} to {max(numbers)}, not this one: see the "
            "table of its report"
        )
    if number in [each["candidate"] for each in result.facts["finals"]]:
        raise SettingsError(
            f"pick = {number}: {entry['name']} was trained to the end already, see {result.run}/finalists"
        )
    return Candidate.from_dict({key: entry[key] for key in _CANDIDATE}, str(result.run / "result.json"))


def _with(facts: Mapping[str, Any], one: Candidate, tested: Sequence[Tested], known: Session) -> dict[str, Any]:
    """The result of a fit with a network that was trained to the end later."""
    right = [each.right for each in tested]
    delivered = [known.outcome.right(facts["delivered"], each.score.seed) for each in tested]
    difference = paired_difference_of_trainings(list(zip(right, delivered, strict=True)))
    mean = sum(float(each.double().mean()) for each in right) / len(right)
    line = (
        f"Picked: {one.name}: {100 * mean:.1f} % of {len(right[0]):,} test images; "
        f"{_apart(difference, 'the delivered')}. Its files are in {PICKED}/{one.number}. "
        "The more networks are picked by these images, the less their accuracies mean."
    )
    candidates = [
        {**each, "scores": [*each["scores"], *scores_facts(one, known.candidates)]}
        if each["number"] == one.number
        else each
        for each in facts["candidates"]
    ]
    finals = [*facts["finals"], *map(final_facts, tested)]
    return {**facts, "candidates": candidates, "finals": finals, "details": [*facts["details"], line]}


def _apart(difference: Difference, other: str) -> str:
    words = "no difference from {} network could be shown"
    if difference.shown:
        words = "better than {} network" if difference.mean > 0 else "worse than {} network"
    numbers = f"{difference.mean:+.1f} points, 95 % interval {difference.low:+.1f} to {difference.high:+.1f}"
    return f"{words.format(other)} ({numbers})"


def train_on(
    path: PathLike,
    data: Any,
    callback: Callback,
    *,
    time: float | str | None = None,
    out: PathLike | None = None,
    begun: float | None = None,
) -> MoreImages:
    """Train the delivered network of a fit on with more images, and say whether it is better than before.

    Images that the fit knew keep their parts, so that none of its training images is tested on; new ones are dealt. The
    network before and the network after answer the same test images.

    Args:
        path: the fit.
        data: all images, the old ones among them or not; see `zarts.search`. Its classes are those of the network.
        callback: called with every event.
        time: of the training, in seconds or as `10m`; None: as long as a final training of the fit.
        out: the folder; None: a new one in `more` of the fit's.
        begun: when the command began, by `time.perf_counter`; None: now.

    Raises:
        RunError: the fit has not finished, or is damaged.
        DataError, SettingsError: the images cannot be used, or have other classes.
        Interrupted: Ctrl-C or SIGTERM; `zarts retrain --resume` goes on.
    """
    run = Run.open(path_of(path), "fit")
    result = FitResult.read(run.path)
    settings = fit_settings(run.settings("fit"), where=str(run.path / "config.yaml"))
    name, images = given_images(data)
    options = {
        "data": name,
        "weights_from": str(run.path),
        "recipe": "fast",
        "time": result.facts["time"]["final"] if time is None else time,
        "seed": settings.seed,
        "device": settings.device,
        "criterion": settings.criterion,
    }
    source, chosen = retraining_of(run.path, options, images=images, note=note_writer(callback))
    folder = _next(run.path / "more") if out is None else path_of(out)
    trained = start_retrain(source, chosen, folder, callback, images=images, begun=begun)
    with afterwards("model.onnx is missing", f"zarts export {shlex.quote(str(trained.run))} --format onnx", callback):
        export(trained.run, "onnx", out=trained.run / "model", input=settings.input)

    right, counts = [], []
    for file in (trained.run / "model.safetensors", model_file(run.path)):
        network, card = load_model(file)
        tested = test_images_of(trained.run, card, None, images, allow_left_out=True)
        device = choose_device(settings.device)
        found = answers(network.to(device), test_batches(tested.images, card, device))
        right.append(found.predicted == found.labels)
        counts.append(found.accuracy)
    difference = paired_difference_of_trainings([(right[0], right[1])])
    line = (
        f"{counts[0]:.1f} % of {len(right[0]):,} test images are right, {counts[1]:.1f} % before: "
        f"{_apart(difference, 'the earlier')}."
    )
    if difference.mean <= 0 or not difference.shown:
        line += " Keep the earlier one." if difference.shown else " Either may be taken."
    if settings.data in DATA_SETS and name != settings.data:
        line += (
            f" Which images of {settings.data} the fit has trained on was not kept: where some are among these test "
            "images, both accuracies are too high."
        )
    trained_run = Run(trained.run)
    better = None if not difference.shown else difference.mean > 0
    trained_run.write_json("better.json", {"verdict": line, "better": better, "before": str(run.path)})
    return MoreImages(line, better, trained)


def _next(folder: Path) -> Path:
    """The first folder `1`, `2`, … in a folder that is not there yet."""
    number = 1
    while (folder / str(number)).exists():
        number += 1
    folder.mkdir(exist_ok=True)
    return folder / str(number)


def _quoted(run: Run) -> str:
    return shlex.quote(str(run.path))
