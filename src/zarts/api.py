"""The jobs of the command line, from Python: the same settings, the same run folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch

from zarts.bench import Lookup, Table, Truth, find_table, look_up, read_table
from zarts.config import CommonSettings, RetrainSettings, SearchSettings, dump, retrain_settings, search_settings
from zarts.data import load_data
from zarts.engine import (
    Driver,
    Forecast,
    Listener,
    Rehearsal,
    Run,
    SearchResult,
    check_alone,
    choose_device,
    joined,
    launch,
    ranks_here,
    started,
)
from zarts.engine import search as run_search
from zarts.errors import RunError, SettingsError
from zarts.folders import anchored, discarded_unless_begun, new_run, same_images
from zarts.ranks import Ranks
from zarts.report import draw_cells, write_report
from zarts.sources import Source, genotype_of, inherited, run_of, string_of, trainable
from zarts.spaces import Genotype
from zarts.training import RetrainResult, accuracy, load_model, test_batches
from zarts.training import retrain as run_retrain

__all__ = [
    "Source",
    "evaluate",
    "genotype_of",
    "inherited",
    "lookup",
    "rehearse_retrain",
    "rehearse_search",
    "resume_retrain",
    "resume_search",
    "retrain",
    "search",
    "searched_settings",
    "spread",
    "start_retrain",
    "start_search",
]

_R = TypeVar("_R", SearchResult, RetrainResult)


def search(
    *,
    out: Path | str | None = None,
    preset: str | None = None,
    config: Path | str | None = None,
    listener: Listener | None = None,
    trust: bool = False,
    **options: Any,
) -> SearchResult:
    """Search an architecture.

    A call starts no processes: it is one rank, or one of those that torchrun has started, each of which makes the
    same call.

    Args:
        out: the run folder; None makes a new one in `runs/search`.
        preset: name of a preset, for example `quick`.
        config: a YAML file with settings.
        listener: called with every event.
        trust: whether the file of the setting `table` may be unpickled; see `lookup`.
        options: settings, see `zarts.config.SearchSettings`; for example `space="s2", method="zarts-gld"`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    settings = search_settings(options, preset=preset, config=None if config is None else Path(config))
    if settings.devices not in ("auto", started()):
        raise SettingsError(
            f"devices = {settings.devices}: a call from Python starts no processes; run "
            f"`torchrun --standalone --nproc-per-node {settings.devices} SCRIPT`, or `zarts search`"
        )
    return start_search(settings, out, listener, trust=trust)


def start_search(
    settings: SearchSettings,
    out: Path | str | None,
    listener: Listener | None,
    *,
    loaded: Table | None = None,
    trust: bool = False,
) -> SearchResult:
    """Search with settings that are resolved already, and perhaps a table that has been read; see `search`."""
    settings = anchored(settings)
    label = Path(settings.data).name or "images"
    name = f"{label}-{settings.space}-{settings.method}-seed{settings.seed}"
    path = Path("runs/search") / name if out is None else Path(out)
    with joined(settings) as ranks:
        table = loaded or (_table_of(settings, trust) if ranks.lead else None)
        made = new_run(path, settings, "search", numbered=out is None).path if ranks.lead else path
        run = Run(ranks.from_lead(made), writes=ranks.lead)
        with discarded_unless_begun(run):
            return _searched(settings, run, listener, table, ranks)


def rehearse_search(
    settings: SearchSettings,
    listener: Listener | None = None,
    *,
    trust: bool = False,
    before_seconds: float = 0.0,
) -> Forecast:
    """What a search with these settings will cost in time and memory; leaves nothing behind.

    Args:
        settings: resolved settings, see `zarts.config.search_settings`.
        listener: called with events of the kind `note`.
        trust: see `search`.
        before_seconds: what the process has taken until now, which the command will take again.

    Raises:
        ZartsError: what the search itself would raise.
    """
    settings = anchored(settings)
    with joined(settings) as ranks:
        table = _table_of(settings, trust) if ranks.lead else None
        before_seconds *= min(2, ranks.count)  # the process that starts the ranks takes as long
        with _rehearsed(settings, "search", before_seconds, ranks) as (run, rehearsal):
            _searched(settings, run, _notes(listener), table, ranks, drive=rehearsal.run)
            return rehearsal.forecast()


def rehearse_retrain(
    source: Source, settings: RetrainSettings, listener: Listener | None = None, *, before_seconds: float = 0.0
) -> Forecast:
    """What a retraining with these settings will cost; see `rehearse_search`."""
    settings = anchored(settings)
    genotype, _ = trainable(source)
    with _rehearsed(settings, "retrain", before_seconds) as (run, rehearsal):
        _prepare_retrain(source, genotype, settings, run)
        _drawn(run_retrain(settings, genotype, run, listener=_notes(listener), drive=rehearsal.run))
        return rehearsal.forecast()


@contextmanager
def _rehearsed(
    settings: CommonSettings, command: str, before_seconds: float, ranks: Ranks | None = None
) -> Iterator[tuple[Run, Rehearsal]]:
    """A run folder that is gone afterwards, and a rehearsal that has begun."""
    rehearsal = Rehearsal(before_seconds, ranks)
    with TemporaryDirectory(prefix="zarts-") as folder:
        yield Run.create(Path(folder) / command, dump(settings), command), rehearsal


def _notes(listener: Listener | None) -> Listener:
    """Hears what it should be told of a run, and not how far the run is."""
    return lambda event: listener(event) if listener is not None and event["event"] == "note" else None


def resume_search(
    path: Path | str,
    listener: Listener | None = None,
    *,
    loaded: Table | None = None,
    trust: bool = False,
    **untied: Any,
) -> SearchResult:
    """Go on with an interrupted search; a finished one only gives its result.

    Args:
        path: the run folder.
        listener: called with every event.
        loaded: a table that has been read already, in the place of the setting's.
        trust: see `search`.
        untied: other `devices` or another file `table` than it was begun with.

    Raises:
        RunError: the folder or its checkpoint cannot be used.
        DataError: its table cannot be read.
    """
    settings = searched_settings(path, **untied)
    with joined(settings) as ranks:
        table = loaded or (_table_of(settings, trust) if ranks.lead else None)
        return _searched(settings, Run(Path(path), writes=ranks.lead), listener, table, ranks, resume=True)


def _searched(
    settings: SearchSettings,
    run: Run,
    listener: Listener | None,
    table: Table | None,
    ranks: Ranks,
    *,
    resume: bool = False,
    drive: Driver | None = None,
) -> SearchResult:
    """Search; what is heard, looked up and drawn is so on the first rank only."""
    if not ranks.lead:
        return run_search(settings, run, resume=resume, drive=drive, ranks=ranks)
    truth = None if table is None else Truth(table, run, listener)
    result = run_search(settings, run, resume=resume, drive=drive, listener=truth or listener, ranks=ranks)
    if truth is not None:
        truth.finish(result.genotype)
    return _drawn(result)


def _table_of(settings: SearchSettings, trust: bool) -> Table | None:
    """The table that the settings name, read.

    Raises:
        DataError: it is not there, or cannot be read.
    """
    if settings.table is None:
        return None
    return read_table(find_table(None if settings.table == "auto" else settings.table), trust=trust)


def searched_settings(path: Path | str, **untied: Any) -> SearchSettings:
    """The settings of a search that was begun; with other `devices` (or `auto`) or another `table`, if given.

    Raises:
        RunError: it is no folder of one.
    """
    run = Run.open(Path(path), "search")
    begun = {key: value for key, value in run.settings("search").items() if key != "devices"}
    return search_settings({**begun, **untied}, where=str(run.path / "config.yaml"))


def spread(settings: SearchSettings, words: Sequence[str]) -> int | None:
    """Run `zarts WORDS` as so many ranks as the settings ask for; its exit code.

    None: nothing was run, because this process is a rank already, or the only one there is to be.

    Raises:
        SettingsError: a number of ranks that the method cannot use, or another one than torchrun has started here.
        RankError: a rank was killed.
    """
    if started() > 1:
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        if settings.devices not in ("auto", here):
            raise SettingsError(f"devices = {settings.devices}, but torchrun has started {here} here: leave it out")
        return None
    count = ranks_here(settings)
    return launch(count, words) if count > 1 else None


def retrain(
    source: Source,
    *,
    out: Path | str | None = None,
    preset: str | None = None,
    config: Path | str | None = None,
    listener: Listener | None = None,
    **options: Any,
) -> RetrainResult:
    """Train the network of an architecture from scratch, and test it.

    Args:
        source: a search (its result or its folder), a genotype, its file or text, or a published one's name.
            A search hands down its data, split, image size, flip and stem.
        out: the run folder; None makes a new one in `runs/retrain`.
        preset: name of a preset, for example `cifar10`.
        config: a YAML file with settings.
        listener: called with every event.
        options: settings, see `zarts.config.RetrainSettings`; for example `epochs=100, channels=24`.

    Raises:
        ZartsError: see the subclasses in `zarts.errors`.
    """
    settings = retrain_settings(
        options, preset=preset, config=None if config is None else Path(config), inherited=inherited(source)
    )
    return start_retrain(source, settings, out, listener)


def start_retrain(
    source: Source, settings: RetrainSettings, out: Path | str | None, listener: Listener | None
) -> RetrainResult:
    """Retrain with settings that are resolved already; see `retrain`."""
    check_alone("a retraining")
    settings = anchored(settings)
    genotype, name = trainable(source)
    path = Path("runs/retrain") / f"{name}-retrained-seed{settings.seed}" if out is None else Path(out)
    run = new_run(path, settings, "retrain", numbered=out is None)
    with discarded_unless_begun(run):
        _prepare_retrain(source, genotype, settings, run)
        result = run_retrain(settings, genotype, run, listener=listener)
    return _drawn(result)


def _prepare_retrain(source: Source, genotype: Genotype, settings: RetrainSettings, run: Run) -> None:
    """Write what a retraining has from its source into its folder."""
    run.write("genotype.json", genotype.to_json())
    searched = run_of(source)
    if searched is not None and same_images(settings.data, searched.settings("search")["data"]):
        _hand_down(searched, settings, run)


def _hand_down(searched: Run, settings: RetrainSettings, run: Run) -> None:
    """Give a retraining the test images that its search has never seen.

    Raises:
        SettingsError: another draw of them is asked for.
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


def resume_retrain(path: Path | str, listener: Listener | None = None) -> RetrainResult:
    """Go on with an interrupted retraining; a finished one only gives its result.

    Raises:
        RunError: the folder or its checkpoint cannot be used.
    """
    check_alone("a retraining")
    run, settings = _retrained(path)
    return _drawn(run_retrain(settings, Genotype.load(run.path / "genotype.json"), run, resume=True, listener=listener))


def evaluate(path: Path | str, *, data: str | None = None, device: str = "auto") -> float:
    """Test accuracy, in percent, of a retrained network, from the files of its run folder alone.

    Args:
        path: folder of a `retrain` run.
        data: other images with the same classes; None takes those that it was trained for.
        device: see the setting of that name.

    Raises:
        RunError: the folder or the model file cannot be used.
        DataError: the images cannot be used.
        SettingsError: the images have other classes than the network.
    """
    run, settings = _retrained(path)
    if not run.finished:
        raise RunError(f"{path}: the retraining has not finished: go on with `zarts retrain --resume {path}`")
    network, card = load_model(run.path / "model.safetensors")
    own, split = data is None or same_images(data, settings.data), run.split() or {}
    images = load_data(
        settings.data if data is None else data,
        image_size=card.image_size,
        subset=settings.subset if own else None,
        seed=settings.split_seed,
        data_dir=settings.data_dir,
        manifest=split if own and "test" in split else None,
    )
    if images.classes != card.classes:
        raise SettingsError(
            f"{images.name} has classes {list(images.classes)}; the network was trained for {list(card.classes)}"
        )
    if images.channels != len(card.mean):
        raise SettingsError(
            f"{images.name}: images have {images.channels} channels; the network was trained on {len(card.mean)}"
        )
    where = choose_device(device)
    network = network.to(where).to(memory_format=torch.channels_last)
    return accuracy(network, test_batches(images.test(), card, where))


def lookup(architecture: Source | int, *, table: Table | Path | str | None = None, trust: bool = False) -> Lookup:
    """The true accuracies of an architecture of the space `nasbench201`, its ranks and its regrets.

    Args:
        architecture: the benchmark's string or index, or a search in that space, a genotype or its file.
        table: a table, its file, or a directory with a file of a known name; None: the one in the directory that
            the environment variable ZARTS_DATA names.
        trust: whether a file may be unpickled, which runs whatever code is in it; the official ones need it.

    Raises:
        SettingsError: an architecture of another space, or a string that names none.
        DataError: there is no such table, it cannot be read, or it lacks the architecture.
        RunError: a source that cannot be read.
    """
    if isinstance(architecture, str) and architecture.strip().isdecimal():
        architecture = int(architecture)
    if not isinstance(architecture, int):
        architecture = string_of(architecture)
    if not isinstance(table, Table):
        table = read_table(find_table(None if table is None else Path(table)), trust=trust)
    return look_up(table, architecture)


def _retrained(path: Path | str) -> tuple[Run, RetrainSettings]:
    run = Run.open(Path(path), "retrain")
    return run, retrain_settings(run.settings("retrain"), where=str(run.path / "config.yaml"))


def _drawn(result: _R) -> _R:
    draw_cells(result.genotype, result.run / "cells")
    write_report(result.run)
    return result
