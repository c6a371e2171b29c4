"""The retraining of a derived network, from settings to a tested model in its run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from yaml import safe_dump

from zarts.api._architecture import Source, genotype_of, run_of
from zarts.api._ranks import joined
from zarts.api._retrain_source import begin_from, owner_of, retraining_of
from zarts.api._search import NOT_RESTORED, draw_result, dry_run_in, note_writer, notes_only
from zarts.api.callbacks import logged
from zarts.config import RetrainSettings, retrain_settings
from zarts.errors import SettingsError
from zarts.runs import Run
from zarts.runs.new_run import anchored, discarded_unless_begun, new_run, same_images
from zarts.runs.user_files import copy_user_files, use_operations, use_space
from zarts.runtime.distributed import Ranks, started
from zarts.runtime.io import read_mapping
from zarts.spaces import Genotype
from zarts.training import RetrainResult, Start
from zarts.training import retrain as run_retrain
from zarts.training.dry_run import Forecast
from zarts.training.trainer import Callback, Driver

__all__ = ["dry_run_retrain", "resume_retrain", "retrain", "retrained_settings", "start_retrain"]


def retrain(
    source: Source | None = None,
    *,
    out: Path | str | None = None,
    preset: str | None = None,
    config: Path | str | None = None,
    callback: Callback | None = None,
    **options: Any,
) -> RetrainResult:
    """Train a derived network, from scratch or from given weights, and test it.

    A call starts no processes. It is a single rank, or one of the ranks that torchrun has started, each of which
    makes the same call.

    Args:
        source: a search (its result or its folder), a genotype, its file or text, or the name of a published one.
            A search hands down its data, split, image size, flip and stem. None: the genotype of the trained
            network that the setting `weights_from` names.
        out: the run folder; None: a new one in `runs/retrain`.
        preset: name of a preset, for example `cifar10`.
        config: a YAML file with settings.
        callback: called with every event.
        options: settings, see `zarts.config.RetrainSettings`; for example `epochs=100, channels=24`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    source, settings = retraining_of(source, options, preset=preset, config=None if config is None else Path(config))
    if settings.devices not in ("auto", started()):
        raise SettingsError(
            f"devices = {settings.devices}: a call from Python starts no processes: run "
            f"`torchrun --standalone --nproc-per-node {settings.devices} SCRIPT`, or `zarts retrain`"
        )
    return start_retrain(source, settings, out, callback)


def start_retrain(
    source: Source, settings: RetrainSettings, out: Path | str | None, callback: Callback | None
) -> RetrainResult:
    """Retrain with resolved settings; see `retrain`."""
    settings = anchored(settings)
    with joined(settings) as ranks:
        _use_operations_of(source, settings, callback if ranks.lead else None)
        genotype, name = genotype_of(source)
        path = Path("runs/retrain") / f"{name}-retrained-seed{settings.seed}" if out is None else Path(out)
        made = new_run(path, settings, "retrain", numbered=out is None).path if ranks.lead else path
        run = Run(ranks.broadcast(made), writes=ranks.lead)
        with discarded_unless_begun(run):
            start = _prepare_retrain(source, genotype, settings, run, callback, ranks)
            return _retrain_and_draw(settings, genotype, run, callback, ranks, start=start)


def dry_run_retrain(
    source: Source, settings: RetrainSettings, callback: Callback | None = None, *, before_seconds: float = 0.0
) -> Forecast:
    """Predict the time and memory of a retraining with these settings; see `dry_run_search`."""
    settings = anchored(settings)
    with joined(settings) as ranks:
        _use_operations_of(source, settings, callback if ranks.lead else None)
        genotype, _ = genotype_of(source)
        before_seconds *= min(2, ranks.count)  # the process that starts the ranks takes as long
        with dry_run_in(settings, "retrain", before_seconds, ranks) as (run, dry_run):
            start = _prepare_retrain(source, genotype, settings, run, callback, ranks)
            _retrain_and_draw(settings, genotype, run, notes_only(callback), ranks, start=start, drive=dry_run.run)
            return dry_run.forecast()


def _retrain_and_draw(
    settings: RetrainSettings,
    genotype: Genotype,
    run: Run,
    callback: Callback | None,
    ranks: Ranks,
    *,
    start: Start | None = None,
    resume: bool = False,
    drive: Driver | None = None,
) -> RetrainResult:
    """Retrain. Only the first rank calls the callback and draws."""
    if not ranks.lead:
        return run_retrain(settings, genotype, run, start=start, resume=resume, drive=drive, ranks=ranks)
    with logged(settings, run, callback) as callback:
        return draw_result(
            run_retrain(
                settings, genotype, run, start=start, resume=resume, callback=callback, drive=drive, ranks=ranks
            )
        )


def _use_operations_of(source: Source, settings: RetrainSettings, callback: Callback | None) -> None:
    """Register the user-defined operations of the source, or of the network that `weights_from` names."""
    owner = owner_of(source, settings.weights_from)
    if owner is not None:
        use_operations(owner, settings.operations, note_writer(callback))
    elif settings.operations is not None:
        raise SettingsError("operations belong to a search: name its run folder, or leave --operations out")


def _prepare_retrain(
    source: Source,
    genotype: Genotype,
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
    run.write("genotype.json", genotype.to_json())
    owner, searched = owner_of(source, settings.weights_from), run_of(source)
    if owner is not None:
        copy_user_files(owner, run)
    if searched is not None:
        command = read_mapping(searched.path / "env.json").get("command")
        run.write("searched.yaml", safe_dump({**read_mapping(searched.path / "config.yaml"), "command": command}))
    if searched is not None and same_images(settings.data, searched.settings("search")["data"]):
        _copy_split(searched, settings, run)
    return begin_from(source, genotype, settings, run, callback)


def _copy_split(searched: Run, settings: RetrainSettings, run: Run) -> None:
    """Copy the split of a search, whose test images the search has never seen, into the folder of its retraining.

    Raises:
        SettingsError: `split_seed` asks for another split.
    """
    split = searched.split()
    if split is None or "test" not in split:
        return
    if settings.subset is None and settings.split_seed != searched.settings("search").get("split_seed"):
        raise SettingsError(
            f"split_seed = {settings.split_seed} would test on images that the search {searched.path} has seen: "
            "leave it out, the retraining keeps the split of the search"
        )
    run.write_json("split.json", split)


def resume_retrain(
    path: Path | str,
    callback: Callback | None = None,
    **resumable: Any,
) -> RetrainResult:
    """Go on with an interrupted retraining; a finished one only returns its result.

    Args:
        path: the run folder.
        callback: called with every event.
        resumable: new values of resumable settings, see `setting` in `zarts.config.base`. A run with user-defined
            operations needs `operations`, their file, again, whose code is run.

    Raises:
        RunError: the folder or its checkpoint cannot be used.
        SettingsError: the file of operations is not named, or is another one.
    """
    settings = retrained_settings(path, **resumable)
    with joined(settings) as ranks:
        run = Run(Path(path), writes=ranks.lead)
        use_operations(run, settings.operations, note_writer(callback if ranks.lead else None))
        genotype = Genotype.load(run.path / "genotype.json")
        return _retrain_and_draw(settings, genotype, run, callback, ranks, resume=True)


def retrained_settings(path: Path | str, **resumable: Any) -> RetrainSettings:
    """The settings of a retraining that has begun, with the resumable ones that are given.

    Raises:
        RunError: the folder is not that of a retraining.
    """
    run = Run.open(Path(path), "retrain")
    use_space(run)
    begun = {key: value for key, value in run.settings("retrain").items() if key not in NOT_RESTORED}
    return retrain_settings({**begun, **resumable}, where=str(run.path / "config.yaml"))
