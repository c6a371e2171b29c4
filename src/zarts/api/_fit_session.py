"""What a fit works with: its images, limits, plan, time, and the processes that train its networks."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from zarts.config.fit import FitSettings, fit_settings
from zarts.data import PYTHON, DataSet
from zarts.data.decoding import DEFAULT_SIZE
from zarts.errors import Interrupted, SettingsError
from zarts.planner.baselines import copies_of, torch_names
from zarts.planner.budget import Budget
from zarts.planner.candidates import Candidates
from zarts.planner.costs import Costing
from zarts.planner.onnx_baselines import OnnxBaseline
from zarts.planner.outcome import Outcome
from zarts.planner.pictures import Pictures, Reading, first_size, how_many_to_read, sizes_of
from zarts.planner.ray_workers import RayWorkers
from zarts.planner.records import PLAN, Plan
from zarts.planner.torch_baselines import TorchBaseline
from zarts.planner.workers import Workers, processes_of
from zarts.runs import Run
from zarts.runtime.device import choose_device
from zarts.runtime.io import drop_cut_line
from zarts.runtime.signals import StopRequest, stop_request
from zarts.spaces import handmade
from zarts.training.criterion import objective_of
from zarts.training.model_file import ModelCard
from zarts.training.setup import load_images
from zarts.training.trainer import Callback

__all__ = ["Session", "begun_settings", "session"]

_FINISH, _INT8, _TFLITE = 6.0, 6.0, 45.0
"""Seconds for files and, without answering images, for 8-bit files and for those of TFLite."""
_TICK = 0.5
"""Seconds from one sign of progress to the next."""


def begun_settings(run: Run, given: Mapping[str, Any]) -> FitSettings:
    """The settings of a fit that has begun, with those that are given now.

    Raises:
        RunError: the folder is not that of a fit.
        SettingsError: a setting cannot be used; or the fit had a latency command, which may do anything and is not run
            from a folder: it has to be given again.
    """
    begun = run.settings("fit")
    command = begun.get("latency_command")
    if given.get("latency_command") != command:
        again = f"add --latency-command {shlex.quote(str(command))}" if command else "leave --latency-command out"
        what = "a command, which is not run unasked: read it, and" if command else "itself, without a command:"
        raise SettingsError(f"{run.path}: the fit measures latency by {what} {again}")
    return fit_settings({**begun, **given}, where=str(run.path / "config.yaml"))


@dataclass(frozen=True)
class Session:
    """What a fit works with.

    Args:
        plan: what was decided and trained.
        pictures: the images that train and validate.
        budget: the time.
        workers: train networks.
        candidates: the networks, none yet.
        outcome: tests networks and writes files.
        load: loads the data set at a size.
        heard: is called with every event.
        remark: that not all images were read; empty: all were.
        load_some: loads the data set with a number of training images at a size: size and number.
    """

    plan: Plan
    pictures: Pictures
    budget: Budget
    workers: Workers
    candidates: Candidates
    outcome: Outcome
    load: Callable[[int], DataSet]
    heard: _Heard
    remark: str
    load_some: Callable[[int, int], DataSet]

    def open_files(self, settings: FitSettings, run: Run) -> None:
        """Take the ONNX files and the networks in torch among the baselines; the time for testing them is kept free.

        Files are copied.

        Raises:
            NotFoundError: there is no such file.
            SettingsError: one does not take such images, has other classes, fails, or is too slow.
            WriteError: a copy cannot be written.
        """
        folders = [run.path] if settings.plan is None else [run.path, settings.plan.parent]
        copies = copies_of(settings.baselines, *folders)
        opened = [OnnxBaseline.open(name, of, self.pictures.sizes[0], self.load_some) for name, of in copies.items()]
        seconds = [one.finish(self.budget.seconds) for one in opened]
        for one in opened:
            one.keep(copies[one.name][0])
        self.outcome.baselines += opened
        images, recipe = self.pictures[self.pictures.sizes[0]], settings.recipe(**self.pictures.batches)

        def open_torch() -> list[dict[str, Any]]:
            opened = [TorchBaseline.open(name, images, recipe, self.budget.seconds) for name in names]
            return [asdict(one) for one in opened]

        names = torch_names(settings.baselines)
        found: list[TorchBaseline] = self.plan.decide("torch baselines", open_torch, TorchBaseline.read)
        if [one.name for one in found] != names:  # code that only a plan names is not run
            raise SettingsError(
                f"baselines: {', '.join(names) or 'none'} in torch, and the plan has "
                f"{', '.join(one.name for one in found) or 'none'}: take the same, or leave --plan out"
            )
        for each in found:
            each.check()
        self.candidates.torch_baselines = {-number: one for number, one in enumerate(found, start=1)}
        self.budget.finish += sum([*seconds, *(one.finish(images, recipe) for one in found)])


@contextmanager
def session(
    settings: FitSettings, run: Run, callback: Callback, begun: float, *, place: Path | None = None
) -> Iterator[Session]:
    """Work in the folder of a fit, which no other process may do meanwhile; Ctrl-C and SIGTERM ask it to stop.

    Args:
        settings: of the fit.
        run: its folder.
        callback: called with every event.
        begun: when the command began, by `time.perf_counter`.
        place: where the files of a network go that is trained after the fit has finished, without a limit of time;
            None: it has not finished.
    """
    device = choose_device(settings.device)
    with run.lock(), stop_request() as stop:
        drop_cut_line(run.path / "metrics.jsonl")
        plan = Plan(run.path / PLAN, settings.plan if place is None else None)
        heard = _Heard(callback, run, stop)
        if note := run.lock_note:
            heard({"event": "note", "text": note})
        first, reading = _first_images(settings, run, plan, device, heard)
        remark, most = ("", None) if reading is None else (reading.remark(first.counts), reading.most)
        if remark:
            heard({"event": "note", "text": remark})
        load = partial(_loaded, {first.image_size: first}, settings, run, most)
        budget = _budget(settings, run, begun, first, reading) if place is None else Budget(math.inf, begun, 0.0, 0.0)
        heard.budget = budget
        pictures = Pictures(load, sizes_of(settings, first.image_size), settings.split_seed, first)
        card = ModelCard(
            handmade("resnet8"), 0, 0, "", first.classes, first.image_size, first.mean, first.std, bits=first.bits
        )
        if pictures.uneven and (settings.objective, settings.criterion) == ("error", "cross-entropy"):
            heard({"event": "note", "text": pictures.uneven})
        costing = Costing(settings, card)
        objective = objective_of(settings.objective, len(first.classes), device)
        with _workers(settings, pictures, device, first, heard) as workers:
            candidates = Candidates(run.path, pictures, costing, plan, budget, workers, objective, heard)
            outcome = Outcome(settings, run, pictures, candidates, load, heard, place)
            some = partial(_some, settings, run, most, first)
            yield Session(plan, pictures, budget, workers, candidates, outcome, load, heard, remark, some)


class _Heard:
    """The callback of a fit: keeps its notes in the folder, with the time, and shows how much time is left.

    Args:
        callback: called with every event.
        run: the folder.
        stop: a request to stop.
    """

    def __init__(self, callback: Callback, run: Run, stop: StopRequest) -> None:
        self._callback, self._run, self._stop = callback, run, stop
        self.budget: Budget | None = None
        """The time, once images are loaded."""
        self._phase, self._shown = "loading images", 0.0

    def __call__(self, event: Any) -> None:
        if event["event"] == "part" and self._stop.asked:  # while images are listed
            raise Interrupted("interrupted")
        if self.budget is not None and event["event"] == "note" and self._run.started:
            self._run.log({**event, "elapsed": self.budget.elapsed()})
        self._callback(event)

    def enter(self, phase: str) -> None:
        """Say that the fit enters another phase."""
        self._phase, self._shown = phase, 0.0
        if self.budget is None or math.isinf(self.budget.seconds):
            self._callback({"event": "doing", "text": phase})
        self.stops()

    def stops(self) -> bool:
        """Whether the fit was asked to stop; asked before each step of a training, so this also shows the time."""
        now = time.perf_counter()
        if self.budget is not None and now - self._shown > _TICK and math.isfinite(self.budget.seconds):
            self._shown = now
            done, of = min(self.budget.elapsed(), self.budget.seconds), self.budget.seconds
            self._callback({"event": "part", "text": self._phase, "done": int(done), "of": int(of), "left": of - done})
        return self._stop.asked


def _first_images(
    settings: FitSettings, run: Run, plan: Plan, device: torch.device, heard: _Heard
) -> tuple[DataSet, Reading | None]:
    """The images at the first size, and how many of them are read; None: they are no files."""
    size = settings.image_size or plan.decide("image size", lambda: first_size(settings))
    begins = run.split() is None and settings.plan is None  # of what has its images, all are read again
    decided = (lambda: how_many_to_read(settings, size or DEFAULT_SIZE)) if begins else lambda: None
    reading = plan.decide("reading", decided, Reading.read)
    most = None if reading is None else reading.most
    return load_images(settings.recipe(image_size=size), run, device, heard, most=most), reading


def _loaded(known: dict[int, DataSet], settings: FitSettings, run: Run, most: int | None, size: int) -> DataSet:
    """The data set at a size, loaded once."""
    if size not in known:
        recipe = settings.recipe(image_size=size)
        known[size] = load_images(recipe, run, choose_device(settings.device), lambda event: None, most=most)
    return known[size]


def _some(settings: FitSettings, run: Run, most: int | None, first: DataSet, size: int, number: int) -> DataSet:
    """The data set with fewer training images, at a size; with all, if those are grey by chance."""
    for count in (min(len(first.train), max(number, len(first.classes))), len(first.train)):
        recipe = settings.recipe(image_size=size, subset=count)
        found = load_images(recipe, run, choose_device(settings.device), lambda event: None, most=most)
        if found.channels == first.channels:
            break
    return found


def _workers(settings: FitSettings, pictures: Pictures, device: torch.device, data: DataSet, heard: _Heard) -> Workers:
    """What trains networks; Python objects that are read batch by batch may not go to another process.

    Raises:
        SettingsError: they would have to; or GPUs would be shared unequally.
        RunError: the Ray cluster cannot be reached.
    """
    stays, asked = settings.data == PYTHON and data.kept == "streamed", settings.processes
    if settings.engine == "ray":
        if stays:
            raise SettingsError(
                "engine = ray: these images are Python objects that are read batch by batch, and do not go to other "
                "machines: leave --engine out, or take --image-cache memory"
            )
        heard({"event": "doing", "text": "connecting to Ray"})
        return RayWorkers(pictures, None if asked == "auto" else asked, heard.stops, gpu=device.type == "cuda")
    processes, gpus = processes_of(asked, device)
    return Workers(pictures, 1 if stays else processes, heard.stops, gpus)


def _budget(settings: FitSettings, run: Run, begun: float, data: DataSet, reading: Reading | None) -> Budget:
    """The time, that of earlier parts of a resumed fit included; with a plan that is repeated there is no end."""
    before = max((event.get("elapsed", 0.0) for event in run.events()), default=0.0)
    seconds = float("inf") if settings.plan is not None else settings.time
    validated = min(10_000, len(data.train) // 5)
    quantised = 6 * validated if settings.int8 else 0
    images = 2 * (validated + 3 * data.counts.get("test", 0)) + quantised
    more = (_INT8 if settings.int8 else 0.0), quantised
    finish = _FINISH + more[0] + (_TFLITE if settings.tflite else 0.0)
    if reading is not None:  # test images are decoded after the last training
        finish += data.counts.get("test", 0) * reading.seconds
    return Budget(seconds, begun, before, finish, images, more)
