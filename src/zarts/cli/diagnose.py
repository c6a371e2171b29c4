"""The command `diagnose`: the variance components of candidate losses as a table, and advice."""

from __future__ import annotations

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zarts.cli.options import Criterion, Objective, Operations
from zarts.cli.progress import Display, Quiet, Verbose
from zarts.runtime.paths import existing

if TYPE_CHECKING:
    from zarts.analysis import Diagnosis, Interval

__all__ = ["diagnose"]

_WIDTH = 110
"""Columns that the table needs; a narrower terminal breaks its lines."""


def diagnose(
    run: Annotated[Path, typer.Argument(help="folder of a search, finished or interrupted")],
    sigma: Annotated[
        list[float] | None,
        typer.Option(
            help="standard deviation of the perturbations in each coordinate; may be repeated (default: the search's, "
            "x 4, x 16)"
        ),
    ] = None,
    inner_steps: Annotated[list[int] | None, typer.Option(help="M; may be repeated (default: the search's)")] = None,
    candidates: Annotated[int, typer.Option(help="candidates to evaluate")] = 16,
    draws: Annotated[int, typer.Option(help="draws of batches, each for all candidates")] = 8,
    val_batches: Annotated[
        int | None, typer.Option(help="validation batches in one loss (default: the search's)")
    ] = None,
    directions: Annotated[int, typer.Option(help="directions of the condition number; 0: leave it out")] = 50,
    seed: Annotated[int, typer.Option(help="of the perturbations")] = 0,
    operations: Operations = None,
    criterion: Criterion = None,
    objective: Objective = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON, as in the run's diagnosis.json")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure whether a search follows signal or noise.

    It says what would help.
    """
    existing(run, "run folder")
    display = Display(quiet=quiet, verbose=verbose)
    display.load("zarts.api._analyze")
    from zarts import api

    with display.progress() as callback:
        found = api.diagnose(
            run,
            operations=operations,
            criterion=criterion,
            objective=objective,
            callbacks=[callback],
            quiet=True,
            sigmas=sigma or (),
            inner_steps=inner_steps or (),
            candidates=candidates,
            draws=draws,
            val_batches=val_batches,
            directions=directions,
            seed=seed,
        )
    print(dumps(found.to_dict(), indent=2)) if json else _print(found)


def _print(found: Diagnosis) -> None:
    """Print the measurements, a line each, and the advice."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("sigma", "M", "candidate", "batches", "both", "candidate / both", "", "with g u", ""):
        table.add_column(title, justify="right", no_wrap=True)
    for one in found.measurements:
        parts = one.parts
        variances = (f"{max(0.0, part.value):.1e}" for part in (parts.perturbation, parts.batches, parts.interaction))
        ratio, correlation = _between(parts.snr, 0.0), _between(one.correlation)
        table.add_row(f"{one.sigma:.3g}", str(one.inner_steps), *variances, *ratio, *correlation)
    print(
        f"Variance of a candidate's loss, by its source ({found.candidates} candidates, each on {found.draws} draws "
        f"of batches, after epoch {found.epoch}); the ratio of signal to noise; the correlation with the gradient's "
        "prediction:"
    )
    Console(width=max(_WIDTH, Console().width)).print(table)
    numbers = {"condition number": found.condition_number, "dominant eigenvalue": found.eigenvalue}
    if known := [f"{name} {value:.3g}" for name, value in numbers.items() if value is not None]:
        print(", ".join(known))
    for line in found.advice:
        print(line)


def _between(value: Interval, least: float = -1.0) -> tuple[str, str]:
    """An estimate and its interval, none of them below the least possible value."""
    estimate, low, high = (max(least, number) for number in value)
    return f"{estimate:.2g}", f"{low:.2g} to {high:.2g}"
