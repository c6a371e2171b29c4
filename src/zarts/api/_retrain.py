"""The retraining of a derived network, from settings to a tested model in its run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import Unpack
from yaml import safe_dump

from zarts.api._architecture import Source, architecture_of, run_of, settings_of
from zarts.api._arguments import check_resumed, with_settings
from zarts.api._data import given_again, given_images, images_of
from zarts.api._launched import check_launchable, free_path, launch_new, launch_resumed
from zarts.api._new_search import NOT_RESTORED, draw_run, dry_run_in, note_writer, notes_only
from zarts.api._ranks import joined
from zarts.api._results import RetrainResult
from zarts.api._retrain_source import begin_from, owner_of, retraining_of, sized_architecture
from zarts.api._tensorboard import logged
from zarts.callbacks import Callbacks, Follower, progress
from zarts.config import FUNCTIONS, RetrainSettings, dump, retrain_settings
from zarts.config.options import RetrainOptions
from zarts.data import DATA_SETS, PYTHON, PythonData
from zarts.errors import RunError, SettingsError
from zarts.runs import Run
from zarts.runs.new_run import anchored, new_run, place_of, resumed_run, same_images
from zarts.runs.user_files import copy_user_files, use_operations, use_space
from zarts.runs.user_functions import keep_functions, load_functions, same_functions
from zarts.runtime.distributed import Ranks, lead_here, started
from zarts.runtime.io import read_mapping
from zarts.runtime.leftovers import temporary_folder
from zarts.runtime.paths import PathLike, path_of
from zarts.searcher import SearchRecord
from zarts.spaces import Architecture, Chain, Genotype
from zarts.training import Start, read_architecture, read_result, write_architecture
from zarts.training import retrain as run_retrain
from zarts.training.dry_run import Forecast
from zarts.training.retrain import WEIGHT_STEP
from zarts.training.trainer import Callback

__all__ = ["dry_run_retrain", "resume_retrain", "retrain", "retrained_settings", "start_retrain"]


@with_settings(RetrainSettings, RetrainOptions)
def retrain(
    source: Source | None = None,
    *,
    data: Any = None,
    resume: PathLike | None = None,
    out: PathLike | None = None,
    preset: str | None = None,
    config: PathLike | None = None,
    callbacks: Sequence[Follower] = (),
    quiet: bool = False,
    **options: Unpack[RetrainOptions],
) -> RetrainResult:
    """Train a derived or a hand-made network, from scratch or from given weights, and test it.

    It shows its progress, and ends by Ctrl-C and SIGTERM, like `search`.

    Args:
        source: a search or a fit (its result or its folder), a genotype, its file or text, the name of a published
            one or of a hand-made network, or a `zarts.spaces.Chain` or its file. A search and a fit hand down their
            data, split, image size and flip, a search its stem too. None: the architecture of the trained network that
            the setting `weights_from` names.
        data: see `search`; None: that of the search, preset or file, or `digits`. The result of a search keeps the
            Python objects that it was given; its folder does not.
        resume: the folder of an interrupted retraining, to go on with; a finished one only returns its result. Beside
            it, only `callbacks`, `quiet` and settings that may change are allowed, and `data`: the same Python objects
            again, or the path where the images are now.
        out: the run folder; None: a new one in `runs/retrain`.
        preset: name of a preset, for example `cifar10`.
        config: a YAML file with settings.
        callbacks: objects of `zarts.callbacks.Callback`, or functions that are called with every event.
        quiet: print nothing.
        options: settings, listed below. `devices=2` starts two processes, which run `zarts retrain` with them.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state is saved.
        ZartsError: see the subclasses in `zarts.errors`.
    """
    begun = time.perf_counter()
    heard = Callbacks([progress(quiet=quiet), *callbacks])
    given: dict[str, Any] = dict(options)
    if resume is not None:
        others = {"source": source, "out": out, "preset": preset, "config": config}
        check_resumed(path_of(resume), others, given, RetrainSettings)
        result = _resume_here_or_on_ranks(path_of(resume), data, heard, given, begun)
    else:
        config, note = None if config is None else path_of(config), note_writer(heard if lead_here() else None)
        name, images = given_images(images_of(source) if data is None else data)
        named = {} if data is None else {"data": name}
        source, settings = retraining_of(source, given | named, preset=preset, config=config, images=images, note=note)
        images = images if settings.data == PYTHON else None
        result = _start_here_or_on_ranks(source, settings, images, out, heard, begun)
    if lead_here():
        heard.end(result)
    return result


def _start_here_or_on_ranks(
    source: Source,
    settings: RetrainSettings,
    images: PythonData | None,
    out: PathLike | None,
    callbacks: Callbacks,
    begun: float,
) -> RetrainResult:
    """Retrain in this process or, with `devices`, in processes of their own, unless torchrun has started those."""
    if settings.devices in ("auto", started()):
        return start_retrain(source, settings, out, callbacks, images=images, begun=begun)
    check_launchable(settings)
    settings = anchored(settings)
    path = free_path(run_path(architecture_of(source)[1], settings)) if out is None else path_of(out)
    with temporary_folder() as folder:
        if isinstance(source, SearchRecord):
            source = source.run
        elif isinstance(source, Genotype | Chain):
            file = folder / "architecture.json"
            file.write_text(source.to_json(), encoding="utf-8")
            source = file
        launch_new(settings, path, callbacks, [os.fspath(source)])
    return RetrainResult.of(read_result(Run(path)))


def _resume_here_or_on_ranks(
    path: Path, data: Any, callbacks: Callbacks, resumable: Mapping[str, Any], begun: float
) -> RetrainResult:
    settings = retrained_settings(path, **resumable)
    if settings.devices in ("auto", started()) or Run(path).finished:
        return resume_retrain(path, callbacks, data=data, begun=begun, **resumable)
    check_launchable(settings)
    settings, _ = given_again(data, settings, path, "zarts.retrain(resume=RUN, data=...)")
    words = [] if data is None else ["--data", settings.data]
    launch_resumed(settings, path, resumable, callbacks, words)
    return RetrainResult.of(read_result(Run(path)))


def run_path(name: str, settings: RetrainSettings) -> Path:
    """The run folder of a retraining that names none; `-2` and so on is appended where it exists."""
    return Path("runs/retrain") / f"{name}-retrained-seed{settings.seed}"


def start_retrain(
    source: Source,
    settings: RetrainSettings,
    out: PathLike | None,
    callback: Callback | None,
    *,
    images: PythonData | None = None,
    begun: float | None = None,
) -> RetrainResult:
    """Retrain with resolved settings; see `retrain`, and `start_search` for `images`.

    `begun` is when the command began, by `time.perf_counter`, for the setting `time`; None: now.
    """
    settings = anchored(settings, images)
    with joined(settings) as ranks:
        _use_operations_of(source, settings, callback if ranks.lead else None)
        settings = load_functions(settings, note_writer(callback if ranks.lead else None))
        architecture, name = sized_architecture(source, settings)
        path = run_path(name, settings) if out is None else path_of(out)
        with new_run(path, settings.data, "retrain", numbered=out is None, images=images, ranks=ranks) as run:
            keep_functions(settings, run)
            start = _prepare_retrain(source, architecture, settings, run, callback, ranks)
            run.begin(dump(settings), "retrain")
            if callback is not None and ranks.lead:
                callback(place_of(run))
            return _retrain_and_draw(settings, architecture, run, callback, ranks, start=start, begun=begun)


def dry_run_retrain(
    source: Source,
    settings: RetrainSettings,
    callback: Callback | None = None,
    *,
    images: PythonData | None = None,
    before_seconds: float = 0.0,
) -> Forecast:
    """Predict the time and memory of a retraining with these settings; see `dry_run_search`."""
    settings = anchored(settings, images)
    with joined(settings) as ranks:
        _use_operations_of(source, settings, callback if ranks.lead else None)
        settings = load_functions(settings, note_writer(callback if ranks.lead else None))
        architecture, _ = sized_architecture(source, settings)
        with dry_run_in(settings, "retrain", before_seconds, ranks, images) as (run, dry_run):
            start = _prepare_retrain(source, architecture, settings, run, callback, ranks)
            _retrain_and_draw(settings, architecture, run, notes_only(callback), ranks, start=start, drive=dry_run.run)
            forecast = dry_run.forecast()
            return forecast if settings.time is None else forecast.within(settings.time, WEIGHT_STEP)


def _retrain_and_draw(
    settings: RetrainSettings, architecture: Architecture, run: Run, callback: Callback | None, ranks: Ranks, **how: Any
) -> RetrainResult:
    """Retrain; `how` goes to `zarts.training.retrain`. Only the first rank calls the callback and draws."""
    if not ranks.lead:
        record = run_retrain(settings, architecture, run, ranks=ranks, **how)
        return RetrainResult.of(replace(record, images=run.images))
    with logged(settings, run, callback) as heard:
        record = run_retrain(settings, architecture, run, callback=heard, ranks=ranks, **how)
    draw_run(architecture, run.path, callback)
    return RetrainResult.of(replace(record, images=run.images))


def _use_operations_of(source: Source, settings: RetrainSettings, callback: Callback | None) -> None:
    """Register the user-defined operations of the source, or of the network that `weights_from` names."""
    owner = owner_of(source, settings.weights_from)
    if owner is not None:
        use_operations(owner, settings.operations, note_writer(callback))
    elif settings.operations is not None:
        raise SettingsError("operations belong to a search: name its run folder, or leave --operations out")


def _prepare_retrain(
    source: Source,
    architecture: Architecture,
    settings: RetrainSettings,
    run: Run,
    callback: Callback | None,
    ranks: Ranks,
) -> Start | None:
    """Write the files that come from the source into the run folder; the weights to start from.

    Only the first rank does so; the others get None, and the weights from the first checkpoint.
    """
    if not ranks.lead:
        return None
    write_architecture(run, architecture)
    owner, searched = owner_of(source, settings.weights_from), run_of(source)
    if owner is not None:
        copy_user_files(owner, run)
    if searched is not None:
        command = read_mapping(searched.path / "env.json").get("command")
        run.write("searched.yaml", safe_dump({**read_mapping(searched.path / "config.yaml"), "command": command}))
    if searched is not None:
        _copy_split(searched, settings, run)
    return begin_from(source, architecture, settings, run, callback)


def _copy_split(searched: Run, settings: RetrainSettings, run: Run) -> None:
    """Copy the split of a search or fit, whose test images chose nothing there, into the folder of its retraining.

    There the images of the search keep their parts, wherever they are now.

    Raises:
        SettingsError: `split_seed` asks for another split.
    """
    split, before = searched.split(), settings_of(searched)
    if split is None or "train" not in split or settings.data in DATA_SETS:
        return
    same = same_images(settings.data, before["data"], run.images, split)
    if not same and PYTHON in (settings.data, before["data"]) and "files" not in split:
        return  # without their contents no image of another object is recognised
    if same and "seed" in split and settings.subset is None and settings.split_seed != before.get("split_seed"):
        raise SettingsError(
            f"split_seed = {settings.split_seed} would test on images that the search {searched.path} has seen: "
            "leave it out, the retraining keeps the split of the search"
        )
    run.write_split(split)


def resume_retrain(
    path: PathLike,
    callback: Callback | None = None,
    *,
    data: Any = None,
    begun: float | None = None,
    **resumable: Any,
) -> RetrainResult:
    """Go on with an interrupted retraining; a finished one only returns its result.

    Args:
        path: the run folder, or the result.
        callback: called with every event.
        data: the images again, if they are Python objects.
        begun: when the command began, by `time.perf_counter`; None: now.
        resumable: new values of resumable settings, see `setting` in `zarts.config.base`. A run with user-defined
            operations needs `operations`, their file, again, whose code is run; likewise a user-defined `criterion`.

    Raises:
        RunError: the folder or its checkpoint cannot be used, or its images are not given.
        DataError: `data` are other images than those of the run.
        SettingsError: the file of operations is not named, or is another one.
    """
    path, images = path_of(path), None
    settings = retrained_settings(path, **resumable)
    if data is not None or not Run(path).finished:
        settings, images = given_again(data, settings, path, "zarts.retrain(resume=RUN, data=...)")
    with joined(settings) as ranks:
        run = Run(path, writes=ranks.lead, images=images)
        if settings.weights_from is not None and not ranks.broadcast(run.started):
            raise RunError(f"{path}: was ended before its first step: start it anew by the same command, with --out")
        note = note_writer(callback if ranks.lead else None)
        use_operations(run, settings.operations, note)
        settings = load_functions(settings, note, run)
        architecture = read_architecture(run)
        with resumed_run(run, "retrain"):
            return _retrain_and_draw(settings, architecture, run, callback, ranks, resume=True, begun=begun)


def retrained_settings(path: PathLike, **resumable: Any) -> RetrainSettings:
    """The settings of a retraining that has begun, with the resumable ones that are given.

    Raises:
        RunError: the folder is not that of a retraining.
    """
    run = Run.open(path_of(path), "retrain")
    use_space(run)
    begun = {key: value for key, value in run.settings("retrain").items() if key not in NOT_RESTORED}
    begun = {"muon_rate": 0.0, **begun}  # recipe fast was without Muon where the run does not name it
    functions = {key: resumable.pop(key) for key in FUNCTIONS if key in resumable}
    chain, where = (run.path / "chain.json").exists(), str(run.path / "config.yaml")
    known = retrain_settings({**begun, **resumable}, handmade=chain, where=where, kind="file")
    return same_functions(run, known, functions)
