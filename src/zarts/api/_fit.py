"""The public function `fit`: the best small network for given images, in a given time, within limits."""

from __future__ import annotations

import importlib.util
import multiprocessing
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from typing_extensions import Unpack

from zarts.api._architecture import architecture_of
from zarts.api._arguments import with_settings
from zarts.api._data import given_images
from zarts.api._fit_result import FitResult
from zarts.api._fit_session import begun_settings, session
from zarts.api._new_search import note_writer
from zarts.callbacks import Callbacks, Follower, progress
from zarts.config import FUNCTIONS, dump
from zarts.config.fit import RESUMABLE, FitSettings, fit_settings
from zarts.config.options import FitOptions
from zarts.data import PythonData
from zarts.errors import Interrupted, RunError, SettingsError
from zarts.planner.baselines import check_torch, onnx_names, torch_names
from zarts.planner.candidates import WORK
from zarts.planner.ending import end_fit
from zarts.planner.fit import Fit
from zarts.planner.records import PLAN
from zarts.reports import write_report
from zarts.runs import MODEL, Run
from zarts.runs.afterwards import afterwards, on_the_way
from zarts.runs.new_run import data_paths, new_run, place_of, resumed_run
from zarts.runs.user_functions import anchored_functions, keep_functions, load_functions, same_functions
from zarts.runtime.paths import PathLike, existing, path_of
from zarts.spaces import HANDMADE, Chain, handmade
from zarts.training.trainer import Callback

__all__ = ["fit", "resume_fit", "start_fit"]

_NEEDED = {"onnx": "export", "onnxruntime": "export"}
_LITERT = dict.fromkeys(("litert_torch", "ai_edge_litert", "ai_edge_quantizer"), "litert")


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
            `callbacks`, `quiet`, `processes`, `engine`, `data` if the fit was given Python objects, and the code that
            it had.
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
        others = [key for key in given if key not in RESUMABLE] + [
            name for name, value in (("out", out), ("config", config)) if value is not None
        ]
        if others:
            raise SettingsError(f"resume = {str(resume)!r} uses the settings of that fit: leave {others[0]} out")
        result = resume_fit(resume, heard, data=data, begun=begun, **given)
    else:
        if data is None and config is None:
            raise SettingsError("fit needs images: fit(data=...), such as a folder with a sub-folder for each class")
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
    _check_packages(settings)
    for name in onnx_names(settings.baselines):
        existing(name, "ONNX file (baselines)")
    _tell_code(settings, callback)
    settings = load_functions(_anchored(settings, images), note_writer(callback))
    label = Path(settings.data).name or "images"
    path = Path("runs/fit") / f"{label}-seed{settings.seed}" if out is None else path_of(out)
    with new_run(path, settings.data, "fit", numbered=out is None, images=images) as run:
        keep_functions(settings, run)
        run.begin(dump(settings), "fit")
        callback(place_of(run))
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
        given: `processes`, trainings at a time; `engine`, where they run; `objective`, if it was a user-defined one,
            whose file is run; `latency_command`, if it had one.

    Raises:
        RunError: the folder is not that of a fit, or is damaged.
    """
    begun = time.perf_counter() if begun is None else begun
    run = Run.open(path_of(path), "fit")
    if run.finished:
        _complete(run, callback)
        return FitResult.read(run.path)
    functions = {key: given.pop(key) for key in FUNCTIONS if key in given}
    name, images = given_images(data)
    given |= {} if name is None else {"data": name}
    _check_code(run, given)
    settings = begun_settings(run, given)
    _check_packages(settings)
    _tell_code(settings, callback)
    settings = same_functions(run, _anchored(settings, images), functions)
    settings = load_functions(settings, note_writer(callback), run)
    run = Run(run.path, images=images)
    with resumed_run(run, "fit"):
        return _fit(settings, run, callback, begun)


def _complete(run: Run, callback: Callback) -> None:
    """Make what a finished fit lacks that was killed right after its result, as far as that is cheap."""
    with suppress(RunError), run.lock():
        shutil.rmtree(run.path / WORK, ignore_errors=True)
    if not (run.path / MODEL / "README.md").exists():
        again = f"zarts export {shlex.quote(str(run.path))} --format onnx"
        callback({"event": "warning", "text": f"README.md is missing: `{again}` makes up for it"})
    if not (run.path / "report.html").exists():
        _draw(run, callback)


def _anchored(settings: FitSettings, images: PythonData | None) -> FitSettings:
    """The settings with absolute paths, so that a fit can be resumed from any directory."""
    paths = data_paths(settings, images)
    for name, path in (("plan", settings.plan), ("latency_table", settings.latency_table)):
        if path is not None:
            paths[name] = existing(path, f"file ({name})").resolve()
    return settings.model_copy(update={**paths, **anchored_functions(settings)})


def _check_code(run: Run, given: Mapping[str, Any]) -> None:
    """Refuse to run the code of baselines that a folder names: the user has to name it again.

    Raises:
        SettingsError: it is not named, or other baselines are.
    """
    begun = run.settings("fit").get("baselines")
    begun = begun if isinstance(begun, str) else None  # what else it is the settings refuse
    code = torch_names(begun, code=True)
    if given.get("baselines", None if code else begun) != begun:
        again = f"add --baselines {shlex.quote(begun)}" if begun else "leave --baselines out"
        what = f"with {code[0]}, Python code that is not run unasked: read it, and" if code else "differently:"
        raise SettingsError(f"{run.path}: the fit began {what} {again}")


def _baselines(texts: str | None) -> list[Chain]:
    """The networks that the setting `baselines` names, but for ONNX files and those in torch.

    Raises:
        SettingsError, RunError: there is no such network, or it is one of cells.
    """
    named = [] if texts is None else [text.strip() for text in texts.split(",")]
    return [_baseline(text) for text in named if text not in (*onnx_names(texts), *torch_names(texts))]


def _baseline(text: str) -> Chain:
    name, *words = text.split() or [""]
    if name in HANDMADE:
        sizes = dict(word.partition("=")[::2] for word in words)
        try:
            width = float(sizes.pop("width", 1.0))
            stride = int(sizes.pop("stem_stride")) if "stem_stride" in sizes else None
        except ValueError as error:
            raise SettingsError(f"baselines: {text}: {error}") from None
        if sizes:
            raise SettingsError(f"baselines: {text}: {min(sizes)} is none of its settings: width and stem_stride are")
        return handmade(name, width, stride)
    chain, _ = architecture_of(text)
    if not isinstance(chain, Chain):
        raise SettingsError(f"baselines: {text}: is a network of cells, and a fit compares networks of layers")
    return chain


def _fit(settings: FitSettings, run: Run, callback: Callback, begun: float) -> FitResult:
    with session(settings, run, callback, begun) as known:
        candidates, budget, heard = known.candidates, known.budget, known.heard
        named = known.plan.decide("baselines", lambda: [one.to_dict() for one in _baselines(settings.baselines)])
        baselines = [Chain.from_dict(one, str(run.path / PLAN)) for one in named]
        known.open_files(settings, run)
        try:
            heard.enter("measuring a step")
            fit = Fit(
                settings,
                known.pictures,
                candidates,
                known.plan,
                budget,
                known.workers,
                heard,
                known.outcome.keep_best,
                baselines,
            )
            fit.remarks += [known.remark] if known.remark else []
            heard.enter("hand-made networks")
            fit.compare_handmade()
            if fit.time.searched:
                heard.enter("search")
            fit.search()
            if len(candidates.lengths) > 1 or fit.time.second_seeds:
                heard.enter("longer trainings")
            fit.train_longer()
            heard.enter("final trainings")
            finalists = fit.train_finalists()
        except Interrupted:
            heard({"event": "note", "text": "interrupted"})  # with the time, which counts when the fit goes on
            raise Interrupted(f"interrupted{run.resume_hint('fit')}") from None
        known.workers.close()
        heard.enter("testing, writing files")
        with on_the_way("the test and the files were not finished", f"zarts fit --resume {shlex.quote(str(run.path))}"):
            end_fit(settings, run, fit, finalists, known.outcome, known.load, budget, heard)
    _draw(run, callback)
    return FitResult.read(run.path, run.images)


def _draw(run: Run, callback: Callback) -> None:
    with afterwards("report.html is missing", f"zarts report {shlex.quote(str(run.path))}", callback):
        write_report(run.path)


def _tell_code(settings: FitSettings, callback: Callback) -> None:
    """Say which code of the user is run for networks in torch.

    Raises:
        NotFoundError, SettingsError: see `check_torch`.
    """
    for file in check_torch(settings.baselines):
        callback({"event": "note", "text": f"running the Python code of {file}"})


def _check_packages(settings: FitSettings) -> None:
    """Refuse a fit whose files could not be written in the end.

    Raises:
        SettingsError: a package is not installed; or an optimiser is chosen, and no search.
    """
    if not settings.search and settings.optimizer != "gld":
        raise SettingsError(f"optimizer = {settings.optimizer} proposes networks, and search = False: leave one out")
    ray = {"ray": "ray"} if settings.engine == "ray" else {}
    own: dict[str, str] = {settings.optimizer: "zo"} if settings.optimizer in ("cmaes", "nevergrad") else {}
    for name, extra in {**own, **ray, **_NEEDED, **(_LITERT if settings.tflite else {})}.items():
        if importlib.util.find_spec(name) is None:
            needed = {"litert": "--tflite", "ray": "--engine ray", "zo": f"--optimizer {name}"}.get(extra, "model.onnx")
            raise SettingsError(f"{needed}: {name} is not installed: pip install 'zarts[{extra}]'")
