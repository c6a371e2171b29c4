"""The commands, one thin function each: settings in, work done by `zarts.api`, a few lines out."""

from __future__ import annotations

import shlex
import sys
import time
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from zarts.cli.compare import compare
from zarts.cli.diagnosis import print_diagnosis
from zarts.cli.distributed import first
from zarts.cli.exporting import evaluate, export, predict
from zarts.cli.forecast import print_forecast
from zarts.cli.landscape import landscape
from zarts.cli.ls import Kind, listing
from zarts.cli.options import Config, Preset, Set, Trust, parse_set, with_settings
from zarts.cli.progress import progress
from zarts.cli.query import DataSet, show
from zarts.config import CommonSettings, RetrainSettings, SearchSettings, dump, resumable, search_settings
from zarts.errors import SettingsError

__all__ = ["app"]

# Commands import `zarts.api` themselves: it imports torch, which takes seconds, and help pages need none of it.

app = typer.Typer(
    name="zarts",
    help="Find neural network architectures for your own images, by zero-order optimisation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Out = Annotated[Path | None, typer.Option(help="the run folder (default: a new one in runs/)", metavar="DIR")]
Resume = Annotated[Path | None, typer.Option(help="go on with this interrupted run", metavar="RUN")]
Print = Annotated[bool, typer.Option("--print-config", help="print all settings, and stop")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="predict time and memory from a few real steps, and stop")]
_SOURCE = "a run, a genotype file, a published genotype's name, or a genotype written out: 'Genotype(...)'"
Source = Annotated[str | None, typer.Argument(help=_SOURCE, show_default=False)]

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="fine-tune this trained network (its run or model.safetensors): --weights-from; SOURCE may be left out",
        metavar="MODEL",
    ),
]


@app.callback()
def _zarts() -> None:
    """Find neural network architectures for your own images, by zero-order optimisation."""


@app.command()
@with_settings(SearchSettings)
def search(
    *,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    out: Out = None,
    resume: Resume = None,
    print_config: Print = False,
    dry_run: DryRun = False,
    trust: Trust = False,
    options: dict[str, Any],
) -> None:
    """Search an architecture for the images of --data."""
    given = {**options, **parse_set(set_ or [])}
    if resume is not None:
        other = {key: given.pop(key) for key in resumable(SearchSettings) if key in given}
        _alone(resume, preset, config, out, print_config, dry_run, given)
        from zarts import api

        _launch_ranks(api.searched_settings(resume, **other))
        with progress() as callback:
            result = api.resume_search(resume, callback, trust=trust, **other)
    else:
        settings = search_settings(given, preset=preset, config=config)
        if print_config:
            return _print_config("search", settings)
        from zarts import api

        _launch_ranks(settings)
        with progress() as callback:
            if dry_run:
                before = time.process_time()
                forecast = api.dry_run_search(settings, callback, trust=trust, before_seconds=before)
                return print_forecast(forecast) if first() else None
            result = api.start_search(settings, out, callback, trust=trust)
    if not first():
        return None
    for kind in result.genotype.cells:
        print(f"{kind}: {result.genotype.describe(kind)}")
    print(f"found in {result.seconds:.0f} s; report: {result.run / 'report.html'}")
    found = shlex.quote(str(result.run))
    if result.genotype.space == "nasbench201":
        print(f"look it up: zarts lookup {found}")
    print(f"train it: zarts retrain {found}")
    return None


app.command()(compare)


@app.command()
@with_settings(RetrainSettings)
def retrain(
    source: Source = None,
    *,
    from_: From = None,
    preset: Preset = None,
    config: Config = None,
    set_: Set = None,
    out: Out = None,
    resume: Resume = None,
    print_config: Print = False,
    dry_run: DryRun = False,
    options: dict[str, Any],
) -> None:
    """Train a found network, from scratch or from weights that there are, and test it."""
    given = {**options, **parse_set(set_ or [])}
    if from_ is not None:
        given["weights_from"] = from_
    if resume is not None:
        other = {key: given.pop(key) for key in resumable(RetrainSettings) if key in given}
        _alone(resume, source, preset, config, out, print_config, dry_run, given)
        from zarts import api

        _launch_ranks(api.retrained_settings(resume, **other))
        with progress() as callback:
            result = api.resume_retrain(resume, callback, **other)
    else:
        from zarts import api

        found, settings = api.retraining_of(source, given, preset=preset, config=config)
        if print_config:
            return _print_config("retrain", settings)
        _launch_ranks(settings)
        with progress() as callback:
            if dry_run:
                before = time.process_time()
                forecast = api.dry_run_retrain(found, settings, callback, before_seconds=before)
                return print_forecast(forecast) if first() else None
            result = api.start_retrain(found, settings, out, callback)
    if not first():
        return None
    print(f"test accuracy: {result.test_accuracy:.2f} % (last epoch)")
    print(f"parameters: {result.parameters:,}   MACs: {result.macs:,}   time: {result.seconds:.0f} s")
    print(f"model: {result.run / 'model.safetensors'}; report: {result.run / 'report.html'}")
    return None


for _leaving in (evaluate, export, predict):
    app.command()(_leaving)


@app.command()
def draw(
    source: Annotated[str, typer.Argument(help=_SOURCE)],
    out: Annotated[Path, typer.Option(help="folder for the pictures", metavar="DIR")] = Path("cells"),
    every: Annotated[
        int | None,
        typer.Option(help="of a search: the cells of every N-th epoch, side by side and animated", metavar="N", min=1),
    ] = None,
) -> None:
    """Draw the cells of a genotype as SVG and PNG."""
    from zarts import api
    from zarts.reports import draw_cells, draw_strip

    if every is None:
        written = draw_cells(api.genotype_of(source)[0], out)
    else:
        api.searched_settings(source)
        written = draw_strip(Path(source), every, out)
    for path in written:
        print(path)


@app.command()
def genotype(
    source: Annotated[str, typer.Argument(help=_SOURCE)],
    json: Annotated[bool, typer.Option("--json", help="print JSON, as in the genotype files of runs")] = False,
) -> None:
    """Print a genotype as the papers' code writes it, to be read by other projects."""
    from zarts import api
    from zarts.spaces import genotype_string

    found, _ = api.genotype_of(source)
    print(found.to_json().rstrip() if json else genotype_string(found))


@app.command()
def lookup(
    architecture: Annotated[
        str, typer.Argument(help="a string |op~0|+..., an index, a genotype file or a search run", metavar="ARCH")
    ],
    table: Annotated[
        Path | None, typer.Option(help="its file (default: the one in the directory ZARTS_DATA)", metavar="FILE")
    ] = None,
    trust: Trust = False,
    data_set: Annotated[list[DataSet] | None, typer.Option(help="show this one only; may be repeated")] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Look up the true accuracies of an architecture of NAS-Bench-201."""
    from zarts import api

    show(api.lookup(architecture, table=table, trust=trust), data_set, json)


@app.command()
def diagnose(
    run: Annotated[Path, typer.Argument(help="folder of a search, finished or interrupted")],
    sigma: Annotated[
        list[float] | None,
        typer.Option(help="size of the moves in each coordinate; may be repeated (default: the search's, x 4, x 16)"),
    ] = None,
    inner_steps: Annotated[list[int] | None, typer.Option(help="M; may be repeated (default: the search's)")] = None,
    candidates: Annotated[int, typer.Option(help="moves of alpha that are judged")] = 16,
    draws: Annotated[int, typer.Option(help="of batches, on each of which all are judged")] = 8,
    val_batches: Annotated[
        int | None, typer.Option(help="validation batches in one loss (default: the search's)")
    ] = None,
    directions: Annotated[int, typer.Option(help="of the condition number; 0 leaves it out")] = 50,
    seed: Annotated[int, typer.Option(help="of the moves")] = 0,
    operations: Annotated[
        Path | None, typer.Option(help="the run's own operations.py: its code is run", metavar="FILE")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON, as in the run's diagnosis.json")] = False,
) -> None:
    """Say whether a search listens to signal or to noise, and what would help."""
    from zarts import api

    with progress() as callback:
        found = api.diagnose(
            run,
            operations=operations,
            callback=callback,
            sigmas=sigma or (),
            inner_steps=inner_steps or (),
            candidates=candidates,
            draws=draws,
            val_batches=val_batches,
            directions=directions,
            seed=seed,
        )
    print(dumps(found.to_dict(), indent=2)) if json else print_diagnosis(found)


app.command()(landscape)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="folder of a search, a retraining or a comparison")]) -> None:
    """Write the report of a run or of a comparison again."""
    from zarts.reports import write_report

    print(write_report(run))


@app.command("list")
def list_(kind: Annotated[Kind, typer.Argument(help="what to list")]) -> None:
    """List the methods, spaces, presets or published genotypes."""
    listing(kind)


def _launch_ranks(settings: SearchSettings | RetrainSettings) -> None:
    """Leave the work to processes of its own, where there are to be several, and exit as they do."""
    from zarts import api

    code = api.launch_ranks(settings, sys.argv[1:])
    if code is not None:
        raise SystemExit(code)


def _alone(resume: Path, *others: Any) -> None:
    if any(others):
        raise SettingsError(f"--resume {resume} goes on with the settings of that run: leave everything else out")


def _print_config(command: str, settings: CommonSettings) -> None:
    print(yaml.safe_dump({command: dump(settings)}, sort_keys=False), end="")
