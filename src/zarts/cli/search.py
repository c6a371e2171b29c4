"""The command `search`."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zarts.callbacks.pace import span
from zarts.cli.distributed import command_began, is_rank_zero
from zarts.cli.dry_run import about, print_forecast
from zarts.cli.options import (
    DIGITS,
    Config,
    DryRun,
    Out,
    Preset,
    Print,
    Resume,
    Set,
    Trust,
    check_alone,
    launch_ranks,
    parse_set,
    print_config,
    with_settings,
)
from zarts.cli.progress import Display, Quiet, Verbose, waited
from zarts.config import FUNCTIONS, SearchSettings, resumable, search_settings
from zarts.runtime.paths import existing, path_of

if TYPE_CHECKING:
    from zarts.searcher import SearchRecord

__all__ = ["search"]


@with_settings(SearchSettings)
def search(
    *,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    out: Out = None,
    resume: Resume = None,
    print_config_: Print = False,
    dry_run: DryRun = False,
    trust: Trust = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    options: dict[str, Any],
) -> None:
    """Search an architecture, as the papers of this field do.

    A search ends with a cell; `zarts retrain RUN` trains the network made of it. `zarts fit` does all at once.
    """
    given, display = {**options, **parse_set(set_ or [])}, Display(quiet=quiet, verbose=verbose)
    if resume is not None:
        other = {key: given.pop(key) for key in (*resumable(SearchSettings), *FUNCTIONS) if key in given}
        data = given.pop("data", None)
        check_alone(resume, preset, config, out, print_config_, dry_run, given)
        existing(resume, "run folder")
        display.load("zarts.api._new_search")
        from zarts import api

        launch_ranks(api.searched_settings(resume, **other))
        with (
            display.progress() as callback,
            api.begun_search(resume, callback, data=data, trust=trust, **other) as searcher,
        ):
            result = searcher.run(resume=True)
    else:
        notes: list[str] = []
        settings = search_settings(given, preset=preset, config=config and path_of(config), note=notes.append)
        if print_config_:
            display.notes(notes)
            return print_config("search", settings)
        is_unasked = not dry_run and _is_unasked(settings, preset, out)
        if is_unasked:
            display.notes([_what_happens(settings)])
        display.load("zarts.api._new_search")
        from zarts import api

        launch_ranks(settings)
        display.notes(notes)
        if dry_run:
            before = time.perf_counter() - command_began()
            with display.progress() as callback:
                forecast = api.dry_run_search(settings, callback, trust=trust, before_seconds=before)
            return print_forecast(forecast) if is_rank_zero() else None
        if is_unasked and settings.supernet != "none" and not quiet:
            with display.progress() as callback:
                seconds = api.dry_run_search(settings, partial(_phases_only, callback), trust=trust).seconds
            display.notes([f"this takes {about(seconds)} on this machine"])
        with display.progress() as callback, api.new_search(settings, out, callback, trust=trust) as searcher:
            result = searcher.run()
    return _print(result, resumed=resume is not None) if is_rank_zero() else None


def _phases_only(callback: Callable[[Mapping[str, Any]], None], event: Mapping[str, Any]) -> None:
    """Pass phases on, and no notes: the search itself says them again."""
    if event["event"] == "doing":
        callback(event)


def _is_unasked(settings: SearchSettings, preset: str | None, out: Path | None) -> bool:
    """Whether a search was given neither images nor a preset, and will begin: here, not in ranks."""
    is_free = out is None or not path_of(out).exists()
    return is_free and preset is None and "data" not in settings.model_fields_set and "RANK" not in os.environ


def _what_happens(settings: SearchSettings) -> str:
    length = "" if settings.supernet == "none" else f", {settings.epochs} epochs"
    return (
        f"neither --data nor --preset: searches the embedded digits ({DIGITS}) by method {settings.method} in space "
        f"{settings.space}{length}; for your images add --data path/to/images, or take `zarts fit path/to/images`; to "
        "see it work in a minute add --preset quick"
    )


def _print(result: SearchRecord, *, resumed: bool) -> None:
    """Print the cells, the time, the report, and the commands that can follow."""
    for kind in result.genotype.cells:
        print(f"{kind}: {result.genotype.describe(kind)}")
    before = f"; all steps since the search began took {span(result.seconds)}" if resumed else ""
    print(f"found in {waited()}{before}; report: {result.run / 'report.html'}")
    run = shlex.quote(str(result.run))
    if result.genotype.space == "nasbench201":
        print(f"look it up: zarts lookup {run}")
    print(f"train it: zarts retrain {run}")
