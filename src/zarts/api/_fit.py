"""The public function `fit`: the best small network for given images, in a given time, within limits."""

from __future__ import annotations

import math
import multiprocessing
import shlex
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from zarts.api._arguments import with_settings
from zarts.api._data import given_images
from zarts.api._fit_result import FitResult
from zarts.api._new_search import note_writer
from zarts.callbacks import Callbacks, Follower, progress
from zarts.config import FUNCTIONS, dump
from zarts.config.fit import FitSettings, fit_settings
from zarts.config.options import FitOptions
from zarts.data import PYTHON, DataSet, PythonData
from zarts.errors import Interrupted, SettingsError
from zarts.planner.budget import Budget
from zarts.planner.candidates import WORK, Candidates
from zarts.planner.costs import Costing
from zarts.planner.ending import end_fit
from zarts.planner.fit import Fit
from zarts.planner.outcome import Outcome, check_packages
from zarts.planner.pictures import Pictures, first_size, sizes_of
from zarts.planner.records import PLAN, Plan
from zarts.planner.workers import Workers
from zarts.reports import write_report
from zarts.runs import MODEL, Run
from zarts.runs.afterwards import afterwards
from zarts.runs.new_run import data_paths, new_run, resumed_run
from zarts.runs.user_functions import anchored_functions, keep_functions, load_functions, same_functions
from zarts.runtime.device import choose_device, idle_processors
from zarts.runtime.io import drop_cut_line
from zarts.runtime.paths import PathLike, path_of
from zarts.runtime.signals import StopRequest, stop_request
from zarts.spaces import handmade
from zarts.training.criterion import objective_of
from zarts.training.model_file import ModelCard
from zarts.training.setup import load_images
from zarts.training.trainer import Callback

__all__ = ["fit", "resume_fit", "start_fit"]

_FINISH, _INT8, _TFLITE = 6.0, 15.0, 45.0
"""Seconds for files and, without answering images, for 8-bit files and for those of TFLite."""
_TICK = 0.5
"""Seconds from one sign of progress to the next."""


@with_settings(FitSettings, FitOptions)
def fit(
    data: Any = None,
    *,
    resume: PathLike | None = None,
    out: PathLike | None = None,
    config: PathLike | None = None,
    callbacks: Sequence[Follower] = (),
    quiet: bool = False,
    **options: Unpack[FitOptions],
) -> FitResult:
    """Find the best small network for images, in a given time, within limits, beside the best hand-made network.

    Hand-made networks are compared first; a zero-order search changes the best one; the better networks are trained
    for longer; the best found and the best hand-made one are then trained from new weights for the same time. Which one
    is better is said with an interval, on test images that nothing has seen before.

    Args:
        data: the images, see `search`; needed but beside `resume`.
        resume: the folder of an interrupted fit, to go on with; a finished one only returns its result. Beside it, only
            `callbacks`, `quiet`, `processes`, and `data` if the fit was given Python objects.
        out: the folder; None: a new one in `runs/fit`.
        config: a YAML file with settings, in a section `fit`.
        callbacks: objects of `zarts.callbacks.Callback`, or functions that are called with every event.
        quiet: print nothing.
        options: settings, listed below; `time="30m"` and `max_latency="2ms"` take units as people write them.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the best network so far is in the folder.
        ZartsError: see the subclasses in `zarts.errors`.
    """
    if multiprocessing.parent_process() is not None:
        raise SettingsError("fit was called while a process started: put it behind `if __name__ == '__main__':`")
    begun, heard = time.perf_counter(), Callbacks([progress(quiet=quiet), *callbacks])
    given: dict[str, Any] = dict(options)
    if resume is not None:
        others = [key for key in given if key not in ("processes", *FUNCTIONS)] + [
            name for name, value in (("out", out), ("config", config)) if value is not None
        ]
        if others:
            raise SettingsError(f"resume = {str(resume)!r} uses the settings of that fit: leave {others[0]} out")
        result = resume_fit(resume, heard, data=data, begun=begun, **given)
    else:
        if data is None and config is None:
            raise SettingsError("fit needs images: fit(data=...), a folder with a sub-folder a class, for example")
        name, images = given_images(data)
        named = {} if name is None else {"data": name}
        settings = fit_settings(given | named, config=None if config is None else path_of(config))
        result = start_fit(settings, out, heard, images=images, begun=begun)
    heard.end(result)
    return result


def start_fit(
    settings: FitSettings,
    out: PathLike | None,
    callback: Callback,
    *,
    images: PythonData | None = None,
    begun: float | None = None,
) -> FitResult:
    """Fit with resolved settings; see `fit`.

    Args:
        settings: see `zarts.config.fit.fit_settings`.
        out: see `fit`.
        callback: called with every event.
        images: the images, if they are Python objects and the setting `data` is `python`.
        begun: when the command began, by `time.perf_counter`; None: now.
    """
    begun = time.perf_counter() if begun is None else begun
    check_packages(settings)
    settings = load_functions(_anchored(settings, images), note_writer(callback))
    label = Path(settings.data).name or "images"
    path = Path("runs/fit") / f"{label}-seed{settings.seed}" if out is None else path_of(out)
    with new_run(path, settings.data, "fit", numbered=out is None, images=images) as run:
        keep_functions(settings, run)
        run.begin(dump(settings), "fit")
        return _fit(settings, run, callback, begun)


def resume_fit(
    path: PathLike,
    callback: Callback,
    *,
    data: Any = None,
    begun: float | None = None,
    **given: Any,
) -> FitResult:
    """Go on with an interrupted fit; a finished one only returns its result; see `fit`.

    Args:
        path: the folder.
        callback: called with every event.
        data: the images again, if they are Python objects, or the path where they are now.
        begun: when the command began, by `time.perf_counter`; None: now.
        given: `processes`, trainings at a time; `objective`, if it was a user-defined one, whose file is run.

    Raises:
        RunError: the folder is not that of a fit, or is damaged.
    """
    begun = time.perf_counter() if begun is None else begun
    run = Run.open(path_of(path), "fit")
    if run.finished:
        shutil.rmtree(run.path / WORK, ignore_errors=True)  # it may have been killed before it did so itself
        if not (run.path / MODEL / "README.md").exists():
            again = f"zarts export {shlex.quote(str(run.path))} --format onnx"
            callback({"event": "warning", "text": f"README.md is missing: `{again}` makes up for it"})
        if not (run.path / "report.html").exists():
            _draw(run, callback)
        return FitResult.read(run.path)
    functions = {key: given.pop(key) for key in FUNCTIONS if key in given}
    name, images = given_images(data)
    given |= {} if name is None else {"data": name}
    settings = fit_settings({**run.settings("fit"), **given}, where=str(run.path / "config.yaml"))
    check_packages(settings)
    settings = same_functions(run, _anchored(settings, images), functions)
    settings = load_functions(settings, note_writer(callback), run)
    run = Run(run.path, images=images)
    with resumed_run(run, "fit"):
        return _fit(settings, run, callback, begun)


def _anchored(settings: FitSettings, images: PythonData | None) -> FitSettings:
    """The settings with absolute paths, so that a fit can be resumed from any directory."""
    paths = data_paths(settings, images)
    for name, path in (("plan", settings.plan), ("latency_table", settings.latency_table)):
        if path is not None:
            paths[name] = path_of(path).resolve()
            if not paths[name].is_file():
                raise SettingsError(f"{name}: {path}: no such file")
    return settings.model_copy(update={**paths, **anchored_functions(settings)})


def _fit(settings: FitSettings, run: Run, callback: Callback, begun: float) -> FitResult:
    device = choose_device(settings.device)
    with run.lock(), stop_request() as stop:
        drop_cut_line(run.path / "metrics.jsonl")
        plan = Plan(run.path / PLAN, settings.plan)
        heard = _Heard(callback, run, stop)
        if run.lock_note:
            heard({"event": "note", "text": run.lock_note})
        size = settings.image_size or plan.decide("image size", lambda: first_size(settings))
        first = load_images(settings.recipe(image_size=size), run, device, heard)
        load = partial(_loaded, {first.image_size: first}, settings, run)
        budget = _budget(settings, run, begun, first)
        heard.budget = budget
        processes = _processes(settings, device.type, first)
        pictures = Pictures(load, sizes_of(settings, first), settings.split_seed, first)
        card = ModelCard(
            handmade("resnet8"), 0, 0, "", first.classes, first.image_size, first.mean, first.std, bits=first.bits
        )
        if pictures.uneven and (settings.objective, settings.criterion) == ("error", "cross-entropy"):
            heard({"event": "note", "text": pictures.uneven})
        costing = Costing(settings, card)
        objective = objective_of(settings.objective, len(first.classes), device)
        with Workers(pictures, processes, heard.stops) as workers:
            candidates = Candidates(run.path, pictures, costing, plan, budget, workers, objective, heard)
            outcome = Outcome(settings, run, pictures, candidates, load, heard)
            try:
                fit = Fit(settings, pictures, candidates, plan, budget, workers, heard, outcome.keep_best)
                fit.compare_handmade()
                fit.search()
                fit.train_longer()
                finalists = fit.train_finalists()
            except Interrupted:
                heard({"event": "note", "text": "interrupted"})  # with the time, which counts when the fit goes on
                raise Interrupted(f"interrupted{run.resume_hint('fit')}") from None
        end_fit(settings, run, fit, finalists, outcome, load, budget, heard)
    _draw(run, callback)
    return FitResult.read(run.path, run.images)


def _draw(run: Run, callback: Callback) -> None:
    with afterwards("report.html is missing", f"zarts report {shlex.quote(str(run.path))}", callback):
        write_report(run.path)


class _Heard:
    """The callback of a fit: keeps its notes in the folder, with the time, and shows how much time has passed.

    Args:
        callback: called with every event.
        run: the folder.
        stop: a request to stop.
    """

    def __init__(self, callback: Callback, run: Run, stop: StopRequest) -> None:
        self._callback, self._run, self._stop = callback, run, stop
        self.budget: Budget | None = None
        """The time, once images are loaded."""
        self._text, self._shown = "loading", 0.0

    def __call__(self, event: Any) -> None:
        if event["event"] == "part" and self._stop.asked:  # while images are listed
            raise Interrupted("interrupted")
        if self.budget is not None and event["event"] == "note" and self._run.started:
            self._text = event["text"]
            self._run.log({**event, "elapsed": self.budget.elapsed()})
        self._callback(event)

    def stops(self) -> bool:
        """Whether the fit was asked to stop; asked before each step of a training, so this also shows the time."""
        now = time.perf_counter()
        if self.budget is not None and now - self._shown > _TICK and math.isfinite(self.budget.seconds):
            self._shown = now
            done = min(self.budget.elapsed(), self.budget.seconds)
            self._callback({"event": "part", "text": self._text, "done": int(done), "of": int(self.budget.seconds)})
        return self._stop.asked


def _loaded(known: dict[int, DataSet], settings: FitSettings, run: Run, size: int) -> DataSet:
    """The data set at a size, loaded once."""
    if size not in known:
        recipe = settings.recipe(image_size=size)
        known[size] = load_images(recipe, run, choose_device(settings.device), lambda event: None)
    return known[size]


def _processes(settings: FitSettings, device: str, data: DataSet) -> int:
    """Trainings at a time; one for Python objects that are read batch by batch, which may not go to a process."""
    if settings.data == PYTHON and data.kept == "streamed":
        return 1
    if settings.processes != "auto":
        return settings.processes
    return max(1, idle_processors()) if device == "cpu" else 1


def _budget(settings: FitSettings, run: Run, begun: float, data: DataSet) -> Budget:
    """The time, that of earlier parts of a resumed fit included; with a plan that is repeated there is no end."""
    before = max((event.get("elapsed", 0.0) for event in run.events()), default=0.0)
    seconds = float("inf") if settings.plan is not None else settings.time
    validated = min(10_000, len(data.train) // 5)
    images = 2 * (validated + 3 * data.counts.get("test", 0)) + (6 * validated if settings.int8 else 0)
    finish = _FINISH + (_INT8 if settings.int8 else 0.0) + (_TFLITE if settings.tflite else 0.0)
    return Budget(seconds, begun, before, finish, images)
