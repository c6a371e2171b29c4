"""The command `compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from zarts.cli.options import Config, Preset, Set, Trust, parse_grid, parse_set, with_settings
from zarts.cli.progress import Display, Quiet, Verbose, waited
from zarts.config import SearchSettings, unknown_setting
from zarts.errors import RunError, SettingsError
from zarts.runtime.paths import printable

__all__ = ["compare"]


@with_settings(SearchSettings, without=("method", "seed", "devices"))
def compare(
    *,
    methods: Annotated[
        str,
        typer.Option(
            help="methods, one a row, each with its own settings: 'darts,darts arch_learning_rate=0.01'",
            metavar="ROW,ROW",
        ),
    ],
    seeds: Annotated[str, typer.Option(help="their number, or a range like 100-119", metavar="K|A-B")],
    baselines: Annotated[
        str | None,
        typer.Option(
            help="hand-made networks as further rows, trained like the derived ones: 'resnet8,vgg width=0.5'; see "
            "`zarts list networks`",
            metavar="NETWORK,NETWORK",
        ),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            help="multiply the rows by the values of a setting, space and data among them; may be repeated",
            metavar="KEY=VALUE,VALUE",
        ),
    ] = None,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(help="the folder; goes on with what is in it", metavar="DIR")] = None,
    jobs: Annotated[int | None, typer.Option(help="searches at a time (default: processors / threads)")] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="where searches run: processes of this machine, or ray: tasks on the Ray cluster of RAY_ADDRESS "
            "(without it, one started here), whose machines all have to see --out and the images under these paths",
            metavar="processes|ray",
        ),
    ] = "processes",
    against: Annotated[str | None, typer.Option(help="test the other rows against this one", metavar="ROW")] = None,
    best_of: Annotated[
        int | None, typer.Option(help="a row for the best of so many random cells (default: at equal cost)")
    ] = None,
    draws: Annotated[int | None, typer.Option(help="random cells by so many draws (default: exact)")] = None,
    trust: Trust = False,
    retrain: Annotated[
        list[str] | None,
        typer.Option(
            "--retrain", help="a setting of the retrainings, where cells are not looked up", metavar="KEY=VALUE"
        ),
    ] = None,
    no_retrain: Annotated[
        bool, typer.Option("--no-retrain", help="search only: pictures of how searches go, and no accuracies")
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    options: dict[str, Any],
) -> None:
    """Compare methods, settings, spaces or data over several seeds.

    It searches in parallel, trains what the searches find (space nasbench201: looks it up), and prints tables.
    """
    given, display = {**options, **parse_set(set_ or [])}, Display(quiet=quiet, verbose=verbose)
    if no_retrain and retrain:
        raise SettingsError(f"--retrain {retrain[0]} and --no-retrain: leave one of them out")
    for key in given.keys() - SearchSettings.model_fields.keys():
        raise SettingsError(f"options: {unknown_setting(key, SearchSettings.model_fields)}")
    display.load("zarts.comparison")
    from zarts import comparison

    with display.progress() as callback:
        found = comparison.compare(
            methods,
            seeds,
            **given,
            baselines=() if baselines is None else baselines,
            grid=parse_grid(grid or []),
            retrain=None if no_retrain else parse_set(retrain or [], "--retrain"),
            out=out,
            preset=preset,
            config=config,
            jobs=jobs,
            engine=engine,
            against=against,
            best_of=best_of,
            draws=draws,
            trust=trust,
            callbacks=[callback],
            quiet=True,
        )
    print(found.markdown, end="")
    display.notes([f"compared in {waited()}; report: {found.out / 'report.html'}"])
    for trial, line in found.failed.items():
        print(printable(f"zarts: {trial.title}: {line}"), file=sys.stderr)
    if found.failed:
        several = f"{len(found.failed)} of {len(found.failed) + len(found.found)} searches"
        raise RunError(f"{several} failed: the same command tries them again ({found.out})")
