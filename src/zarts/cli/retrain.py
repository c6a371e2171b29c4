"""The command `retrain`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from zarts.callbacks.pace import span
from zarts.cli.distributed import command_began, is_rank_zero
from zarts.cli.dry_run import print_forecast
from zarts.cli.options import (
    DIGITS,
    NETWORK,
    Config,
    DryRun,
    Out,
    Preset,
    Print,
    Resume,
    Set,
    check_alone,
    launch_ranks,
    parse_set,
    print_config,
    with_settings,
)
from zarts.cli.progress import Display, Quiet, Verbose, waited
from zarts.config import FUNCTIONS, RetrainSettings, resumable
from zarts.runtime.paths import existing, path_of

__all__ = ["retrain"]


@with_settings(RetrainSettings)
def retrain(
    source: Annotated[str | None, typer.Argument(help=NETWORK, show_default=False)] = None,
    *,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="fine-tune this trained network (its run or model.safetensors), like --weights-from; SOURCE may be "
            "left out",
            metavar="MODEL",
        ),
    ] = None,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    out: Out = None,
    resume: Resume = None,
    print_config_: Print = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    options: dict[str, Any],
) -> None:
    """Train a network from scratch or given weights, and test it.

    The network is the one that a search has found, a published or a hand-made one.
    """
    given, display = {**options, **parse_set(set_ or [])}, Display(quiet=quiet, verbose=verbose)
    if from_ is not None:
        given["weights_from"] = from_
    if resume is not None:
        other = {key: given.pop(key) for key in (*resumable(RetrainSettings), *FUNCTIONS) if key in given}
        data = given.pop("data", None)
        check_alone(resume, source, preset, config, out, print_config_, dry_run, given)
        existing(resume, "run folder")
        display.load("zarts.api._retrain")
        from zarts import api

        launch_ranks(api.retrained_settings(resume, **other))
        with display.progress() as callback:
            result = api.resume_retrain(resume, callback, data=data, begun=command_began(), **other)
    else:
        display.load("zarts.api._retrain")
        from zarts import api

        notes: list[str] = []
        found, settings = api.retraining_of(
            source, given, preset=preset, config=config and path_of(config), note=notes.append
        )
        if print_config_:
            display.notes(notes)
            return print_config("retrain", settings)
        launch_ranks(settings)
        if "data" not in settings.model_fields_set and preset is None:
            notes.append(f"no --data: trains on the embedded digits ({DIGITS}); yours are --data path/to/images")
        display.notes(notes)
        with display.progress() as callback:
            if dry_run:
                before = time.perf_counter() - command_began()
                forecast = api.dry_run_retrain(found, settings, callback, before_seconds=before)
                return print_forecast(forecast) if is_rank_zero() else None
            result = api.start_retrain(found, settings, out, callback, begun=command_began())
    if not is_rank_zero():
        return None
    in_all = "" if resume is None else f" (all steps since it began: {span(result.seconds)})"
    print(f"test accuracy: {result.test_accuracy:.2f} % (last epoch)")
    print(f"parameters: {result.parameters:,}   MACs: {result.macs:,}   time: {waited()}{in_all}")
    print(f"model: {result.run / 'model.safetensors'}; report: {result.run / 'report.html'}")
    return None
